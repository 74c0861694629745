//! Why the self-test stopped early, and how its outcome becomes a check.

use reaper_platform::Why;

use crate::report::check::{Check, Level};
use reaper_engine::failure::Failure;
use reaper_engine::terminate::outcome::Ended;
use reaper_engine::terminate::trouble::Trouble;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;

/// The public name of the check.
pub(super) const NAME: &str = "self-test";

/// Why the self-test stopped early.
pub struct Stop {
    pub level: Level,
    pub what: String,
    pub hint: String,
}

impl Stop {
    pub fn fail(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { level: Level::Fail, what: what.into(), hint: hint.into() }
    }

    /// Another reaper held the lock all the time: a warning, since it shows no fault of the machine.
    pub fn busy(failure: Failure) -> Self {
        Self { level: Level::Warn, ..failure.into() }
    }
}

impl From<Failure> for Stop {
    fn from(e: Failure) -> Self {
        Self::fail(e.message(), e.hint.as_deref().unwrap_or("see the check `state`"))
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Account(e) => e.into(),
            Trouble::Wait(e) => Self::fail(e.to_string(), "raise the limit of open files"),
        }
    }
}

/// The check for the outcome of the stand-in. `called` describes its last parent, which should have reaped it.
pub fn conclude(ended: &Ended, is_collected: bool, called: &str) -> Check {
    let why = ended.why.as_deref().unwrap_or("for no reason that is known");
    match ended.outcome {
        Outcome::Gone => Check::warn(
            NAME,
            "something else ended the stand-in first",
            "is another reaper or a cleaner at work here?",
        ),
        Outcome::Exited | Outcome::Killed if !is_collected => Check::warn(
            NAME,
            format!(
                "a process of our own was found and ended, but {called} does not collect it: zombies stay"
            ),
            "run an init that collects its children as PID 1 (`docker run --init`, tini)",
        ),
        Outcome::Exited => Check::ok(NAME, "a process of our own was orphaned, found, explained and ended"),
        Outcome::Killed => Check::warn(
            NAME,
            "a process of our own was found and ended, but by SIGKILL only: SIGTERM is ignored here",
            "whatever started reaper ignores SIGTERM, and what it starts inherits that",
        ),
        outcome => Check::fail(
            NAME,
            format!("the stand-in was {}: {why}", outcome.name()),
            "see the check `kernel`; a security module may forbid signals",
        ),
    }
}

/// The stand-in was judged, but not as the orphan to be ended that it is.
pub fn unexpected(judgement: &Judgement) -> Stop {
    let what = format!(
        "the stand-in is not to be ended: verdict {}, decided by {}: {}",
        judgement.verdict.name(),
        judgement.decided_by,
        judgement.reason()
    );
    Stop::fail(what, "agents that are started the same way are left alone for the same reason")
}

/// The stand-in cannot be read any more.
pub fn lost(why: &Why) -> Stop {
    Stop::fail(format!("the stand-in is lost: {why}"), "is another reaper or a cleaner at work here?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::{Pid, ProcId, Signal, StartTime};
    use reaper_policy::plan::{Role, Target};
    use std::time::Duration;

    fn ended(outcome: Outcome) -> Ended {
        let id = ProcId { pid: Pid::INIT, start: StartTime(1), generation: None };
        let target = Target {
            id,
            role: Role::Root,
            root: id,
            profiles: Vec::new(),
            uid: None,
            program: b"reaper".to_vec(),
            rss_bytes: 0,
            group: None,
            comeback: None,
        };
        let why = Some("permission denied".to_owned());
        Ended {
            target,
            signals: vec![Signal::Term],
            outcome,
            took: Duration::ZERO,
            why,
            zombie: false,
            fell: None,
            image: None,
            unsure: false,
        }
    }

    #[test]
    fn only_a_clean_exit_passes() {
        let of = |outcome, is_collected| conclude(&ended(outcome), is_collected, "`sh` (pid 1)");
        assert_eq!(of(Outcome::Exited, true).level, Level::Ok);
        let zombie = of(Outcome::Exited, false);
        assert!(zombie.level == Level::Warn && zombie.what.contains("`sh` (pid 1) does not collect"));
        assert_eq!(of(Outcome::Killed, true).level, Level::Warn);
        assert_eq!(of(Outcome::Gone, true).level, Level::Warn);
        for outcome in [Outcome::Denied, Outcome::Spared, Outcome::Survived, Outcome::Interrupted] {
            let bad = of(outcome, true);
            assert!(bad.level == Level::Fail && bad.what.contains(outcome.name()), "{bad:?}");
        }
        assert!(of(Outcome::Denied, true).what.ends_with("permission denied"));
    }

    #[test]
    fn a_lock_held_by_another_reaper_is_a_warning() {
        assert_eq!(Stop::busy(Failure::new("busy")).level, Level::Warn);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let stop = Stop::from(Failure::new("cannot write").at("/h").because(full).hint("free some space"));
        assert_eq!((stop.level, stop.hint.as_str()), (Level::Fail, "free some space"));
        assert!(stop.what.starts_with("cannot write `/h`") && !stop.what.contains("hint"));
    }
}
