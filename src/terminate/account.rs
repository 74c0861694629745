//! The account of each target: what is about to be done, before it is done, and what became of it.

use std::time::Duration;

use reaper_platform::Host;

use super::{Ended, Job, Terminator, Trouble};
use crate::escalation::{Action, Event, Outcome};
use crate::report::build;
use crate::report::types::Record;

impl<H: Host> Terminator<'_, H> {
    /// Writes the accounts of all signals that are about to be sent, or calls the signals off.
    pub(super) fn write_intents(&mut self, jobs: &mut [Job<H::Pinned>]) {
        let clock = self.clock();
        let intents: Vec<Record> = jobs
            .iter()
            .filter_map(|job| match job.escalation.action() {
                Action::Send(signal) => {
                    Some(build::intent(&job.target, signal, &job.findings, self.sweep, &clock))
                }
                _ => None,
            })
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
                records.push(build::outcome(&ended(job, clock.monotonic), self.sweep, &clock));
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

pub(super) fn ended<P>(job: &Job<P>, now: Duration) -> Ended {
    let outcome = match job.escalation.action() {
        Action::Done(outcome) => outcome,
        // The loop ends only when all are done; anything else is still there.
        _ => Outcome::Survived,
    };
    let took =
        job.first_signal.map_or(Duration::ZERO, |first| job.ended_at.unwrap_or(now).saturating_sub(first));
    let why = match outcome {
        Outcome::Survived => Some(job.why.clone().unwrap_or_else(|| {
            "it did not end after SIGKILL: stuck in the kernel, or under a debugger".to_owned()
        })),
        Outcome::Spared | Outcome::Denied => job.why.clone(),
        _ => None,
    };
    let unsure = job.unsure && outcome == Outcome::Spared;
    Ended {
        target: job.target.clone(),
        signals: job.escalation.sent().to_vec(),
        outcome,
        took,
        why,
        unsure,
        zombie: matches!(outcome, Outcome::Exited | Outcome::Killed),
    }
}
