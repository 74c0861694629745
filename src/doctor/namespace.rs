//! Whose processes can be seen at all: a container has a PID namespace of its own unless it is told to share one, and
//! runs as somebody whom the agents' environments may be closed to.
//!
//! A sidecar without the pod's shared namespace, or with another group than the workload's, finds nothing for ever, and
//! everything else about it looks healthy.

use reaper_platform::Pid;

use super::Check;
use reaper_engine::tracker::Survey;
use reaper_engine::visibility::{AS_THE_AGENTS, Lonely};

/// Checks who is there; where others can be seen there is nothing to say, unless we are their init.
#[must_use]
pub fn check(own: Pid, lonely: Option<&Lonely>) -> Option<Check> {
    if let Some(lonely) = lonely {
        return Some(Check::fail("namespace", lonely.what(), lonely.hint()));
    }
    let what =
        "reaper is PID 1 here: while it runs as a service, it collects what it adopts, as an init must";
    (own == Pid::INIT).then(|| Check::ok("namespace", what))
}

/// Checks whether those that are there can be read: nothing to say where one can.
#[must_use]
pub fn sight(survey: &Survey) -> Option<Check> {
    let what =
        "not one environment of the processes here could be read, so no marker of an agent can be seen";
    survey.blind.then(|| Check::fail("agents", what, AS_THE_AGENTS))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_container_that_sees_nobody_is_told_what_to_share_and_whom_to_run_as() {
        let other = Pid::new(7).unwrap();
        for own in [Pid::INIT, other] {
            let found = check(own, Some(&Lonely::Alone)).unwrap();
            assert_eq!(found.level, Level::Fail);
            assert!(found.hint.unwrap().contains("shareProcessNamespace"), "{own}");
        }
        let found =
            check(other, Some(&Lonely::Strangers("`goose` (pid 9) runs as uid 1000".into()))).unwrap();
        assert!(found.what.contains("uid 1000") && found.hint.unwrap().contains("runAsGroup"));
        assert_eq!(check(Pid::INIT, None).unwrap().level, Level::Ok);
        assert_eq!(check(other, None), None);
    }
}
