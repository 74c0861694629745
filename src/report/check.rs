//! The result of one check of the machine, our rights or our sandbox; shared by the doctor and the service.

use reaper_engine::visibility::VisibilityProblem;
use reaper_platform::Pid;
use serde::{Deserialize, Serialize};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It could not be made, or does not apply.
    #[serde(rename = "skip")]
    Skipped,
    /// Passed.
    Ok,
    /// Works, with a limitation that the user should know.
    Warn,
    /// Orphans, or some of them, cannot be found or ended.
    Fail,
}

/// One check with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the check, one word.
    pub name: &'static str,
    /// The result.
    pub level: Level,
    /// What was found, in words.
    pub what: String,
    /// How to fix it, if there is anything to fix.
    pub hint: Option<String>,
}

impl Check {
    /// Passed.
    pub fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, what: what.into(), hint: None }
    }

    /// A check that was not made, and why.
    pub fn skipped(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Skipped, what: what.into(), hint: None }
    }

    /// A check that passed with a limitation, and how to remove it.
    pub fn warn(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, what: what.into(), hint: Some(hint.into()) }
    }

    /// A check that failed, and how to fix it.
    pub fn fail(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, what: what.into(), hint: Some(hint.into()) }
    }

    /// Whether other processes can be seen in our PID namespace at all. A container has its own unless it is configured
    /// to share one: a sidecar without the pod's shared namespace never finds anything, while everything else about it
    /// looks healthy. `None` where others can be seen and we are not their init.
    #[must_use]
    pub fn namespace(own: Pid, visibility_problem: Option<&VisibilityProblem>) -> Option<Self> {
        const NAME: &str = "namespace";
        if let Some(visibility_problem) = visibility_problem {
            return Some(Self::fail(NAME, visibility_problem.what(), visibility_problem.hint()));
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
    fn a_container_that_sees_no_agents_gets_the_remedy() {
        let other = Pid::new(7).unwrap();
        for own in [Pid::INIT, other] {
            let found = Check::namespace(own, Some(&VisibilityProblem::Alone)).unwrap();
            assert_eq!(found.level, Level::Fail);
            assert!(found.hint.unwrap().contains("shareProcessNamespace"), "{own}");
        }
        let stranger = VisibilityProblem::Strangers("`goose` (pid 9) runs as uid 1000".into());
        let found = Check::namespace(other, Some(&stranger)).unwrap();
        assert!(found.what.contains("uid 1000") && found.hint.unwrap().contains("runAsGroup"));
        assert_eq!(Check::namespace(Pid::INIT, None).unwrap().level, Level::Ok);
        assert_eq!(Check::namespace(other, None), None);
    }
}
