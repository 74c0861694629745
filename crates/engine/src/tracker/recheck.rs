//! Children of the adopters that are of no interest, and when to check them again.
//!
//! `exec` can turn any process into an agent, and a pid can be given to another process between two looks. Both mostly
//! concern young processes, so a new one is checked again soon and then with growing intervals. A process whose memory
//! cannot be read in time costs a thread each time (see [`crate::deadline`]) and is checked least often.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::Pid;

use super::environment::Environment;
use super::triage::Triaged;

/// The longest interval between two checks of a process of no interest.
const LONGEST: Duration = Duration::from_secs(120);
/// The same for a process whose reads time out.
const LONGEST_SLOW: Duration = Duration::from_secs(3600);

/// The next interval after an interval of `before`.
#[must_use]
pub fn longer(before: Option<Duration>, interval: Duration, environment: Environment) -> Duration {
    match environment {
        Environment::Slow => before.map_or(LONGEST, |b| b.saturating_mul(2).clamp(LONGEST, LONGEST_SLOW)),
        _ => before.map_or(Duration::ZERO, |b| b.saturating_mul(2).max(interval).min(LONGEST)),
    }
}

#[derive(Debug)]
struct Entry {
    wait: Duration,
    looked_at: Duration,
    look: Triaged,
}

/// Children of the adopters that were of no interest when last inspected.
#[derive(Debug, Default)]
pub struct Recheck {
    entries: HashMap<Pid, Entry>,
}

impl Recheck {
    /// Whether a process was inspected and is not due for another check yet.
    #[must_use]
    pub fn is_known(&self, pid: Pid, now: Duration) -> bool {
        self.entries.get(&pid).is_some_and(|entry| entry.looked_at + entry.wait > now)
    }

    /// Records an inspection that found nothing of interest.
    pub fn enter(&mut self, pid: Pid, look: Triaged, now: Duration, interval: Duration) {
        let before = self.entries.get(&pid).map(|entry| entry.wait);
        let wait = longer(before, interval, look.environment());
        self.entries.insert(pid, Entry { wait, looked_at: now, look });
    }

    /// When a process was last inspected.
    #[must_use]
    pub fn looked_at(&self, pid: Pid) -> Option<Duration> {
        self.entries.get(&pid).map(|entry| entry.looked_at)
    }

    /// Removes a process that is of interest now, or is to be treated as new.
    pub fn remove(&mut self, pid: Pid) {
        self.entries.remove(&pid);
    }

    /// Treats all processes as new.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Drops the processes that are not among these, which must be sorted.
    pub fn retain_among(&mut self, pids: &[Pid]) {
        self.entries.retain(|pid, _| pids.binary_search(pid).is_ok());
    }

    /// The results of the latest inspections, in no order.
    pub fn looks(&self) -> impl Iterator<Item = (Pid, &Triaged)> {
        self.entries.iter().map(|(pid, entry)| (*pid, &entry.look))
    }

    /// The same; consumes the records.
    pub fn into_looks(self) -> impl Iterator<Item = Triaged> {
        self.entries.into_values().map(|entry| entry.look)
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::Readings;
    use super::*;
    use reaper_platform::fake::pid;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn m09_young_processes_are_rechecked_soon_and_old_ones_rarely() {
        let mut recheck = Recheck::default();
        let (mut now, mut looks) = (100 * S, 0);
        for _ in 0..200 {
            if !recheck.is_known(pid(7), now) {
                recheck.enter(pid(7), Triaged::Unmarked, now, 5 * S);
                looks += 1;
                assert!(
                    now > 100 * S || !recheck.is_known(pid(7), now + 5 * S),
                    "the next tick checks again"
                );
            }
            now += 5 * S;
        }
        // At 0, 5, 10, 20, 40, 80, 160, then every 120 s of 1,000 s.
        assert_eq!(looks, 13);
        recheck.retain_among(&[pid(6), pid(8)]);
        assert_eq!(recheck.looks().count(), 0);
    }

    #[test]
    fn r06_reads_that_time_out_back_off() {
        let mut recheck = Recheck::default();
        let (mut now, mut looks) = (S, 0);
        for _ in 0..24 * 3600 / 5 {
            if !recheck.is_known(pid(7), now) {
                recheck.enter(pid(7), Triaged::Failed(Environment::Slow), now, 5 * S);
                looks += 1;
            }
            now += 5 * S;
        }
        assert!((24..40).contains(&looks), "{looks} a day");
        recheck.enter(pid(8), Triaged::Foreign, now, 5 * S);
        let readings: Readings = recheck.looks().map(|(_, look)| look.environment()).collect();
        assert_eq!(
            (readings.unread, readings.read),
            (1, 0),
            "another user's process is no evidence of what we can read"
        );
    }
}
