//! Agents in their place, and those above them.
//!
//! While an agent's parent lives, the agent is no business of ours; but by remembering it, its parent's death
//! is noticed at once instead of at the next tick, it proves that the kernel gave the agent away (which a look
//! at the orphan alone cannot always tell), and a helper in the background is known to belong to an agent that
//! still lives. All of this only adds to what a single look knows; losing it costs nothing but that.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reaper_platform::{Clock, Host, Pid, ProcId, StartClock, StartTime, Walk};

use super::budget::Pace;
use crate::context::Ground;
use reaper_policy::judgement::Judgement;
use reaper_policy::past::Ties;

/// A walk over all processes may take 1/36,000 of the time: 0.1 s an hour.
const WALK: u32 = 36_000;
/// A visit to the launchers and trees that are known may take 1/72,000.
const VISIT: u32 = 72_000;
/// Most processes that one visit looks at.
const MAX_VISITED: usize = 2_000;
/// Longest line of parents that is climbed to find an agent.
const MAX_CLIMB: usize = 32;

struct Member {
    parent: Option<Pid>,
    /// Whose end may make it an orphan: the wrappers above it, and whoever started them.
    line: Vec<Pid>,
    /// The nearest agent above it; `None` also before anybody looked.
    agent: Option<ProcId>,
    is_settled: bool,
}

/// The agents in their place that are known.
pub struct Family<H: Host> {
    members: HashMap<ProcId, Member>,
    elders: HashMap<ProcId, H::Pinned>,
    walks: Pace,
    visits: Pace,
    /// When the last walk began: who started later may not have been seen by it.
    walked: Option<Clock>,
}

impl<H: Host> Family<H> {
    /// Knows nobody.
    pub fn new() -> Self {
        Self {
            members: HashMap::new(),
            elders: HashMap::new(),
            walks: Pace::new(WALK),
            visits: Pace::new(VISIT),
            walked: None,
        }
    }

    /// Whether a walk over all processes is due.
    pub fn is_walk_due(&self, now: Duration) -> bool {
        self.walks.is_due(now)
    }

    /// The next walk looks at everybody again, as after a change of what an agent is.
    pub fn walk_anew(&mut self) {
        self.walked = None;
    }

    /// What a walk that began at `began`, and the looks at those that it found, have cost.
    pub fn walked(&mut self, began: Duration, now: Duration) {
        self.walks.done(began, now);
        // A walk finds all that a visit would.
        self.visits.done(now, now);
    }

    /// The same of a visit.
    pub fn visited(&mut self, began: Duration, now: Duration) {
        self.visits.done(began, now);
    }

    /// Whether a visit to those that are known is due.
    pub fn is_visit_due(&self, now: Duration) -> bool {
        self.visits.is_due(now) && !self.members.is_empty()
    }

    /// How many handles are held.
    pub fn held(&self) -> usize {
        self.elders.len()
    }

    /// Whether this elder is watched.
    pub fn holds(&self, id: &ProcId) -> bool {
        self.elders.contains_key(id)
    }

    /// Takes in a listing of all processes that was `begun` then; returns those that nobody has looked at yet.
    pub fn walk(&mut self, start_clock: StartClock, begun: Clock, walk: &Walk) -> Vec<Pid> {
        let there: HashSet<(Pid, StartTime)> =
            walk.entries.iter().map(|e| (e.stat.pid, e.stat.start)).collect();
        self.keep(|id| there.contains(&(id.pid, id.start)));
        let known: HashSet<Pid> = self.members.keys().map(|id| id.pid).collect();
        let since =
            self.walked.replace(begun).map_or(StartTime(0), |last| start_of(start_clock, last, begun));
        let fresh = walk.entries.iter().filter(|e| e.stat.start >= since && !e.stat.is_dead());
        fresh.map(|e| e.stat.pid).filter(|pid| !known.contains(pid)).collect()
    }

    /// Forgets members that are no more, and lets go of the elders that nobody depends on any more.
    fn keep(&mut self, is_there: impl Fn(&ProcId) -> bool) {
        self.members.retain(|id, _| is_there(id));
        let needed: HashSet<Pid> = self.members.values().flat_map(Member::needs).collect();
        self.elders.retain(|id, _| needed.contains(&id.pid));
    }

    /// The adopters' children of a listing: what their own lists should have held.
    pub fn strays(&self, walk: &Walk, adopters: &[Pid]) -> Vec<Pid> {
        let is_adopted = |parent: Option<Pid>| parent.is_some_and(|p| adopters.contains(&p));
        walk.entries.iter().filter(|e| is_adopted(e.stat.ppid)).map(|e| e.stat.pid).collect()
    }

    /// Looks for new processes below the launchers and agents that are known.
    pub fn visit(&mut self, ground: &Ground<H>, orphans: impl Iterator<Item = Pid>) -> Vec<Pid> {
        self.keep(|id| ground.host.glance(id.pid).is_ok_and(|s| s.start == id.start && !s.is_dead()));
        let known: HashSet<Pid> = self.members.keys().map(|id| id.pid).collect();
        let launchers = self.members.values().flat_map(|m| m.line.iter().copied());
        let mut below: Vec<Pid> =
            launchers.chain(self.members.keys().map(|id| id.pid)).chain(orphans).collect();
        let mut seen: HashSet<Pid> = below.iter().copied().collect();
        let mut strangers = Vec::new();
        while let Some(pid) = below.pop().filter(|_| seen.len() < MAX_VISITED) {
            for child in ground.host.children(pid).unwrap_or_default() {
                if seen.insert(child) {
                    strangers.push(child);
                    below.push(child);
                }
            }
        }
        strangers.retain(|pid| !known.contains(pid));
        strangers
    }

