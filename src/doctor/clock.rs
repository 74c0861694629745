//! The clocks: grace is measured by the monotonic clock, ages and sightings by the kernel's start times. They must
//! agree.

use std::time::Duration;

use reaper_platform::{Clock, HostInfo, StartTime};

use crate::report::check::Check;
use reaper_engine::format;

const NAME: &str = "clock";
/// 2024-01-01: an earlier time of day was never set.
const PLAUSIBLE: Duration = Duration::from_secs(1_704_067_200);
/// Tolerance, since the clocks are read one after the other.
const SLACK: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// A first reading of the clocks.
    pub before: Clock,
    /// A later reading.
    pub after: Clock,
    /// Our own start time; `None` when it cannot be read.
    pub own_start: Option<StartTime>,
    /// Our process and machine.
    pub here: &'a HostInfo,
}

/// Makes the check.
#[must_use]
pub fn check(facts: &Facts<'_>) -> Check {
    let (before, after) = (&facts.before, &facts.after);
    let broken = |what: String| {
        let hint = "a hypervisor, a time namespace or a sandbox shows a false clock; nothing is ended too early, \
                    but perhaps never";
        Check::fail(NAME, what, hint)
    };
    if after.monotonic < before.monotonic || after.boottime < before.boottime {
        return broken("the monotonic clock runs backwards".to_owned());
    }
    if after.monotonic > after.boottime + SLACK {
        return broken("the clock since boot is behind the monotonic one".to_owned());
    }
    let Some(start) = facts.own_start else {
        return broken("our own start time cannot be read".to_owned());
    };
    let now = facts.here.start_clock.now(after);
    if start > now {
        return broken(format!("we were started in the future: at {} of {}", start.0, now.0));
    }
    if after.realtime < PLAUSIBLE {
        return Check::warn(
            NAME,
            format!("the time of day is {}", format::time(after.realtime)),
            "set the clock; only the times in reports and in the history depend on it",
        );
    }
    let slept = after.boottime.saturating_sub(after.monotonic);
    let asleep = if slept > SLACK { format!(", asleep for {}", format::span(slept)) } else { String::new() };
    Check::ok(
        NAME,
        format!("{} since boot{asleep}, {}", format::span(after.boottime), format::time(after.realtime)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;
    use reaper_platform::fake;

    fn at(monotonic: u64, boottime: u64) -> Clock {
        let [monotonic, boottime] = [monotonic, boottime].map(Duration::from_secs);
        Clock { monotonic, boottime, realtime: Duration::from_secs(1_767_323_045) }
    }

    fn found(before: Clock, after: Clock, own_start: Option<u64>) -> Check {
        check(&Facts { before, after, own_start: own_start.map(StartTime), here: &fake::host_info() })
    }

    #[test]
    fn clocks_that_agree() {
        let good = found(at(1000, 5000), at(1001, 5001), Some(499_000));
        assert_eq!(good.level, Level::Ok);
        assert_eq!(good.what, "1 h 23 min since boot, asleep for 1 h 06 min, 2026-01-02T03:04:05.000Z");
    }

    #[test]
    fn clocks_that_do_not() {
        for (before, after, start) in [
            (at(1000, 5000), at(999, 5000), Some(1)),
            (at(1000, 5000), at(1000, 4999), Some(1)),
            (at(1000, 900), at(1000, 900), Some(1)),
            (at(1000, 5000), at(1000, 5000), Some(500_001)),
            (at(1000, 5000), at(1000, 5000), None),
        ] {
            let found = found(before, after, start);
            assert_eq!(found.level, Level::Fail, "{found:?}");
        }
        let mut unset = at(1, 1);
        unset.realtime = Duration::from_secs(5);
        assert_eq!(found(unset, unset, Some(1)).level, Level::Warn);
    }
}
