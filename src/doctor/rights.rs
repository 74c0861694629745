//! Capabilities that root needs to read and to signal processes of other users, or with more capabilities.

use reaper_platform::{Capabilities, Uid};

use crate::report::check::Check;

const NAME: &str = "rights";

/// Makes the check. `None` for an ordinary user, who needs no capabilities for their own processes.
#[must_use]
pub fn check(held: Option<Capabilities>, uid: Uid, all_users: bool) -> Option<Check> {
    if uid.0 != 0 && !all_users {
        return None;
    }
    let Some(held) = held else {
        return Some(Check::warn(NAME, "our capabilities cannot be read", "mount /proc"));
    };
    let reads = held.has(Capabilities::DAC_READ_SEARCH) || held.has(Capabilities::DAC_OVERRIDE);
    let mut missing = Vec::new();
    if !held.has(Capabilities::KILL) {
        missing.push("CAP_KILL (to signal)");
    }
    if !held.has(Capabilities::SYS_PTRACE) {
        missing.push("CAP_SYS_PTRACE (to read markers)");
    }
    if !reads {
        missing.push("CAP_DAC_READ_SEARCH (to read markers)");
    }
    let add = "give it these capabilities: AmbientCapabilities= or CapabilityBoundingSet= in a unit, \
               securityContext.capabilities.add in a pod (it must run as root there, they are not ambient)";
    Some(match (missing.is_empty(), all_users) {
        (true, true) => Check::ok(NAME, "processes of all users can be read and signalled"),
        (true, false) => {
            Check::ok(NAME, "processes of root can be read and signalled, whatever rights they have")
        }
        (false, true) => Check::fail(
            NAME,
            format!("other users' processes are out of reach: {} missing", list(&missing)),
            add,
        ),
        (false, false) => Check::warn(
            NAME,
            format!("processes of root that have more rights are out of reach: {} missing", list(&missing)),
            add,
        ),
    })
}

fn list(missing: &[&str]) -> String {
    match missing {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => missing.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;

    fn set(numbers: &[u32]) -> Option<Capabilities> {
        Some(Capabilities(numbers.iter().map(|n| 1 << n).sum()))
    }

    #[test]
    fn all_users_need_three_and_the_missing_ones_are_named() {
        let (kill, ptrace) = (Capabilities::KILL, Capabilities::SYS_PTRACE);
        for read in [Capabilities::DAC_READ_SEARCH, Capabilities::DAC_OVERRIDE] {
            let found = check(set(&[kill, ptrace, read]), Uid(0), true).unwrap();
            assert_eq!(found.level, Level::Ok);
        }
        let found = check(set(&[kill, ptrace]), Uid(0), true).unwrap();
        assert_eq!(found.level, Level::Fail);
        assert!(found.what.contains("CAP_DAC_READ_SEARCH") && !found.what.contains("CAP_KILL"), "{found:?}");
        let found = check(set(&[]), Uid(0), true).unwrap();
        for name in ["CAP_KILL", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"] {
            assert!(found.what.contains(name), "{found:?}");
        }
    }

    #[test]
    fn for_its_own_processes_root_is_only_limited_and_a_user_needs_none() {
        assert_eq!(check(set(&[]), Uid(0), false).unwrap().level, Level::Warn);
        assert_eq!(check(None, Uid(0), false).unwrap().level, Level::Warn);
        assert_eq!(check(set(&[]), Uid(1000), false), None);
    }
}
