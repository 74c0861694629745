//! Which processes were started since a remembered moment, told by the order in which pids are handed out.
//!
//! Linux hands out the pids of a PID namespace in ascending order, to threads as well, and begins again above the
//! reserved ones after the highest (`alloc_pid` in kernel/pid.c; `RESERVED_PIDS` is 300). So the
//! processes that were started since a moment are those between the last pid handed out then, the mark, and the last
//! one handed out now.
//!
//! The pid comes before the process: `copy_process` in kernel/fork.c takes it first and makes the process visible
//! later (`attach_pid`), usually after microseconds, but without a limit: meanwhile its thread can lose the processor,
//! be throttled by a CPU quota or wait for a cgroup that is being changed (`cgroup_can_fork`). A mark that simply moved
//! to the last pid would miss a process that was in between at that moment. So a pid is listed again until a listing
//! that began [`SETTLING`] or more after it was handed out: with calls at least that far apart, each process is listed
//! by two of them, and the caller drops what it knows already.
//!
//! Not found, and therefore left to a full list now and then:
//! * what was started in an earlier round, when there was more than one whole round of pids between two calls: the last
//!   pid alone cannot tell that. A write to `/proc/sys/kernel/ns_last_pid` that sets it back can look the same;
//! * a process whose starter chose a pid outside the numbers in question (`set_tid` of clone3(2), as CRIU does);
//! * a process that comes into scope, by setuid(2), later than it is listed;
//! * one that takes longer than [`SETTLING`] to become visible.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::types::{Pid, Uid};

/// How long after its pid was handed out a process is listed again, because it may not have been visible before. The
/// longest period of a CPU quota is a second (`max_cfs_quota_period`, kernel/sched/core.c).
pub const SETTLING: Duration = Duration::from_secs(1);

/// A position in the order of pids, made by [`crate::Host::pid_mark`] and moved on by [`crate::Host::started_since`].
/// It is of one boot and one PID namespace, and means nothing elsewhere. Its methods are for implementations of
/// [`crate::Host`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PidMark {
    /// Processes up to this pid need not be listed any more; `None` when all have to be listed.
    settled: Option<Pid>,
    /// The last pid that had been handed out at `at`.
    last: Pid,
    /// When `last` was read, on the monotonic clock.
    at: Duration,
}

/// A process that was started since a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its pid.
    pub pid: Pid,
    /// Its effective user at this moment.
    pub uid: Uid,
}

/// The answer of [`crate::Host::started_since`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The processes in scope, by pid: zombies too, and some that an earlier answer had.
    pub entries: Vec<Listed>,
    /// How many processes were examined, in scope or not.
    pub examined: usize,
    /// How many exist but could not be read.
    pub unreadable: usize,
    /// The mark for the next call.
    pub mark: PidMark,
}

/// Every pid.
const ALL: RangeInclusive<i32> = 1..=i32::MAX;

impl PidMark {
    /// A first mark: `last` was handed out, and nothing has been listed yet.
    #[must_use]
    pub const fn first(last: Pid, at: Duration) -> Self {
        Self { settled: None, last, at }
    }

    /// The pids to list when `last` is the last one that has been handed out: one range, or two after a wrap-around, in
    /// ascending order.
    #[must_use]
    pub fn ranges_to(&self, last: Pid) -> Vec<RangeInclusive<i32>> {
        let Some(settled) = self.settled else { return vec![ALL] };
        // From `settled` over `self.last` to `last`, always upwards.
        let rounds = usize::from(self.last < settled) + usize::from(last < self.last);
        let after = settled.get().saturating_add(1);
        match rounds {
            0 if last == settled => Vec::new(),
            0 => vec![after..=last.get()],
            1 if last < settled => vec![1..=last.get(), after..=i32::MAX],
            _ => vec![ALL],
        }
    }

    /// The mark after a listing that began at `now`, when `last` had been handed out.
    #[must_use]
    pub fn moved_to(self, last: Pid, now: Duration) -> Self {
        if now.saturating_sub(self.at) < SETTLING {
            return self;
        }
        Self { settled: Some(self.last), last, at: now }
    }

    /// A mark whose processes have all been listed.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) const fn settled(last: Pid, at: Duration) -> Self {
        Self { settled: Some(last), last, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::new(number).unwrap()
    }

