//! The tracked processes: the judgement of each, and when it is to be judged again.
//!
//! A process in grace is judged again when its grace ends, one whose verdict is `reap` at once, any other at the next
//! tick. One that is being ended, or waits for others to be ended first, is left alone until then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Pid, ProcId, Why};

use super::ending::Ending;
use super::environment::Environment;
use super::recheck::longer;
use reaper_policy::judgement::Judgement;
use reaper_policy::verdict::Verdict;

/// Delay before an orphan is judged again that was too young to be recorded: two clock ticks at 100 a second.
const NEWBORN: Duration = Duration::from_millis(20);

/// A tracked process.
#[derive(Debug)]
pub struct Tracked {
    /// Its latest judgement.
    pub judgement: Arc<Judgement>,
    /// The result of reading its environment when it was first inspected.
    pub environment: Environment,
    /// When it was judged; like all times here, on the monotonic clock.
    pub judged_at: Duration,
    next: Duration,
    /// The current back-off after failed attempts to judge it again; `None` when the last one succeeded.
    failing: Option<Duration>,
    /// Whether it waits to be ended until fewer others are being ended.
    is_deferred: bool,
}

impl Tracked {
    fn is_due_to_end(&self, now: Duration) -> bool {
        self.judgement.verdict == Verdict::Reap && self.next <= now
    }
}

/// All tracked processes.
#[derive(Debug, Default)]
pub struct Known {
    all: BTreeMap<Pid, Tracked>,
}

impl Known {
    /// The number of tracked processes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether a process with this pid is tracked.
    #[must_use]
    pub fn has_pid(&self, pid: Pid) -> bool {
        self.all.contains_key(&pid)
    }

    /// Whether exactly this process is tracked.
    #[must_use]
    pub fn has(&self, id: &ProcId) -> bool {
        self.get(id).is_some()
    }

    /// The record of exactly this process.
    #[must_use]
    pub fn get(&self, id: &ProcId) -> Option<&Tracked> {
        self.all.get(&id.pid).filter(|tracked| tracked.judgement.id == *id)
    }

    /// All records, by pid.
    pub fn iter(&self) -> impl Iterator<Item = &Tracked> {
        self.all.values()
    }

    /// The judgements, by pid.
    pub fn judgements(&self) -> impl Iterator<Item = &Arc<Judgement>> {
        self.all.values().map(|tracked| &tracked.judgement)
    }

    /// The judgements, by pid; consumes the records.
    pub fn into_judgements(self) -> impl Iterator<Item = Arc<Judgement>> {
        self.all.into_values().map(|tracked| tracked.judgement)
    }

    /// Adds a process that was not tracked.
    pub fn add(
        &mut self,
        judgement: Arc<Judgement>,
        environment: Environment,
        now: Duration,
        interval: Duration,
        is_newborn: bool,
    ) {
        let next = next_look(&judgement, now, interval, is_newborn);
        let pid = judgement.id.pid;
        let tracked =
            Tracked { judgement, environment, judged_at: now, next, failing: None, is_deferred: false };
        self.all.insert(pid, tracked);
    }

    /// Replaces a judgement; returns whether it differs from the last one in verdict or deciding gate.
    pub fn update(
        &mut self,
        judgement: Arc<Judgement>,
        now: Duration,
        interval: Duration,
        is_newborn: bool,
    ) -> bool {
        let next = next_look(&judgement, now, interval, is_newborn);
        let Some(tracked) = self.all.get_mut(&judgement.id.pid) else { return false };
        let is_news = tracked.judgement.conclusion() != judgement.conclusion();
        (tracked.judged_at, tracked.next, tracked.failing) = (now, next, None);
        tracked.judgement = judgement;
        is_news
    }

    /// Backs off after a process could not be judged again: the delay grows with each failure.
    pub fn failed(&mut self, pid: Pid, why: &Why, now: Duration, interval: Duration) {
        if let Some(tracked) = self.all.get_mut(&pid) {
            let wait = longer(tracked.failing, interval, Environment::unread(why)).max(interval);
            (tracked.failing, tracked.next) = (Some(wait), now + wait);
        }
    }

    /// Removes a process.
    pub fn remove(&mut self, pid: Pid) -> Option<Tracked> {
        self.all.remove(&pid)
    }

