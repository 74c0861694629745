//! One target while it is being ended: its handle, its escalation, and the findings and signals so far.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, HostInfo, Image, Pid, Signal};
use reaper_policy::escalation::{Action, Escalation, Outcome, Timeouts};
use reaper_policy::plan::{Role, Target};
use reaper_policy::verdict::Finding;

use super::outcome::Ended;

pub(super) struct Job<P> {
    pub(super) target: Target,
    pub(super) process: Option<Arc<P>>,
    pub(super) escalation: Escalation,
    /// The signals that were delivered.
    pub(super) delivered: Vec<Signal>,
    pub(super) first_signal: Option<Clock>,
    pub(super) ended_at: Option<Clock>,
    pub(super) image: Option<Image>,
    /// When the reading began that its latest judgement rests on; monotonic clock.
    pub(super) judged_at: Duration,
    /// Whether it was stopped then, so that SIGTERM must be followed by SIGCONT.
    pub(super) is_stopped: bool,
    pub(super) findings: Vec<Finding>,
    pub(super) why: Option<String>,
    pub(super) unsure: bool,
    /// Whether its outcome is in the history.
    pub(super) is_recorded: bool,
}

impl<P> Job<P> {
    /// Begins with the judgement before SIGTERM, or, for a successor, with its wait.
    pub(super) fn new(target: &Target, timeouts: Timeouts) -> Self {
        Self {
            target: target.clone(),
            process: None,
            escalation: match target.comeback {
                Some(comeback) => Escalation::asked_already(timeouts, comeback.due),
                None => Escalation::new(timeouts),
            },
            delivered: Vec::new(),
            first_signal: None,
            ended_at: None,
            image: None,
            judged_at: Duration::ZERO,
            is_stopped: false,
            findings: Vec::new(),
            why: None,
            unsure: false,
            is_recorded: false,
        }
    }

    /// Spares the wrappers and descendants of a root that is spared.
    pub(super) fn spare_tree(&self, spared_roots: &mut HashSet<Pid>) {
        if self.target.role == Role::Root {
            spared_roots.insert(self.target.id.pid);
        }
    }

    /// The target's outcome, as of `now` on the monotonic clock.
    pub(super) fn ended(&self, now: Duration, here: &HostInfo) -> Ended {
        let outcome = match self.escalation.action() {
            Action::Done(outcome) => outcome,
            // The loop ends only when all are done; any other state means that the process still exists.
            _ => Outcome::Survived,
        };
        let took = self.first_signal.map_or(Duration::ZERO, |first| {
            self.ended_at.map_or(now, |end| end.monotonic).saturating_sub(first.monotonic)
        });
        let moment = |clock| here.start_clock.now(&clock);
        let fell = self.first_signal.map(moment).zip(self.ended_at.map(moment));
        let why = match outcome {
            Outcome::Survived => Some(self.why.clone().unwrap_or_else(|| {
                let after = if self.delivered.contains(&Signal::Kill) { " after SIGKILL" } else { "" };
                format!("it did not end{after}: stuck in the kernel, or under a debugger")
            })),
            Outcome::Spared | Outcome::Denied => self.why.clone(),
            _ => self.target.comeback.map(|comeback| {
                format!("it came back: pid {} started it while that was being ended", comeback.of)
            }),
        };
        let unsure = self.unsure && outcome == Outcome::Spared;
        Ended {
            target: self.target.clone(),
            signals: self.delivered.clone(),
            outcome,
            took,
            why,
            unsure,
            zombie: matches!(outcome, Outcome::Exited | Outcome::Killed),
            fell: fell.filter(|_| matches!(outcome, Outcome::Exited | Outcome::Killed)),
            image: self.image,
        }
    }
}
