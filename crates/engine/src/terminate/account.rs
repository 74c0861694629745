//! The records of each target: the intent before a signal, and the outcome.

use reaper_platform::{Clock, HostInfo, Signal};
use reaper_policy::escalation::Action;

use super::job::Job;
use crate::audit::record::{self, Record};

/// The intents of all signals that are about to be sent.
pub(super) fn intents<P>(jobs: &[Job<P>], sweep: &str, clock: &Clock) -> Vec<Record> {
    jobs.iter()
        .flat_map(|job| {
            let signal = match job.escalation.action() {
                Action::Send(signal) => Some(signal),
                _ => None,
            };
            let goes_along = (signal == Some(Signal::Term) && job.is_stopped).then_some(Signal::Cont);
            signal.into_iter().chain(goes_along).map(move |signal| (job, signal))
        })
        .map(|(job, signal)| record::intent(&job.target, signal, &job.findings, sweep, clock))
        .collect()
}

/// The outcomes of finished targets, once each; of all the others too when the sweep is over.
pub(super) fn outcomes<P>(
    jobs: &mut [Job<P>],
    is_over: bool,
    sweep: &str,
    clock: &Clock,
    here: &HostInfo,
) -> Vec<Record> {
    let mut records = Vec::new();
    for job in jobs.iter_mut().filter(|job| !job.is_recorded) {
        if is_over || matches!(job.escalation.action(), Action::Done(_)) {
            job.is_recorded = true;
            records.push(record::outcome(&job.ended(clock.monotonic, here), sweep, clock));
            // The handle is no longer needed. Closed here, because closing a thousand at the end would take a while.
            job.process = None;
        }
    }
    records
}
