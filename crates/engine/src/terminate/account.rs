//! The account of each target: what is about to be done, before it is done, and what became of it.

use std::time::Duration;

use reaper_platform::{Here, Host, Signal};

use super::outcome::{Ended, Trouble};
use super::{Job, Terminator};
use crate::audit::record::{self, Record};
use reaper_policy::escalation::{Action, Event, Outcome};

impl<H: Host> Terminator<'_, H> {
    /// Writes the accounts of all signals that are about to be sent, or calls the signals off.
    pub(super) fn write_intents(&mut self, jobs: &mut [Job<H::Pinned>]) {
        let clock = self.clock();
        let intents: Vec<Record> = jobs
            .iter()
            .flat_map(|job| {
                let signal = match job.escalation.action() {
                    Action::Send(signal) => Some(signal),
                    _ => None,
                };
                let goes_along = (signal == Some(Signal::Term) && job.is_stopped).then_some(Signal::Cont);
                signal.into_iter().chain(goes_along).map(move |signal| (job, signal))
            })
            .map(|(job, signal)| record::intent(&job.target, signal, &job.findings, self.sweep, &clock))
            .collect();
        if intents.is_empty() || self.account(&intents) {
            return;
        }
        for job in jobs.iter_mut().filter(|j| matches!(j.escalation.action(), Action::Send(_))) {
            job.why = Some("no account of the signal could be written".to_owned());
            job.escalation.on(Event::Spared, clock.monotonic);
        }
    }

    /// Writes what became of those who are done, once for each; where nobody is waited for any more, of all the others.
    pub(super) fn write_outcomes(&mut self, jobs: &mut [Job<H::Pinned>], is_over: bool) {
        let clock = self.clock();
        let mut records = Vec::new();
        for job in jobs.iter_mut().filter(|j| !j.is_told) {
            if is_over || matches!(job.escalation.action(), Action::Done(_)) {
                job.is_told = true;
                let ended = ended(job, clock.monotonic, self.ground.host.here());
                records.push(record::outcome(&ended, self.sweep, &clock));
                // Nothing is asked of it any more, and a thousand take a while to let go of.
                job.process = None;
            }
        }
        if !records.is_empty() {
            self.account(&records);
        }
    }

    /// Whether the records are on the disk. After the first failure nothing more is tried.
    fn account(&mut self, records: &[Record]) -> bool {
        if matches!(self.trouble, Some(Trouble::Account(_))) {
            return false;
        }
        let written = self.account.write(records);
        let is_written = written.is_ok();
        if let Err(e) = written {
            self.trouble.get_or_insert(e.into());
        }
        is_written
    }
}

pub(super) fn ended<P>(job: &Job<P>, now: Duration, here: &Here) -> Ended {
    let outcome = match job.escalation.action() {
        Action::Done(outcome) => outcome,
        // The loop ends only when all are done; anything else is still there.
        _ => Outcome::Survived,
    };
    let took = job.first_signal.map_or(Duration::ZERO, |first| {
        job.ended_at.map_or(now, |end| end.monotonic).saturating_sub(first.monotonic)
    });
    let moment = |clock| here.start_clock.now(&clock);
    let fell = job.first_signal.map(moment).zip(job.ended_at.map(moment));
    let why = match outcome {
        Outcome::Survived => Some(job.why.clone().unwrap_or_else(|| {
            let after = if job.delivered.contains(&Signal::Kill) { " after SIGKILL" } else { "" };
            format!("it did not end{after}: stuck in the kernel, or under a debugger")
        })),
        Outcome::Spared | Outcome::Denied => job.why.clone(),
        _ => job.target.comeback.map(|comeback| {
            format!("it came back: pid {} started it while that was being ended", comeback.of)
        }),
    };
    let unsure = job.unsure && outcome == Outcome::Spared;
    Ended {
        target: job.target.clone(),
        signals: job.delivered.clone(),
        outcome,
        took,
        why,
        unsure,
        zombie: matches!(outcome, Outcome::Exited | Outcome::Killed),
        fell: fell.filter(|_| matches!(outcome, Outcome::Exited | Outcome::Killed)),
        image: job.image,
    }
}
