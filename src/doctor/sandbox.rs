//! Whether a sandbox blinds us: a process in a user namespace of its own may not read the environment of a process
//! outside, even of the same user, so that no marker is ever seen.
//!
//! The trap in practice is a user unit that was "hardened": since systemd 254 each of the [`DIRECTIVES`] implies
//! `PrivateUsers=`. Everything else goes on working there, so that the service would never report anything.

use std::time::Duration;

use reaper_platform::{Host as _, Machine, NativeHost, Pid, RuntimeUnit, Wanted, Why};

use crate::report::check::Check;

const NAME: &str = "sandbox";
/// Time limit for the answer of the service manager.
const LIMIT: Duration = Duration::from_secs(3);

/// What puts a user unit into a user namespace of its own (systemd.exec(5), and the NEWS of systemd 254).
pub const DIRECTIVES: [&str; 19] = [
    "PrivateUsers",
    "ProtectSystem",
    "ProtectHome",
    "PrivateTmp",
    "PrivateDevices",
    "PrivateNetwork",
    "PrivateIPC",
    "PrivateMounts",
    "PrivatePIDs",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectClock",
    "ProtectHostname",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "TemporaryFileSystem",
    "RootDirectory",
];

/// The process whose environment was read as a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// The user's service manager.
    Manager(Pid),
    /// Our own parent, of the same user.
    Parent(Pid),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The process of the trial and the result; `None` when there was none to try.
    pub tried: Option<(Other, Result<(), Why>)>,
    /// Whether we are in a user namespace below the first one.
    pub is_in_user_namespace: Option<bool>,
    /// The unit that we run in.
    pub unit: Option<String>,
    /// Those of its [`DIRECTIVES`] that are set, as `NAME=VALUE`; read only when the trial failed.
    pub directives: Vec<String>,
}

/// Tries to read the environment of the service manager if there is one, else of our parent.
#[must_use]
pub fn gather(host: &NativeHost, machine: &Machine, given: Option<Pid>, found: Option<Pid>) -> Facts {
    let own = host.info().uid;
    let others = [given.map(Other::Manager), found.map(Other::Manager), machine.parent.map(Other::Parent)];
    let holds_more = |pid| match (host.permitted(pid), machine.capabilities) {
        (Some(theirs), Some(ours)) => theirs.0 & !ours.0 != 0,
        _ => false,
    };
    let nothing = Wanted::new(Vec::<String>::new());
    let tried = others.into_iter().flatten().find_map(|other| {
        let (Other::Manager(pid) | Other::Parent(pid)) = other;
        // The /proc files of a process that has changed its uid or is not dumpable belong to root: that proves nothing.
        host.owner(pid).ok().filter(|uid| *uid == own)?;
        match host.environ_of(pid, &nothing) {
            // What the system hides from all users proves nothing.
            Err(Why::Gone | Why::Exiting | Why::Withheld) => None,
            // Since systemd 254 a user's manager holds CAP_WAKE_ALARM. That alone keeps it from being read.
            Err(Why::Denied) if machine.is_in_user_namespace == Some(false) && holds_more(pid) => None,
            read => Some((other, read.map(drop))),
        }
    });
    let unit = host.own_unit().ok().flatten().filter(|unit| unit.name.ends_with(".service"));
    let is_blind = tried.as_ref().is_some_and(|(_, read)| read.is_err());
    let directives =
        unit.as_ref().filter(|_| is_blind).map(|unit| directives(host, unit)).unwrap_or_default();
    Facts {
        tried,
        is_in_user_namespace: machine.is_in_user_namespace,
        unit: unit.map(|u| u.name),
        directives,
    }
}

fn directives(host: &NativeHost, unit: &RuntimeUnit) -> Vec<String> {
    // Where the sandbox hides the manager's socket, too, no directive can be named.
    let set = host.unit_properties(unit, &DIRECTIVES, LIMIT).unwrap_or_default();
    let is_set = |(_, value): &(String, String)| !matches!(value.as_str(), "" | "no");
    set.into_iter().filter(is_set).map(|(name, value)| format!("{name}={value}")).collect()
}

