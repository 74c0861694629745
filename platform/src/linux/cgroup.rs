//! `/proc/PID/cgroup`: which unit of the service manager a process is in (cgroups(7)).

use crate::types::{RuntimeUnit, Uid};

/// The innermost service or scope on the v2 path, the line that starts `0::`. On a hybrid machine v1
/// lines stand before it; only when there is no v2 hierarchy is the `name=systemd` one read instead.
///
/// ```text
/// 0::/user.slice/user-1000.slice/user@1000.service/app.slice/agents.service
/// ```
#[must_use]
pub fn unit(text: &[u8]) -> Option<RuntimeUnit> {
    let lines = || text.split(|b| *b == b'\n');
    let path = |prefix: &'static [u8]| lines().find_map(move |line| line.strip_prefix(prefix));
    let unified = path(b"0::").filter(|p| *p != b"/");
    let legacy = || lines().find_map(|l| l.splitn(2, |b| *b == b':').nth(1)?.strip_prefix(b"name=systemd:"));
    innermost(unified.or_else(legacy)?)
}

fn innermost(path: &[u8]) -> Option<RuntimeUnit> {
    let mut parts = path.split(|b| *b == b'/').rev();
    let name = parts.find(|p| p.ends_with(b".service") || p.ends_with(b".scope"))?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let user = parts.find_map(|p| {
        let digits = p.strip_prefix(b"user@")?.strip_suffix(b".service")?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Uid)
    });
    Some(RuntimeUnit { name, user })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &[u8]) -> Option<(String, Option<u32>)> {
        unit(text).map(|u| (u.name, u.user.map(|u| u.0)))
    }

    #[test]
    fn finds_the_innermost_unit_and_its_manager() {
        let user = b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/agents.service\n";
        assert_eq!(name(user), Some(("agents.service".into(), Some(1000))));
        let delegated = b"0::/user.slice/user-5.slice/user@5.service/app.slice/a.service/payload/sub\n";
        assert_eq!(name(delegated), Some(("a.service".into(), Some(5))));
        let scope = b"0::/user.slice/user-5.slice/session-3.scope\n";
        assert_eq!(name(scope), Some(("session-3.scope".into(), None)));
        assert_eq!(name(b"0::/system.slice/cron.service\n"), Some(("cron.service".into(), None)));
        let manager = b"0::/user.slice/user-5.slice/user@5.service/init.scope\n";
        assert_eq!(name(manager), Some(("init.scope".into(), Some(5))));
    }

    #[test]
    fn reads_the_right_line() {
        let hybrid =
            b"9:name=systemd:/system.slice/a.service\n4:memory:/x.service\n0::/system.slice/b.service\n";
        assert_eq!(name(hybrid), Some(("b.service".into(), None)));
        let legacy = b"4:memory:/x.service\n1:name=systemd:/system.slice/a.service\n";
        assert_eq!(name(legacy), Some(("a.service".into(), None)));
        let empty_unified = b"1:name=systemd:/system.slice/a.service\n0::/\n";
        assert_eq!(name(empty_unified), Some(("a.service".into(), None)));
        for none in [&b""[..], b"0::/\n", b"0::/../..\n", b"0::/kubepods/pod1\n"] {
            assert_eq!(name(none), None);
        }
    }
}