    /// The processes that are due to be judged again, at most `limit`.
    #[must_use]
    pub fn due(&self, now: Duration, ending: &Ending, limit: usize) -> Vec<ProcId> {
        let free = self.free(ending).filter(|tracked| tracked.next <= now);
        free.map(|tracked| tracked.judgement.id).take(limit).collect()
    }

    /// When the next process is due to be judged again. Those that are not orphans are left to the tick, unless there
    /// are too many for one.
    #[must_use]
    pub fn next(&self, ending: &Ending, interval: Duration) -> Option<Duration> {
        let moment = |tracked: &Tracked| {
            let is_orphan = tracked.judgement.is_orphan();
            if is_orphan { tracked.next } else { tracked.next + interval }
        };
        self.free(ending).map(moment).min()
    }

    fn free(&self, ending: &Ending) -> impl Iterator<Item = &Tracked> {
        self.all.values().filter(|tracked| !tracked.is_deferred && !ending.has(&tracked.judgement.id))
    }

    /// Schedules a process to be judged again at this time; returns whether it is tracked.
    pub fn judge_at(&mut self, pid: Pid, at: Duration) -> bool {
        self.all.get_mut(&pid).map(|tracked| tracked.next = at).is_some()
    }

    /// Schedules all to be judged again now.
    pub fn judge_all(&mut self, now: Duration) {
        for tracked in self.all.values_mut() {
            (tracked.is_deferred, tracked.next) = (false, now);
        }
    }

    /// The processes that are due to be ended and are not being ended yet, by pid.
    #[must_use]
    pub fn due_to_end(&self, now: Duration, ending: &Ending) -> Vec<Arc<Judgement>> {
        let due = self.all.values().filter(|tracked| tracked.is_due_to_end(now));
        let due = due.filter(|tracked| !ending.has(&tracked.judgement.id));
        due.map(|tracked| Arc::clone(&tracked.judgement)).collect()
    }

    /// Marks a process as waiting until fewer others are being ended.
    pub fn defer(&mut self, pid: Pid) {
        if let Some(tracked) = self.all.get_mut(&pid) {
            tracked.is_deferred = true;
        }
    }

    /// Clears that mark: the process is being ended, or need not be.
    pub fn undefer(&mut self, pid: Pid) {
        if let Some(tracked) = self.all.get_mut(&pid) {
            tracked.is_deferred = false;
        }
    }

    /// The number that wait until fewer others are being ended.
    #[must_use]
    pub fn deferred(&self) -> usize {
        self.all.values().filter(|tracked| tracked.is_deferred).count()
    }

    /// Postpones everything that is due to be ended until this time.
    pub fn put_off(&mut self, until: Duration, ending: &Ending) {
        for tracked in self.condemned().filter(|tracked| !ending.has(&tracked.judgement.id)) {
            (tracked.is_deferred, tracked.next) = (false, tracked.next.max(until));
        }
    }

    /// Makes everything that was postponed due again.
    pub fn due_at(&mut self, now: Duration) {
        for tracked in self.condemned() {
            tracked.next = now;
        }
    }

    fn condemned(&mut self) -> impl Iterator<Item = &mut Tracked> {
        self.all.values_mut().filter(|tracked| tracked.judgement.verdict == Verdict::Reap)
    }
}

