//! New processes, learnt of by their pids, so that a new agent in its place is known at the next tick.
//!
//! Each process is in two answers of [`Host::started_since`], and is looked at each time: the first time it may not have
//! executed its program yet. What that does not find (see [`reaper_platform::started`]) is left to a walk, as is
//! everything where new processes cannot be told by their pids.

use std::time::Duration;

use reaper_platform::{Clock, Host, Pid, PidMark, ProcessList, Scope, StartClock, Why};

use super::budget::Budget;

/// So many new processes are looked at by every tick.
const MANY: usize = 256;
/// Looks at more than that may take 1/100 of the time: on a machine that starts them by the thousand, they wait.
const SHARE: u32 = 100;
/// No new process waits for longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// A process that is older than this has executed its program when it is looked at.
const GROWN_UP: Duration = Duration::from_secs(10);

/// New processes.
#[derive(Debug)]
pub struct NewPids {
    /// Up to which pid processes are known; `None` where the system does not say.
    mark: Option<PidMark>,
    /// What the walk after the first mark looked at, in order: the answers have it as well until the mark moves on.
    walked: Vec<Pid>,
    /// How many processes the last answer had.
    examined: usize,
    budget: Budget,
}

impl Default for NewPids {
    fn default() -> Self {
        let budget = Budget::new(SHARE, Duration::ZERO..=LONGEST);
        Self { mark: None, walked: Vec::new(), examined: 0, budget }
    }
}

impl NewPids {
    /// A walk over all processes is made, which begins now. Says whether it is the first one after the mark, so that
    /// [`Self::walked`] is to be told of it.
    pub fn begin_walk<H: Host>(&mut self, host: &H) -> bool {
        if self.mark.is_some() {
            return false;
        }
        self.mark = host.pid_mark().ok();
        self.mark.is_some()
    }

    /// What the first walk after the mark found, when it was begun then.
    pub fn walked(&mut self, walk: &ProcessList, start_clock: StartClock, begun: Clock) {
        let ago = |time: Duration| time.saturating_sub(GROWN_UP);
        let then = Clock {
            monotonic: ago(begun.monotonic),
            boottime: ago(begun.boottime),
            realtime: ago(begun.realtime),
        };
        let young = start_clock.now(&then);
        self.walked = walk.entries.iter().filter(|e| e.stat.start < young).map(|e| e.stat.pid).collect();
        self.walked.sort_unstable();
    }

    /// The processes in scope that were started since the last call, and once more those of the call before.
    pub fn list<H: Host>(&mut self, host: &H, scope: Scope, now: Duration) -> Vec<Pid> {
        let Some(mark) = self.mark.filter(|_| self.budget.is_due(now)) else { return Vec::new() };
        match host.started_since(&mark, scope) {
            Ok(started) => {
                self.examined = started.examined;
                let pids = started.entries.iter().map(|listed| listed.pid);
                let pids = pids.filter(|pid| self.walked.binary_search(pid).is_err()).collect();
                if started.mark != mark {
                    (self.mark, self.walked) = (Some(started.mark), Vec::new());
                }
                pids
            }
            Err(error) => {
                if matches!(error.why, Why::Unsupported(_) | Why::Garbled(_)) {
                    (self.mark, self.walked) = (None, Vec::new());
                }
                Vec::new()
            }
        }
    }

    /// Takes in what it has cost to list new processes and to look at them.
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

    fn walk(new: &mut NewPids, host: &FakeHost) {
        let begun = host.clock();
        if new.begin_walk(host) {
            new.walked(&host.list(Scope::Everyone).unwrap(), host.info().start_clock, begun);
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
    fn what_a_walk_looked_at_is_not_new_unless_it_was_young() {
        let host = testing::host([Process::new(1, "systemd"), Process::new(20, "goose")]);
        start(&host, 21);
        let mut new = NewPids::default();
        walk(&mut new, &host);
        assert_eq!(next(&mut new, &host), [21]);
        start(&host, 22);
        assert_eq!(next(&mut new, &host), [22]);
        assert_eq!((next(&mut new, &host), next(&mut new, &host)), (vec![22], vec![]));
        // Later walks are nothing to it.
        walk(&mut new, &host);
        assert_eq!(next(&mut new, &host), [0; 0]);
        // A pid that the walk saw and that is given to another process.
        host.change(|machine| machine.exit(pid(20)));
        start(&host, 20);
        assert!(next(&mut new, &host).contains(&20));
    }

    #[test]
    fn where_pids_tell_nothing_the_next_walk_asks_again() {
        let host = testing::host([Process::new(1, "systemd")]);
        host.change(|machine| machine.orders_pids = false);
        let mut new = NewPids::default();
        walk(&mut new, &host);
        start(&host, 20);
        assert_eq!(next(&mut new, &host), [0; 0]);
        host.change(|machine| machine.orders_pids = true);
        assert_eq!(next(&mut new, &host), [0; 0], "nothing is asked without a mark");
        walk(&mut new, &host);
        start(&host, 21);
        assert_eq!(next(&mut new, &host), [20, 21]);
        host.change(|machine| machine.orders_pids = false);
        assert_eq!(next(&mut new, &host), [0; 0]);
        assert_eq!(new.mark, None);
    }

    #[test]
    fn a_listing_that_fails_once_is_made_up_for() {
        let when = When::Call(Method::StartedSince, None, 2);
        let script = FaultScript::new().at(when, Fault::Fail(Why::Denied));
        let host = FakeHost::new(host_info(), Machine::of([Process::new(1, "systemd")]), script);
        let mut new = NewPids::default();
        walk(&mut new, &host);
        next(&mut new, &host);
        start(&host, 20);
        assert_eq!(next(&mut new, &host), [0; 0]);
        assert_eq!(next(&mut new, &host), [20]);
    }

    #[test]
    fn only_very_many_wait_and_none_is_lost() {
        let host = testing::host([Process::new(1, "systemd")]);
        let mut new = NewPids::default();
        walk(&mut new, &host);
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
        assert_eq!(next(&mut new, &host), [0; 0], "0.1 s of work are paid off in 10 s");
        assert_eq!(next(&mut new, &host), [0; 0]);
        let listed = next(&mut new, &host);
        assert_eq!((listed.len(), listed.last()), (301, Some(&2_000)));
    }
}
