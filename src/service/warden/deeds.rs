//! What the service does about what it sees: it remembers it, and has orphans ended.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::Host;
use tracing::info;

use super::Warden;
use crate::service::execution::{Done, Executions};
use reaper_policy::escalation::Outcome;

/// When to try again after another reaper was ending processes, or the history could not be written.
const RETRY: Duration = Duration::from_secs(5);

impl<H: Host> Warden<H> {
    /// Remembers on the disk what must survive us. What is no more can wait for the next tick: that it is
    /// remembered for a while longer harms nobody.
    pub(super) fn save(&mut self) {
        let Some(state) = &self.setup.state else { return };
        let (clock, here) = (self.clock(), self.setup.host.here());
        let sightings = &self.tracker.sightings;
        let is_due = sightings.has_more_than(&self.saved) || clock.monotonic >= self.save_again_at;
        if *sightings == self.saved || !is_due {
            return;
        }
        self.save_again_at = clock.monotonic + self.tracker.ground().policy.interval;
        // Somebody may have removed the directory.
        let saved = sightings.save(state, here, &clock).or_else(|e| {
            state.restore().map_err(|_| e)?;
            sightings.save(state, here, &clock)
        });
        match saved {
            Ok(()) => self.saved = sightings.clone(),
            Err(e) => {
                self.trouble(&format!(
                    "{e}\n(a restart would count every orphan as seen for the first time)"
                ));
            }
        }
    }

    /// Ends whoever is to be ended now.
    pub(super) fn act(&mut self) {
        let now = self.clock().monotonic;
        let is_held = self.pause.is_some() || self.is_stopping || self.looks.failing;
        if self.executions.is_none() || is_held || self.setup.host.here().cannot_signal.is_some() {
            self.tracker.put_off(now + self.tracker.ground().policy.interval);
            return;
        }
        if now < self.retry_at {
            self.tracker.put_off(self.retry_at);
            return;
        }
        let plan = Arc::new(self.tracker.plan());
        if plan.targets.is_empty() {
            return;
        }
        let waiting = self.tracker.deferred();
        if waiting > 0 {
            info!("ending {} now; {waiting} wait for them (max-targets)", plan.targets.len());
        }
        let (ground, sightings) = (self.tracker.ground().clone(), self.tracker.sightings.clone());
        let judged = self.tracker.judged();
        let Some(executions) = &mut self.executions else { return };
        if let Err(e) = executions.start(ground, &plan, judged, sightings) {
            self.tracker.ended(&plan, &[]);
            self.retry_at = now + RETRY;
            self.tracker.put_off(self.retry_at);
            self.trouble(&e.to_string());
        }
    }

    /// Takes in what became of a plan.
    pub fn done(&mut self, done: &Done) {
        if let Some(executions) = &mut self.executions {
            executions.finished();
        }
        self.outputs.ended(&done.ended, &self.setup.settings);
        for ended in &done.ended {
            let counter = match ended.outcome {
                Outcome::Exited => &mut self.totals.exited,
                Outcome::Killed => &mut self.totals.killed,
                Outcome::Gone => &mut self.totals.gone,
                Outcome::Spared => &mut self.totals.spared,
                Outcome::Denied => &mut self.totals.denied,
                Outcome::Survived => &mut self.totals.survived,
                Outcome::Interrupted => &mut self.totals.interrupted,
            };
            *counter += 1;
            if matches!(ended.outcome, Outcome::Exited | Outcome::Killed) {
                self.totals.reclaimed_bytes += ended.target.rss_bytes;
            }
        }
        if let Some(what) = &done.trouble {
            self.trouble(what);
            self.retry_at = self.clock().monotonic + RETRY;
        }
        self.tracker.ended(&done.plan, &done.ended);
        if done.trouble.is_some() {
            self.tracker.put_off(self.retry_at);
        }
        self.tracker.look_again();
        self.settle();
    }

    /// No new plan is begun from now on.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Hands back what is being ended: it gets no more signals.
    pub fn hand_back(&mut self) {
        if let Some(executions) = &mut self.executions {
            executions.hand_back();
        }
    }

    /// How many plans are being carried out.
    pub fn running(&self) -> usize {
        self.executions.as_ref().map_or(0, Executions::running)
    }
}