    /// Remembers an agent that is in its place.
    pub fn admit(&mut self, judgement: &Judgement) {
        let parent = judgement.stat.ppid;
        let wrappers = judgement.wrappers.iter().map(|w| w.id.pid);
        let line = wrappers.chain(judgement.held_by).collect();
        self.members.entry(judgement.id).or_insert(Member { parent, line, agent: None, is_settled: false });
    }

    /// Finds the nearest agent above each member that is new, and returns what is worth remembering.
    pub fn settle(&mut self, ground: &Ground<H>) -> Vec<(ProcId, Ties)> {
        let agents: HashMap<Pid, ProcId> = self.members.keys().map(|id| (id.pid, *id)).collect();
        let mut ties = Vec::new();
        for (id, member) in self.members.iter_mut().filter(|(_, m)| !m.is_settled) {
            let mut at = member.parent;
            for _ in 0..MAX_CLIMB {
                let Some(stat) = at.and_then(|pid| ground.host.glance(pid).ok()) else { break };
                // A member may have died since, and its number be another's.
                if let Some(agent) = agents.get(&stat.pid).filter(|agent| agent.start == stat.start) {
                    member.agent = Some(*agent);
                    ties.push((*id, Ties { dead_parent: None, agent: Some(*agent) }));
                    break;
                }
                at = stat.ppid;
            }
            member.is_settled = true;
        }
        ties
    }

    /// Pins those whose end is to be noticed and who are not held yet; at most `room` of them.
    pub fn elders_to_watch(&self, ground: &Ground<H>, room: usize) -> Vec<(ProcId, H::Pinned)> {
        let held: HashSet<Pid> = self.elders.keys().map(|id| id.pid).collect();
        let mut needed: Vec<Pid> = self.members.values().flat_map(Member::needs).collect();
        needed.sort_unstable();
        needed.dedup();
        needed
            .into_iter()
            .filter(|pid| !held.contains(pid) && *pid != Pid::INIT)
            .take(room.saturating_sub(held.len()))
            .filter_map(|pid| {
                let process = ground.host.pin(pid).ok()?;
                Some((reaper_platform::Pinned::id(&process), process))
            })
            .collect()
    }

    /// Holds an elder's handle for as long as somebody depends on it.
    pub fn hold(&mut self, id: ProcId, process: H::Pinned) {
        self.elders.insert(id, process);
    }

    /// Takes in the end of an elder: everybody below it may be an orphan now, and is looked at as a stranger
    /// again. Returns what its end proves about each of them.
    pub fn bury(&mut self, elder: &ProcId) -> Vec<(ProcId, Ties)> {
        self.elders.remove(elder);
        let below: Vec<ProcId> = self
            .members
            .iter()
            .filter(|(_, m)| m.line.contains(&elder.pid) || m.agent.as_ref() == Some(elder))
            .map(|(id, _)| *id)
            .collect();
        below
            .into_iter()
            .filter_map(|id| {
                let member = self.members.remove(&id)?;
                let dead_parent = member.parent.filter(|parent| *parent == elder.pid);
                Some((id, Ties { dead_parent, agent: member.agent.filter(|agent| agent != elder) }))
            })
            .collect()
    }
}

impl Member {
    fn needs(&self) -> impl Iterator<Item = Pid> + '_ {
        self.line.iter().copied().chain(self.agent.map(|agent| agent.pid))
    }
}

/// The start of a process that started when the clocks read `then`, as it is told now: start times that are the
/// time of day seem earlier when that was set back.
fn start_of(start_clock: StartClock, then: Clock, now: Clock) -> StartTime {
    let ago = now.boottime.saturating_sub(then.boottime);
    start_clock.now(&then).min(start_clock.now(&Clock { realtime: now.realtime.saturating_sub(ago), ..then }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::fake::{self, FakeHost, Machine, Process, Script};
    use reaper_platform::{Here, Scope};

    /// The clocks this long after boot, with this time of day.
    fn at(since_boot: u64, day: u64) -> Clock {
        let since_boot = Duration::from_secs(since_boot);
        Clock { monotonic: since_boot, boottime: since_boot, realtime: Duration::from_secs(day) }
    }

    /// Whom a walk at `now` finds after one at `last`, of two that started before and after that one.
    fn fresh(clock: StartClock, last: Clock, now: Clock, starts: [Clock; 2]) -> Vec<i32> {
        let processes = [1, 2].into_iter().zip(starts);
        let machine =
            Machine::of(processes.map(|(n, at)| Process::new(n, "goose").started(clock.now(&at).0)));
        let host = FakeHost::new(Here { start_clock: clock, ..fake::here() }, machine, Script::new());
        let walk = host.walk(Scope::Everyone).unwrap();
        let mut family = Family::<FakeHost>::new();
        assert_eq!(family.walk(clock, last, &walk).len(), 2, "the first walk looks at everybody");
        family.walk(clock, now, &walk).into_iter().map(Pid::get).collect()
    }

    #[test]
    fn a_walk_finds_who_started_since_the_last_one_began() {
        for clock in [StartClock::BootTicks { per_second: 100 }, StartClock::DayMicros] {
            let starts = [at(90, 5_090), at(110, 5_110)];
            assert_eq!(fresh(clock, at(100, 5_100), at(200, 5_200), starts), [2], "{clock:?}");
        }
    }

    #[test]
    fn a_time_of_day_that_is_set_hides_nobody_who_started_since() {
        // Back by 1,000 s before the second started; forward by as much.
        for day in [4_110, 6_110] {
            let starts = [at(90, 3_900), at(110, day)];
            assert_eq!(fresh(StartClock::DayMicros, at(100, 5_100), at(200, day + 90), starts), [2]);
        }
    }
}
