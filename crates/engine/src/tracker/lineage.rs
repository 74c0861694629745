//! Agents whose parent is still alive, and their ancestors.
//!
//! While an agent's parent is alive, the agent is left alone. Tracking it has three uses: the parent's exit is noticed
//! at once instead of at the next tick; the exit proves reparenting, which cannot always be seen from the orphan alone;
//! and a background helper is known to belong to an agent that is still alive. All of this only adds to what a single
//! sweep knows, so losing it is harmless.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use reaper_platform::{Clock, Host, Pid, ProcId, ProcessList, StartClock, StartTime};

use super::budget::Budget;
use reaper_policy::judgement::Judgement;
use reaper_policy::past::Ties;

/// Listing all processes may take 1/36,000 of the time: 0.1 s an hour.
const LISTING: u32 = 36_000;
/// Examining the known launchers and trees may take 1/72,000.
const VISIT: u32 = 72_000;
/// Shortest and longest interval of both, whatever they cost.
const WAIT: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3600);
/// Most processes that one visit examines.
const MAX_VISITED: usize = 2_000;
/// Longest line of parents that is climbed to find an agent.
const MAX_CLIMB: usize = 32;

#[derive(Debug)]
struct Member {
    parent: Option<Pid>,
    /// The processes whose exit may make it an orphan: the wrappers above it, and what started them.
    line: Vec<Pid>,
    /// The nearest agent above it; `None` also before the search for one.
    agent: Option<ProcId>,
    is_placed: bool,
}

impl Member {
    fn ancestors(&self) -> impl Iterator<Item = Pid> + '_ {
        self.line.iter().copied().chain(self.agent.map(|agent| agent.pid))
    }
}

/// The known agents whose parent is still alive.
#[derive(Debug)]
pub struct Lineage {
    members: HashMap<ProcId, Member>,
    listings: Budget,
    visits: Budget,
    /// When the last full listing began: it may lack processes that started later.
    listed: Option<Clock>,
}

impl Default for Lineage {
    fn default() -> Self {
        let (listings, visits) = (Budget::new(LISTING, WAIT), Budget::new(VISIT, WAIT));
        Self { members: HashMap::new(), listings, visits, listed: None }
    }
}

impl Lineage {
    /// Whether a listing of all processes is due.
    #[must_use]
    pub fn is_listing_due(&self, now: Duration) -> bool {
        self.listings.is_due(now)
    }

    /// Makes the next listing return all processes again; needed after the settings have changed.
    pub fn list_anew(&mut self) {
        self.listed = None;
    }

    /// Records the time that a listing took, including the inspection of what it found.
    pub fn listed(&mut self, began: Duration, now: Duration) {
        self.listings.spent(began, now);
        // A full listing covers what a visit would find.
        self.visits.spent(now, now);
    }

    /// Whether an examination of the known launchers and trees is due.
    #[must_use]
    pub fn is_visit_due(&self, now: Duration) -> bool {
        self.visits.is_due(now) && !self.members.is_empty()
    }

    /// Records the time that a visit took.
    pub fn visited(&mut self, began: Duration, now: Duration) {
        self.visits.spent(began, now);
    }

    /// Applies a listing of all processes that was begun at `begun`; returns the processes that were not inspected yet.
    pub fn unknown_in(&mut self, start_clock: StartClock, begun: Clock, listing: &ProcessList) -> Vec<Pid> {
        let there: HashSet<(Pid, StartTime)> =
            listing.entries.iter().map(|e| (e.stat.pid, e.stat.start)).collect();
        self.members.retain(|id, _| there.contains(&(id.pid, id.start)));
        let known: HashSet<Pid> = self.members.keys().map(|id| id.pid).collect();
        let since =
            self.listed.replace(begun).map_or(StartTime(0), |last| start_of(start_clock, last, begun));
        let fresh = listing.entries.iter().filter(|e| e.stat.start >= since && !e.stat.is_dead());
        fresh.map(|e| e.stat.pid).filter(|pid| !known.contains(pid)).collect()
    }

    /// Drops members that have ended, and returns the unknown processes below the known launchers and agents and below
    /// `orphans`.
    pub fn unknown_below<H: Host>(&mut self, host: &H, orphans: impl Iterator<Item = Pid>) -> Vec<Pid> {
        self.members.retain(|id, _| is_there(host, id));
        let known: HashSet<Pid> = self.members.keys().map(|id| id.pid).collect();
        let launchers = self.members.values().flat_map(|m| m.line.iter().copied());
        let mut below: Vec<Pid> = launchers.chain(known.iter().copied()).chain(orphans).collect();
        let mut seen: HashSet<Pid> = below.iter().copied().collect();
        let mut unknown = Vec::new();
        while let Some(pid) = below.pop().filter(|_| seen.len() < MAX_VISITED) {
            for child in host.children(pid).unwrap_or_default() {
                if seen.insert(child) {
                    unknown.push(child);
                    below.push(child);
                }
            }
        }
        unknown.retain(|pid| !known.contains(pid));
        unknown
    }

