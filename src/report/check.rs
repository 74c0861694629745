//! The result of one check of the machine, of our rights or of our sandbox: a value that the doctor and the service share.

use reaper_engine::visibility::Lonely;
use reaper_platform::Pid;
use serde::{Deserialize, Serialize};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It could not or need not be asked.
    #[serde(rename = "skip")]
    Skipped,
    /// As it should be.
    Ok,
    /// The job can be done, with a limit that one should know.
    Warn,
    /// The job, or a part of it, cannot be done.
    Fail,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was asked, in one word.
    pub name: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, what: what.into(), hint: None }
    }

    /// Not asked.
    pub fn skipped(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Skipped, what: what.into(), hint: None }
    }

    /// A limit.
    pub fn warn(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, what: what.into(), hint: Some(hint.into()) }
    }

    /// A failure.
    pub fn fail(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, what: what.into(), hint: Some(hint.into()) }
    }

    /// Whether other processes can be seen in our PID namespace at all. A container has one of its own unless it is told to
    /// share one: a sidecar without the pod's shared namespace finds nothing for ever, and everything else about it looks
    /// healthy. `None` where others can be seen and we are not their init: then there is nothing to say.
    #[must_use]
    pub fn namespace(own: Pid, lonely: Option<&Lonely>) -> Option<Self> {
        const NAME: &str = "namespace";
        if let Some(lonely) = lonely {
            return Some(Self::fail(NAME, lonely.what(), lonely.hint()));
        }
        let what =
            "reaper is PID 1 here: while it runs as a service, it collects what it adopts, as an init must";
        (own == Pid::INIT).then(|| Self::ok(NAME, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_sees_nobody_is_told_what_to_share_and_whom_to_run_as() {
        let other = Pid::new(7).unwrap();
        for own in [Pid::INIT, other] {
            let found = Check::namespace(own, Some(&Lonely::Alone)).unwrap();
            assert_eq!(found.level, Level::Fail);
            assert!(found.hint.unwrap().contains("shareProcessNamespace"), "{own}");
        }
        let stranger = Lonely::Strangers("`goose` (pid 9) runs as uid 1000".into());
        let found = Check::namespace(other, Some(&stranger)).unwrap();
        assert!(found.what.contains("uid 1000") && found.hint.unwrap().contains("runAsGroup"));
        assert_eq!(Check::namespace(Pid::INIT, None).unwrap().level, Level::Ok);
        assert_eq!(Check::namespace(other, None), None);
    }
}
