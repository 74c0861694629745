//! Who is of no interest, and when to make sure of that again.
//!
//! `exec` can make an agent of anyone, and a number can come to mean another process between two looks. Both
//! happen to the young: so whoever is new is looked at again soon, and then ever less often. One whose memory
//! cannot be read in time costs a thread each time (see [`crate::deadline`]), and is asked least of all.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::{Pid, Why};

/// The longest time between two looks at somebody of no interest.
const LONGEST: Duration = Duration::from_secs(120);
/// The same for one that does not answer.
const LONGEST_SLOW: Duration = Duration::from_secs(3600);

/// What the last look at somebody of no interest came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// It was read, and is none of ours to end.
    Read,
    /// It is another user's.
    Foreign,
    /// It could not be read.
    Unreadable,
    /// It did not answer in time.
    Slow,
}

impl Sort {
    /// What a look came to that failed for this reason, or for none.
    #[must_use]
    pub const fn of(why: Option<&Why>) -> Self {
        match why {
            None => Self::Read,
            Some(Why::Slow(_)) => Self::Slow,
            Some(_) => Self::Unreadable,
        }
    }
}

/// How long to leave somebody alone who was left alone for `before` already.
#[must_use]
pub fn longer(before: Option<Duration>, interval: Duration, sort: Sort) -> Duration {
    match sort {
        Sort::Slow => before.map_or(LONGEST, |b| b.saturating_mul(2).clamp(LONGEST, LONGEST_SLOW)),
        _ => before.map_or(Duration::ZERO, |b| b.saturating_mul(2).max(interval).min(LONGEST)),
    }
}

#[derive(Debug, Clone, Copy)]
struct Innocent {
    wait: Duration,
    filed: Duration,
    sort: Sort,
}

/// Children of the adopters that are of no interest, as of the last look.
#[derive(Debug, Default)]
pub struct Innocents {
    all: HashMap<Pid, Innocent>,
}

impl Innocents {
    /// Whether a process was looked at, and need not be looked at again yet.
    #[must_use]
    pub fn is_known(&self, pid: Pid, now: Duration) -> bool {
        self.all.get(&pid).is_some_and(|it| it.filed + it.wait > now)
    }

    /// Takes in a look that found nothing, or that failed.
    pub fn file(&mut self, pid: Pid, sort: Sort, now: Duration, interval: Duration) {
        let before = self.all.get(&pid).map(|it| it.wait);
        let wait = longer(before, interval, sort);
        self.all.insert(pid, Innocent { wait, filed: now, sort });
    }

    /// When a process was last looked at.
    #[must_use]
    pub fn filed_at(&self, pid: Pid) -> Option<Duration> {
        self.all.get(&pid).map(|it| it.filed)
    }

    /// It is of interest now, or to be looked at as if it were new.
    pub fn remove(&mut self, pid: Pid) {
        self.all.remove(&pid);
    }

    /// Everybody is to be looked at as if they were new.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Forgets whoever is not among these, which are in order.
    pub fn retain_among(&mut self, pids: &[Pid]) {
        self.all.retain(|pid, _| pids.binary_search(pid).is_ok());
    }

    /// How many of our own there are, and how many of those could not be read.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let sorts = self.all.values().map(|it| it.sort);
        let ours = sorts.clone().filter(|sort| *sort != Sort::Foreign).count();
        (ours, sorts.filter(|sort| matches!(sort, Sort::Unreadable | Sort::Slow)).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn pid(n: i32) -> Pid {
        Pid::new(n).unwrap()
    }

    #[test]
    fn m09_the_young_are_looked_at_again_soon_and_the_old_rarely() {
        let mut innocents = Innocents::default();
        let (mut now, mut looks) = (100 * S, 0);
        for _ in 0..200 {
            if !innocents.is_known(pid(7), now) {
                innocents.file(pid(7), Sort::Read, now, 5 * S);
                looks += 1;
                assert!(
                    now > 100 * S || !innocents.is_known(pid(7), now + 5 * S),
                    "the next tick looks again"
                );
            }
            now += 5 * S;
        }
        // At 0, 5, 10, 20, 40, 80, 160, then every 120 s of 1,000 s.
        assert_eq!(looks, 13);
        innocents.retain_among(&[pid(6), pid(8)]);
        assert_eq!(innocents.count(), (0, 0));
    }

    #[test]
    fn r06_one_that_does_not_answer_is_asked_ever_less_often() {
        let mut innocents = Innocents::default();
        let slow = Sort::of(Some(&Why::Slow(S)));
        let (mut now, mut looks) = (S, 0);
        for _ in 0..24 * 3600 / 5 {
            if !innocents.is_known(pid(7), now) {
                innocents.file(pid(7), slow, now, 5 * S);
                looks += 1;
            }
            now += 5 * S;
        }
        assert!((24..40).contains(&looks), "{looks} a day");
        innocents.file(pid(8), Sort::Foreign, now, 5 * S);
        assert_eq!(innocents.count(), (1, 1), "another user's process says nothing about our sight");
    }
}