/// When a process that was judged now is to be judged again.
fn next_look(judgement: &Judgement, now: Duration, interval: Duration, is_newborn: bool) -> Duration {
    match judgement.verdict {
        Verdict::Reap => now,
        // Otherwise its grace would start a whole grace period later.
        Verdict::Wait(_) if is_newborn => now + NEWBORN,
        Verdict::Wait(left) => now + left,
        // Left to the next tick; not worth a wake-up of its own.
        Verdict::Spare | Verdict::Unknown => now + interval / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{plan, shared};
    use super::*;
    use reaper_platform::fake::pid;

    const S: Duration = Duration::from_secs(1);

    fn known(all: &[(i32, Verdict)]) -> Known {
        let mut known = Known::default();
        for (number, verdict) in all {
            known.add(shared(*number, *verdict), Environment::Intact, 100 * S, 10 * S, false);
        }
        known
    }

    fn due(known: &Known, now: Duration) -> Vec<i32> {
        known.due(now, &Ending::default(), 9).iter().map(|id| id.pid.get()).collect()
    }

    #[test]
    fn each_is_due_when_its_verdict_requires() {
        let all =
            [(2, Verdict::Reap), (3, Verdict::Wait(30 * S)), (4, Verdict::Spare), (5, Verdict::Unknown)];
        let known = known(&all);
        assert_eq!(due(&known, 100 * S), [2]);
        assert_eq!(due(&known, 105 * S), [2, 4, 5], "by the next tick");
        assert_eq!(due(&known, 130 * S), [2, 3, 4, 5]);
        assert_eq!(known.due(130 * S, &Ending::default(), 3).len(), 3);
        assert_eq!(known.next(&Ending::default(), 10 * S), Some(100 * S));
    }

    #[test]
    fn no_wake_up_for_what_the_tick_does() {
        let known = known(&[(3, Verdict::Wait(30 * S)), (4, Verdict::Spare)]);
        assert_eq!(known.next(&Ending::default(), 10 * S), Some(115 * S));
        assert_eq!(Known::default().next(&Ending::default(), 10 * S), None);
    }

    #[test]
    fn one_that_is_too_young_to_be_recorded_is_judged_again_soon() {
        let mut known = Known::default();
        known.add(shared(2, Verdict::Wait(30 * S)), Environment::Intact, 100 * S, 10 * S, true);
        assert_eq!(due(&known, 100 * S), [] as [i32; 0]);
        assert_eq!(due(&known, 100 * S + NEWBORN), [2]);
    }

    #[test]
    fn a_judgement_is_news_if_verdict_or_deciding_gate_differ() {
        let mut known = known(&[(2, Verdict::Wait(30 * S))]);
        let mut update = |verdict| known.update(shared(2, verdict), 110 * S, 10 * S, false);
        assert!(!update(Verdict::Wait(20 * S)), "only time has passed");
        assert!(update(Verdict::Spare));
        assert!(!update(Verdict::Spare));
        assert!(!known.update(shared(9, Verdict::Spare), 110 * S, 10 * S, false), "it is not known");
    }

    #[test]
    fn failed_judgements_back_off() {
        let mut known = known(&[(2, Verdict::Spare)]);
        let mut wait = |why: &Why| {
            known.failed(pid(2), why, 200 * S, 10 * S);
            known.next(&Ending::default(), Duration::ZERO).unwrap() - 200 * S
        };
        assert_eq!([wait(&Why::Denied), wait(&Why::Denied), wait(&Why::Denied)], [10 * S, 20 * S, 40 * S]);
        assert_eq!(wait(&Why::Slow(S)), 120 * S);
        known.update(shared(2, Verdict::Spare), 300 * S, 10 * S, false);
        known.failed(pid(2), &Why::Denied, 300 * S, 10 * S);
        assert_eq!(due(&known, 310 * S), [2], "after a success from the beginning");
    }

    #[test]
    fn what_is_being_ended_or_waits_for_that_is_left_alone() {
        let mut known = known(&[(2, Verdict::Reap), (3, Verdict::Reap)]);
        let (one, now, mut ending) = (shared(2, Verdict::Reap), 100 * S, Ending::default());
        let numbers = |all: Vec<Arc<Judgement>>| all.iter().map(|j| j.id.pid.get()).collect::<Vec<_>>();
        assert_eq!(numbers(known.due_to_end(now, &ending)), [2, 3]);
        ending.begin(one.id.start, &plan(&[&one]));
        assert_eq!(numbers(known.due_to_end(now, &ending)), [3]);
        assert_eq!(known.due(now, &ending, 9).len(), 1);
        known.defer(pid(3));
        assert_eq!((known.deferred(), known.due(now, &ending, 9), known.next(&ending, S)), (1, vec![], None));
        assert_eq!(numbers(known.due_to_end(now, &ending)), [3], "it is still to be ended");
        known.put_off(now + 5 * S, &ending);
        assert_eq!((known.deferred(), numbers(known.due_to_end(now, &ending))), (0, vec![]));
        known.due_at(now);
        assert_eq!(numbers(known.due_to_end(now, &ending)), [3]);
    }

    #[test]
    fn a_pid_alone_is_not_enough() {
        let known = known(&[(2, Verdict::Reap)]);
        let mut id = shared(2, Verdict::Reap).id;
        assert!(known.has(&id) && known.has_pid(pid(2)));
        id.start.0 += 1;
        assert!(!known.has(&id));
    }
}
