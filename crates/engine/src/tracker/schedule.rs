//! Whose turn it is: who is ended now, who waits for others to be ended first, and what becomes of them after.

use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId};

use super::{Keeper, Tracked};
use crate::terminate::outcome::Ended;
use crate::tree;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{Plan, plan_beside};
use reaper_policy::verdict::Verdict;

/// When an orphan is looked at again that is left to the thread that ends what it was before.
const AWAITED: Duration = Duration::from_millis(500);
/// When a process that could not be ended is tried again.
const STUBBORN: Duration = Duration::from_secs(600);

impl<H: Host> Keeper<H> {
    /// What is to be ended now, beside those who are being ended already; at most `max-targets` at a time.
    /// Whoever is in the plan counts as being ended from now on.
    pub fn plan(&mut self) -> Plan {
        let clock = self.clock();
        let now = clock.monotonic;
        let awaited: Vec<Pid> =
            self.due(now).filter(|t| self.is_awaited(&t.judgement)).map(|t| t.judgement.id.pid).collect();
        for pid in awaited {
            if let Some(tracked) = self.tracked.get_mut(&pid) {
                tracked.next = now + AWAITED;
            }
        }
        let cap = self.ground.policy.max_targets.get();
        let due: Vec<Pid> = self.due(now).map(|t| t.judgement.id.pid).collect();
        let room = cap.saturating_sub(self.busy.len());
        for pid in &due {
            if let Some(tracked) = self.tracked.get_mut(pid) {
                tracked.is_deferred = true;
            }
        }
        // A tree has one target at least: more than these cannot fit.
        let now_due: Vec<Pid> = due.iter().copied().take(room).collect();
        if now_due.is_empty() {
            return Plan::default();
        }
        let roots: Vec<&Judgement> =
            now_due.iter().filter_map(|pid| self.tracked.get(pid)).map(|t| &t.judgement).collect();
        let trees = tree::read(&self.ground, &self.census, &roots, &self.judged(), self.limit);
        let plan = plan_beside(&trees, self.ground.policy.reach, cap, &self.busy);
        self.busy.extend(everybody(&plan));
        if !plan.targets.is_empty() {
            self.running.push((self.ground.host.here().start_clock.now(&clock), plan.clone()));
        }
        let later = now + self.ground.policy.interval;
        for pid in &now_due {
            let Some(tracked) = self.tracked.get_mut(pid) else { continue };
            if self.busy.contains(&tracked.judgement.id) {
                tracked.is_deferred = false;
            } else if !plan.deferred.contains(&tracked.judgement.id) {
                (tracked.is_deferred, tracked.next) = (false, later);
            }
        }
        plan
    }

    /// Whether an orphan may be what a target became while it was being ended. Then the thread that ends that target finds
    /// it and ends it, and would be disturbed by another one that asks it to end.
    fn is_awaited(&self, judgement: &Judgement) -> bool {
        self.running.iter().any(|(began, plan)| {
            judgement.id.start >= *began
                && plan.targets.iter().any(|t| t.program == judgement.program && t.uid == judgement.uid)
        })
    }

    /// How many wait for others to be ended first.
    #[must_use]
    pub fn deferred(&self) -> usize {
        self.tracked.values().filter(|t| t.is_deferred).count()
    }

    fn due(&self, now: Duration) -> impl Iterator<Item = &Tracked<H>> {
        let is_due = move |t: &&Tracked<H>| t.judgement.verdict == Verdict::Reap && t.next <= now;
        self.tracked.values().filter(is_due).filter(|t| !self.busy.contains(&t.judgement.id))
    }

    /// Takes in what became of a plan's targets.
    pub fn ended(&mut self, plan: &Plan, ended: &[Ended]) {
        let now = self.clock().monotonic;
        let interval = self.ground.policy.interval;
        if let Some(at) = self.running.iter().position(|(_, running)| running == plan) {
            self.running.remove(at);
        }
        for id in everybody(plan) {
            self.busy.remove(&id);
            let outcome = ended.iter().find(|e| e.target.id == id).map(|e| e.outcome);
            let Some(tracked) = self.tracked.get_mut(&id.pid).filter(|t| t.judgement.id == id) else {
                continue;
            };
            match outcome {
                Some(Outcome::Exited | Outcome::Killed | Outcome::Gone) => self.forget(id.pid),
                Some(Outcome::Denied | Outcome::Survived) => tracked.next = now + STUBBORN,
                Some(Outcome::Spared) | None => tracked.next = now + interval,
                Some(Outcome::Interrupted) => tracked.next = now,
            }
        }
    }

    /// Puts off everybody who would be ended now.
    pub fn put_off(&mut self, until: Duration) {
        let busy = &self.busy;
        let reap =
            |t: &&mut Tracked<H>| t.judgement.verdict == Verdict::Reap && !busy.contains(&t.judgement.id);
        for tracked in self.tracked.values_mut().filter(reap) {
            (tracked.is_deferred, tracked.next) = (false, tracked.next.max(until));
        }
    }

    /// Everybody who was put off is due again.
    pub fn due_at(&mut self, now: Duration) {
        for tracked in self.tracked.values_mut().filter(|t| t.judgement.verdict == Verdict::Reap) {
            tracked.next = now;
        }
    }

    /// When somebody is to be looked at, on the monotonic clock.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if !self.pending.is_empty() {
            return Some(Duration::ZERO);
        }
        let interval = self.ground.policy.interval;
        let is_free = |t: &&Tracked<H>| !t.is_deferred && !self.busy.contains(&t.judgement.id);
        // A tick comes before the second of these, unless there are too many for one.
        let moment = |t: &Tracked<H>| if t.judgement.is_orphan() { t.next } else { t.next + interval };
        self.tracked.values().filter(is_free).map(moment).min()
    }
}

/// The targets of a plan, and the roots of those trees that are only begun.
fn everybody(plan: &Plan) -> impl Iterator<Item = ProcId> + '_ {
    plan.targets.iter().flat_map(|target| [target.id, target.root])
}
