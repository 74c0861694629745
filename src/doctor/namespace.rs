//! Whose processes can be seen at all: a container has a PID namespace of its own unless it is told to share one.
//!
//! A sidecar without the pod's shared namespace finds nothing for ever, and everything else about it looks healthy.

use reaper_platform::Pid;

use super::Check;
use crate::sweep::{ALONE, ALONE_HINT};

const NAME: &str = "namespace";

/// Checks it; where other processes are to be seen there is nothing to say, unless we are their init.
#[must_use]
pub fn check(own: Pid, is_alone: bool) -> Option<Check> {
    if is_alone {
        return Some(Check::fail(NAME, ALONE, ALONE_HINT));
    }
    let what =
        "reaper is PID 1 here: while it runs as a service, it collects what it adopts, as an init must";
    (own == Pid::INIT).then(|| Check::ok(NAME, what))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_container_of_its_own_is_told_how_to_share() {
        let other = Pid::new(7).unwrap();
        for own in [Pid::INIT, other] {
            let found = check(own, true).unwrap();
            assert_eq!(found.level, Level::Fail);
            assert!(found.hint.unwrap().contains("shareProcessNamespace"), "{own}");
        }
        assert_eq!(check(Pid::INIT, false).unwrap().level, Level::Ok);
        assert_eq!(check(other, false), None);
    }
}