/// Makes the check.
#[must_use]
pub fn check(facts: &Facts) -> Check {
    let inside = facts.is_in_user_namespace == Some(true);
    let Some((other, read)) = &facts.tried else {
        return if inside {
            Check::warn(
                NAME,
                "in a user namespace of its own: environments of processes outside cannot be read",
                "harmless when the agents run in the same container; else run reaper outside",
            )
        } else {
            Check::ok(NAME, "none; there is no other process of yours to try it on")
        };
    };
    let (who, is_manager) = match other {
        Other::Manager(pid) => (format!("your service manager (pid {pid})"), true),
        Other::Parent(pid) => (format!("our parent (pid {pid})"), false),
    };
    let Err(why) = read else {
        return Check::ok(NAME, format!("environments can be read, tried on {who}"));
    };
    let blind =
        format!("the environment of {who} cannot be read ({why}), so no marker of an agent can be seen");
    match &facts.unit {
        Some(unit) if !facts.directives.is_empty() => Check::fail(
            NAME,
            format!("{blind}: the unit {unit} sets {}", facts.directives.join(", ")),
            "remove these from the unit; NoNewPrivileges=, SystemCallFilter=@system-service, \
             RestrictAddressFamilies= and RestrictNamespaces= do no harm",
        ),
        Some(unit) if inside => Check::fail(
            NAME,
            format!("{blind}: the unit {unit} has a user namespace of its own"),
            "remove every Protect…=, Private…= and …Paths= line from the unit",
        ),
        _ if inside => Check::fail(
            NAME,
            format!("{blind}: reaper runs in a user namespace of its own"),
            "run it outside of the sandbox (unshare, bubblewrap, flatpak, a container)",
        ),
        _ if is_manager => Check::fail(
            NAME,
            blind,
            "run reaper with your own uid and primary group; AppArmor or SELinux may forbid it, too",
        ),
        _ => Check::warn(
            NAME,
            blind,
            "it may have another group or more rights than reaper; run reaper as the agents run",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;

    fn facts(other: Option<Other>, read: Result<(), Why>, inside: bool) -> Facts {
        Facts {
            tried: other.map(|other| (other, read)),
            is_in_user_namespace: Some(inside),
            unit: None,
            directives: Vec::new(),
        }
    }

    const MANAGER: Option<Other> = Some(Other::Manager(Pid::INIT));
    const PARENT: Option<Other> = Some(Other::Parent(Pid::INIT));

    #[test]
    fn what_can_be_read_is_no_sandbox() {
        for other in [MANAGER, PARENT] {
            // A rootless container has a user namespace, too, and sees all that is in it.
            for inside in [false, true] {
                assert_eq!(check(&facts(other, Ok(()), inside)).level, Level::Ok);
            }
        }
        assert_eq!(check(&facts(None, Ok(()), false)).level, Level::Ok);
        assert_eq!(check(&facts(None, Ok(()), true)).level, Level::Warn);
    }

    #[test]
    fn a_hardened_unit_is_blind_and_its_directives_are_named() {
        let unit = Facts { unit: Some("reaper.service".into()), ..facts(MANAGER, Err(Why::Denied), true) };
        let found = check(&unit);
        assert_eq!(found.level, Level::Fail);
        assert!(found.what.contains("reaper.service") && found.hint.unwrap().contains("Protect"));
        let named =
            Facts { directives: vec!["ProtectSystem=strict".into(), "PrivateTmp=yes".into()], ..unit };
        let found = check(&named);
        assert!(
            found.what.ends_with("reaper.service sets ProtectSystem=strict, PrivateTmp=yes"),
            "{found:?}"
        );
    }

    #[test]
    fn other_ways_to_be_blind() {
        for (facts, level, words) in [
            (facts(PARENT, Err(Why::Denied), true), Level::Fail, "outside of the sandbox"),
            (facts(MANAGER, Err(Why::Denied), false), Level::Fail, "AppArmor"),
            (facts(PARENT, Err(Why::Denied), false), Level::Warn, "another group"),
        ] {
            let found = check(&facts);
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.hint.unwrap().contains(words), "{words}");
        }
    }
}
