//! New processes, found by their pids, so that a new agent is known at the next tick while its parent is still alive.
//!
//! Each process is in two results of [`Host::started_since`] and is inspected both times: at the first it may not have
//! executed its program yet. What that misses (see [`reaper_platform::started`]) is found by the next full listing, as
//! is everything where new processes cannot be found by pid.

use std::time::Duration;

use reaper_platform::{Clock, Host, Pid, PidMark, ProcessList, Scope, StartClock, Why};

use super::budget::Budget;

/// Up to this many new processes are inspected at every tick, whatever the cost.
const MANY: usize = 256;
/// Inspecting more than that may take 1/100 of the time; on a machine that starts processes by the thousand, they wait.
const SHARE: u32 = 100;
/// No new process waits for longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// A process older than this is assumed to have executed its program.
const GROWN_UP: Duration = Duration::from_secs(10);

/// Finds processes that were started since the last tick.
#[derive(Debug)]
pub struct NewPids {
    /// The mark up to which pids are known; `None` where the system does not provide it.
    mark: Option<PidMark>,
    /// The pids that the listing after the first mark covered, sorted: results contain them too until the mark moves
    /// on.
    listed: Vec<Pid>,
    /// The number of processes in the last result.
    examined: usize,
    budget: Budget,
}

impl Default for NewPids {
    fn default() -> Self {
        let budget = Budget::new(SHARE, Duration::ZERO..=LONGEST);
        Self { mark: None, listed: Vec::new(), examined: 0, budget }
    }
}

impl NewPids {
    /// A listing of all processes begins now. Returns whether it is the first one after the mark, so that
    /// [`Self::listed`] must be called with it.
    pub fn begin_listing<H: Host>(&mut self, host: &H) -> bool {
        if self.mark.is_some() {
            return false;
        }
        self.mark = host.pid_mark().ok();
        self.mark.is_some()
    }

    /// Records the first listing after the mark, begun at `begun`.
    pub fn listed(&mut self, listing: &ProcessList, start_clock: StartClock, begun: Clock) {
        let ago = |time: Duration| time.saturating_sub(GROWN_UP);
        let then = Clock {
            monotonic: ago(begun.monotonic),
            boottime: ago(begun.boottime),
            realtime: ago(begun.realtime),
        };
        let young = start_clock.now(&then);
        self.listed = listing.entries.iter().filter(|e| e.stat.start < young).map(|e| e.stat.pid).collect();
        self.listed.sort_unstable();
    }

    /// The processes in scope that were started since the last call, and again those of the call before.
    pub fn list<H: Host>(&mut self, host: &H, scope: Scope, now: Duration) -> Vec<Pid> {
        let Some(mark) = self.mark.filter(|_| self.budget.is_due(now)) else { return Vec::new() };
        match host.started_since(&mark, scope) {
            Ok(started) => {
                self.examined = started.examined;
                let pids = started.entries.iter().map(|listed| listed.pid);
                let pids = pids.filter(|pid| self.listed.binary_search(pid).is_err()).collect();
                if started.mark != mark {
                    (self.mark, self.listed) = (Some(started.mark), Vec::new());
                }
                pids
            }
            Err(error) => {
                if matches!(error.why, Why::Unsupported(_) | Why::Garbled(_)) {
                    (self.mark, self.listed) = (None, Vec::new());
                }
                Vec::new()
            }
        }
    }

    /// Records the time that listing and inspecting new processes took.
    pub fn looked_at(&mut self, began: Duration, now: Duration) {
        if self.examined > MANY {
            self.budget.spent(began, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use reaper_platform::fake::{
        FakeHost, Fault, FaultScript, Machine, Method, Process, When, host_info, pid,
    };

    const S: Duration = Duration::from_secs(1);

    fn listing(new: &mut NewPids, host: &FakeHost) {
        let begun = host.clock();
        if new.begin_listing(host) {
            new.listed(&host.list(Scope::Everyone).unwrap(), host.info().start_clock, begun);
        }
    }

    fn next(new: &mut NewPids, host: &FakeHost) -> Vec<i32> {
        host.sleep(5 * S);
        let pids = new.list(host, Scope::Everyone, host.clock().monotonic);
        pids.into_iter().map(Pid::get).collect()
    }

    fn start(host: &FakeHost, number: i32) {
        let now = host.info().start_clock.now(&host.clock());
        host.change(|machine| machine.add(Process::new(number, "goose").started(now.0)));
    }

    #[test]
    fn what_a_listing_covered_is_not_new_unless_it_was_young() {
        let host = testing::host([Process::new(1, "systemd"), Process::new(20, "goose")]);
        start(&host, 21);
        let mut new = NewPids::default();
        listing(&mut new, &host);
        assert_eq!(next(&mut new, &host), [21]);
        start(&host, 22);
        assert_eq!(next(&mut new, &host), [22]);
        assert_eq!((next(&mut new, &host), next(&mut new, &host)), (vec![22], vec![]));
        // Later listings change nothing.
        listing(&mut new, &host);
        assert_eq!(next(&mut new, &host), [0; 0]);
        // A pid of the listing that is reused.
        host.change(|machine| machine.exit(pid(20)));
        start(&host, 20);
        assert!(next(&mut new, &host).contains(&20));
    }

    #[test]
    fn where_pids_are_unordered_the_next_listing_asks_again() {
        let host = testing::host([Process::new(1, "systemd")]);
        host.change(|machine| machine.orders_pids = false);
        let mut new = NewPids::default();
        listing(&mut new, &host);
        start(&host, 20);
        assert_eq!(next(&mut new, &host), [0; 0]);
        host.change(|machine| machine.orders_pids = true);
        assert_eq!(next(&mut new, &host), [0; 0], "no query without a mark");
        listing(&mut new, &host);
        start(&host, 21);
        assert_eq!(next(&mut new, &host), [20, 21]);
        host.change(|machine| machine.orders_pids = false);
        assert_eq!(next(&mut new, &host), [0; 0]);
        assert_eq!(new.mark, None);
    }

    #[test]
    fn a_failed_query_is_caught_up_by_the_next() {
        let when = When::Call(Method::StartedSince, None, 2);
        let script = FaultScript::new().at(when, Fault::Fail(Why::Denied));
        let host = FakeHost::new(host_info(), Machine::of([Process::new(1, "systemd")]), script);
        let mut new = NewPids::default();
        listing(&mut new, &host);
        next(&mut new, &host);
        start(&host, 20);
        assert_eq!(next(&mut new, &host), [0; 0]);
        assert_eq!(next(&mut new, &host), [20]);
    }

    #[test]
    fn only_large_numbers_wait_and_none_is_lost() {
        let host = testing::host([Process::new(1, "systemd")]);
        let mut new = NewPids::default();
        listing(&mut new, &host);
        next(&mut new, &host);
        let spend = |new: &mut NewPids| {
            let now = host.clock().monotonic;
            new.looked_at(now, now + S / 10);
        };
        start(&host, 20);
        assert_eq!(next(&mut new, &host), [20]);
        spend(&mut new);
        (1_000..1_000 + 300).for_each(|number| start(&host, number));
        assert_eq!(next(&mut new, &host).len(), 301, "one was no reason to wait");
        spend(&mut new);
        start(&host, 2_000);
        assert_eq!(next(&mut new, &host), [0; 0], "0.1 s of work are within budget after 10 s");
        assert_eq!(next(&mut new, &host), [0; 0]);
        let listed = next(&mut new, &host);
        assert_eq!((listed.len(), listed.last()), (301, Some(&2_000)));
    }
}