    /// What is listed after the kernel was seen at these pids, at calls that are `apart`.
    fn ranges(seen: &[i32], apart: Duration) -> Vec<RangeInclusive<i32>> {
        let [first, between @ .., last] = seen else { panic!("a first and a last pid") };
        let mut mark = PidMark::first(pid(*first), Duration::ZERO);
        let mut now = Duration::ZERO;
        for last in between {
            now += apart;
            mark = mark.moved_to(pid(*last), now);
        }
        mark.ranges_to(pid(*last))
    }

    #[test]
    fn each_pid_is_listed_by_two_calls() {
        let at = |seen: &[i32]| ranges(seen, SETTLING);
        assert_eq!(at(&[500, 510]), [ALL], "nothing has been listed before");
        assert_eq!(at(&[500, 510, 520]), [501..=520]);
        assert_eq!(at(&[500, 510, 520, 530]), [511..=530]);
        assert_eq!(at(&[500, 500, 520]), [501..=520]);
        assert_eq!(at(&[500, 510, 510]), [501..=510]);
        assert_eq!(at(&[500, 510, 510, 510]), [], "nothing was started for two calls");
    }

    #[test]
    fn calls_in_quick_succession_do_not_shorten_the_time_to_become_visible() {
        let at = |seen: &[i32]| ranges(seen, SETTLING / 2);
        assert_eq!(at(&[500, 510, 520]), [ALL]);
        assert_eq!(at(&[500, 510, 520, 530]), [501..=530], "500 was handed out a second before");
        assert_eq!(at(&[500, 510, 520, 530, 540]), [501..=540]);
        assert_eq!(at(&[500, 510, 520, 530, 540, 550]), [521..=550]);
    }

    #[test]
    fn after_the_highest_pid_they_begin_again() {
        let at = |seen: &[i32]| ranges(seen, SETTLING);
        let both = vec![1..=310, 32_701..=i32::MAX];
        assert_eq!(at(&[32_700, 32_750, 310]), both, "since the last call");
        assert_eq!(at(&[32_700, 305, 310]), both, "since the call before");
        assert_eq!(at(&[32_700, 305, 305]), [1..=305, 32_701..=i32::MAX]);
        assert_eq!(at(&[32_700, 305, 310, 320]), [306..=320]);
    }

    #[test]
    fn more_than_a_round_between_three_calls_lists_everything() {
        let at = |seen: &[i32]| ranges(seen, SETTLING);
        assert_eq!(at(&[500, 400, 600]), [ALL]);
        assert_eq!(at(&[500, 900, 700]), [ALL]);
        assert_eq!(at(&[500, 400, 300]), [ALL]);
        assert_eq!(at(&[500, 400, 500]), [ALL]);
    }

    /// A simulated kernel hands out one pid after another, and every process becomes visible a little later.
    #[test]
    fn whatever_becomes_visible_in_time_is_listed() {
        use proptest::prelude::*;
        const HIGHEST: i32 = 400;
        // In all less than a round, so that no pid is given twice.
        let (between, at_once) = (prop_oneof![Just(0u64), 0u64..2_500], 0usize..30);
        let calls = prop::collection::vec((between, prop::collection::vec(0u64..1_000, at_once)), 1..12);
        proptest!(|(calls in calls, start in 1..=HIGHEST)| {
            let (mut last, mut now) = (start, 0);
            let mut mark = PidMark::first(pid(last), Duration::ZERO);
            // When each became visible, its pid, and whether it was listed.
            let mut born: Vec<(u64, i32, bool)> = Vec::new();
            for (wait, delays) in calls.into_iter().chain([(1_000, vec![]), (1_000, vec![])]) {
                for delay in delays {
                    last = if last == HIGHEST { 1 } else { last + 1 };
                    born.push((now + delay, last, false));
                }
                now += wait;
                let ranges = mark.ranges_to(pid(last));
                for (visible, number, listed) in &mut born {
                    *listed |= *visible <= now && ranges.iter().any(|range| range.contains(number));
                }
                mark = mark.moved_to(pid(last), Duration::from_millis(now));
            }
            for (_, number, listed) in born {
                prop_assert!(listed, "{number}");
            }
        });
    }
}
