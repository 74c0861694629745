//! Which processes adopt orphans on this machine: PID 1, the user's service manager, and adopters that the config
//! names.

use reaper_platform::{Host, HostError, Pid, Scope};

use crate::report::check::Check;
use reaper_engine::context::Context;
use reaper_engine::discover;
use reaper_engine::inspect::Inspector;
use reaper_policy::gates::orphan::{Kind, NAMED};

const NAME: &str = "adopters";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// PID 1: how it is called, and its role for an orphan.
    pub init: (String, Kind),
    /// The other adopters.
    pub others: Result<Vec<(Pid, String, Kind)>, HostError>,
    /// The programs that the config names.
    pub named: Vec<String>,
}

impl Facts {
    /// The user's service manager.
    #[must_use]
    pub fn manager(&self) -> Option<Pid> {
        let others = self.others.as_ref().ok()?;
        others.iter().find(|(.., kind)| *kind == MANAGER).map(|(pid, ..)| *pid)
    }
}

const MANAGER: Kind = Kind::Adopter("the user's service manager");

/// Finds the adopters as a scan does.
pub fn gather<H: Host>(context: &Context<H>) -> Facts {
    let inspector = Inspector::new(context);
    let uid = match context.own.scope {
        Scope::User(uid) => Some(uid),
        Scope::Everyone => None,
    };
    let census = discover::take(&context.host, &context.policy, context.own.scope);
    let others = census.map(|census| {
        let others = census.adopters.into_iter().filter(|pid| *pid != Pid::INIT);
        others
            .map(|pid| {
                let (called, kind) = inspector.adopter(pid, uid);
                (pid, called, kind)
            })
            .collect()
    });
    Facts { init: inspector.adopter(Pid::INIT, uid), others, named: context.policy.adopters.to_vec() }
}

/// Makes the check.
#[must_use]
pub fn check(facts: &Facts) -> Check {
    let others = match &facts.others {
        Ok(others) => others,
        Err(e) => {
            return Check::fail(
                NAME,
                format!("{e}: no orphan can be found"),
                "mount /proc of the PID namespace that reaper runs in",
            );
        }
    };
    let (init, kind) = &facts.init;
    let mut parts = vec![match kind {
        Kind::Adopter(how) | Kind::Suspect(how) => format!("{init}, {how}"),
        _ => format!("{init}, of which nothing is known"),
    }];
    parts.extend(others.iter().map(|(_, called, kind)| match kind {
        Kind::Adopter(how) | Kind::Suspect(how) => format!("{called}, {how}"),
        _ => called.clone(),
    }));
    let missing: Vec<&str> = facts
        .named
        .iter()
        .filter(|name| {
            let by_config =
                |called: &str, kind: &Kind| *kind == Kind::Suspect(NAMED) && called.contains(name.as_str());
            !by_config(init, kind) && !others.iter().any(|(_, called, kind)| by_config(called, kind))
        })
        .map(String::as_str)
        .collect();
    if !matches!(kind, Kind::Adopter(_)) {
        return Check::warn(
            NAME,
            format!(
                "{}: it may have started an agent itself, so its orphans are ended only where something proves that \
                 their parent died (their session, REAPER_OWNER, or that the service saw it)",
                parts.join("; ")
            ),
            "give the container an init (`docker run --init`, shareProcessNamespace in a pod)",
        );
    }
    if !missing.is_empty() {
        return Check::warn(
            NAME,
            format!(
                "{}; `{}` of the config's `adopters` is not running, or has no children of yours",
                parts.join("; "),
                missing.join("`, `")
            ),
            "nothing has to be done if it is started later; else remove it, because it makes each sweep walk all of /proc",
        );
    }
    Check::ok(NAME, parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;
    use reaper_platform::Why;

    fn facts(init: &str, kind: Kind) -> Facts {
        Facts { init: (format!("`{init}` (pid 1)"), kind), others: Ok(Vec::new()), named: Vec::new() }
    }

    #[test]
    fn known_inits_and_managers_are_named() {
        let mut found = facts("systemd", Kind::Adopter("an init"));
        let manager = Pid::new(812).unwrap();
        found.others = Ok(vec![(manager, "`systemd` (pid 812)".into(), MANAGER)]);
        let checked = check(&found);
        assert_eq!(checked.level, Level::Ok);
        assert_eq!(
            checked.what,
            "`systemd` (pid 1), an init; `systemd` (pid 812), the user's service manager"
        );
        assert_eq!(found.manager(), Some(manager));
    }

    #[test]
    fn an_unknown_pid_1_is_a_limit() {
        for kind in [Kind::Suspect("of which nothing is known"), Kind::Unreadable(Why::Denied)] {
            let found = check(&facts("sh", kind));
            assert_eq!(found.level, Level::Warn);
            assert!(found.what.contains("`sh`") && found.hint.unwrap().contains("--init"), "{}", found.what);
        }
    }

    #[test]
    fn adopters_of_the_config_must_be_there_to_help() {
        let mut found = facts("systemd", Kind::Adopter("an init"));
        found.named = vec!["conmon".into()];
        assert_eq!(check(&found).level, Level::Warn);
        let there = Kind::Suspect(NAMED);
        found.others = Ok(vec![(Pid::new(9).unwrap(), "`conmon` (pid 9)".into(), there)]);
        assert_eq!(check(&found).level, Level::Ok);
    }

    #[test]
    fn without_a_list_nothing_can_be_found() {
        let mut found = facts("systemd", Kind::Adopter("an init"));
        found.others = Err(HostError { what: "list /proc", why: Why::Denied });
        assert_eq!(check(&found).level, Level::Fail);
    }
}