    /// Those of `pids` that are not members; members that have ended, so that their pid was reused, are dropped.
    pub fn unknown_among<H: Host>(&mut self, host: &H, mut pids: Vec<Pid>) -> Vec<Pid> {
        let mut known: HashMap<Pid, ProcId> = self.members.keys().map(|id| (id.pid, *id)).collect();
        pids.retain(|pid| {
            let ended = known.remove(pid).map(|id| (id, is_there(host, &id)));
            if let Some((id, false)) = ended {
                self.members.remove(&id);
            }
            ended.is_none_or(|(_, is_there)| !is_there)
        });
        pids
    }

    /// Tracks an agent whose parent is alive.
    pub fn track(&mut self, judgement: &Judgement) {
        let parent = judgement.stat.ppid;
        let wrappers = judgement.wrappers.iter().map(|w| w.id.pid);
        let line = wrappers.chain(judgement.held_by).collect();
        let member = Member { parent, line, agent: None, is_placed: false };
        self.members.entry(judgement.id).or_insert(member);
    }

    /// Finds the nearest agent above each new member, and returns the links to record as sightings.
    pub fn place_new<H: Host>(&mut self, host: &H) -> Vec<(ProcId, Ties)> {
        let mut ties = Vec::new();
        if self.members.values().all(|member| member.is_placed) {
            return ties;
        }
        let agents: HashMap<Pid, ProcId> = self.members.keys().map(|id| (id.pid, *id)).collect();
        for (id, member) in self.members.iter_mut().filter(|(_, member)| !member.is_placed) {
            let mut at = member.parent;
            for _ in 0..MAX_CLIMB {
                let Some(stat) = at.and_then(|pid| host.stat_of(pid).ok()) else { break };
                // The member may have exited and its pid been reused.
                if let Some(agent) = agents.get(&stat.pid).filter(|agent| agent.start == stat.start) {
                    member.agent = Some(*agent);
                    ties.push((*id, Ties { dead_parent: None, agent: Some(*agent) }));
                    break;
                }
                at = stat.ppid;
            }
            member.is_placed = true;
        }
        ties
    }

    /// The pids of the processes to watch for exit.
    #[must_use]
    pub fn ancestors(&self) -> HashSet<Pid> {
        self.members.values().flat_map(Member::ancestors).filter(|pid| *pid != Pid::INIT).collect()
    }

    /// Handles the exit of an ancestor: all members below it may be orphans now and are removed. Returns what the exit
    /// proves about each of them.
    pub fn on_exit(&mut self, ancestor: &ProcId) -> Vec<(ProcId, Ties)> {
        let is_below = |m: &Member| m.line.contains(&ancestor.pid) || m.agent.as_ref() == Some(ancestor);
        let below = self.members.extract_if(|_, member| is_below(member));
        below
            .map(|(id, member)| {
                let dead_parent = member.parent.filter(|parent| *parent == ancestor.pid);
                (id, Ties { dead_parent, agent: member.agent.filter(|agent| agent != ancestor) })
            })
            .collect()
    }
}

fn is_there<H: Host>(host: &H, id: &ProcId) -> bool {
    host.stat_of(id.pid).is_ok_and(|stat| stat.start == id.start && !stat.is_dead())
}

/// The start time, as reported now, of a process that started when the clocks read `then`: start times in time of day
/// move when the clock is set.
fn start_of(start_clock: StartClock, then: Clock, now: Clock) -> StartTime {
    let ago = now.boottime.saturating_sub(then.boottime);
    start_clock.now(&then).min(start_clock.now(&Clock { realtime: now.realtime.saturating_sub(ago), ..then }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::fake::{self, FakeHost, FaultScript, Machine, Process};
    use reaper_platform::{HostInfo, Scope};

    /// The clocks this long after boot, with this time of day.
    fn at(since_boot: u64, day: u64) -> Clock {
        let since_boot = Duration::from_secs(since_boot);
        Clock { monotonic: since_boot, boottime: since_boot, realtime: Duration::from_secs(day) }
    }

    /// What a listing at `now` returns after one at `last`, of two processes that started before and after `last`.
    fn fresh(clock: StartClock, last: Clock, now: Clock, starts: [Clock; 2]) -> Vec<i32> {
        let processes = [1, 2].into_iter().zip(starts);
        let machine =
            Machine::of(processes.map(|(n, at)| Process::new(n, "goose").started(clock.now(&at).0)));
        let host =
            FakeHost::new(HostInfo { start_clock: clock, ..fake::host_info() }, machine, FaultScript::new());
        let listing = host.list(Scope::Everyone).unwrap();
        let mut lineage = Lineage::default();
        assert_eq!(lineage.unknown_in(clock, last, &listing).len(), 2, "the first listing returns all");
        lineage.unknown_in(clock, now, &listing).into_iter().map(Pid::get).collect()
    }

    #[test]
    fn a_listing_returns_what_started_since_the_last_one_began() {
        for clock in [StartClock::BootTicks { per_second: 100 }, StartClock::DayMicros] {
            let starts = [at(90, 5_090), at(110, 5_110)];
            assert_eq!(fresh(clock, at(100, 5_100), at(200, 5_200), starts), [2], "{clock:?}");
        }
    }

    #[test]
    fn a_time_of_day_that_is_set_hides_nothing_that_started_since() {
        // Back by 1,000 s before the second started; forward by as much.
        for day in [4_110, 6_110] {
            let starts = [at(90, 3_900), at(110, day)];
            assert_eq!(fresh(StartClock::DayMicros, at(100, 5_100), at(200, day + 90), starts), [2]);
        }
    }
}
