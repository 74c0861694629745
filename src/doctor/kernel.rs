//! What the kernel offers: process handles (pidfds), and lists of children.

use reaper_platform::{HostInfo, Machine, Why};

use crate::report::check::Check;

const NAME: &str = "kernel";

/// Makes the check.
#[must_use]
pub fn check(machine: &Machine, here: &HostInfo) -> Check {
    let kernel = &machine.kernel;
    if let Some(why) = &here.cannot_signal {
        return Check::fail(
            NAME,
            format!("{kernel}: no process can be ended safely: {why}"),
            "use Linux 5.3 or later; in a container, let its seccomp profile allow pidfd_open and pidfd_send_signal. \
             `reaper scan --dry-run` works here",
        );
    }
    if let Err(why @ Why::Unsupported(_)) = &machine.own_children {
        return Check::warn(
            NAME,
            format!("{kernel}: {why}: all of /proc is walked instead, which costs more"),
            "use a kernel with CONFIG_PROC_CHILDREN=y, as distributions build it",
        );
    }
    let identity = if machine.has_generations {
        "numbers of processes that never repeat"
    } else {
        "processes told apart by pid and start time (Linux 6.9 has numbers that never repeat)"
    };
    Check::ok(NAME, format!("{kernel}: {}, lists of children, {identity}", machine.signals))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::check::Level;
    use reaper_platform::fake;

    pub fn machine() -> Machine {
        Machine {
            kernel: "Linux 6.12.0".into(),
            signals: "signals by pidfd",
            has_generations: true,
            own_children: Ok(()),
            init_children: Ok(()),
            hiding: Vec::new(),
            is_in_user_namespace: Some(false),
            capabilities: None,
            open_files: (Some(1024), Some(524_288)),
            parent: None,
        }
    }

    #[test]
    fn without_pidfds_nothing_can_be_ended() {
        assert_eq!(check(&machine(), &fake::host_info()).level, Level::Ok);
        let old =
            HostInfo { cannot_signal: Some("this kernel has no pidfd_open".into()), ..fake::host_info() };
        let found = check(&machine(), &old);
        assert_eq!(found.level, Level::Fail);
        assert!(found.what.contains("no pidfd_open") && found.hint.unwrap().contains("seccomp"));
    }

    #[test]
    fn the_rest_only_costs_more() {
        let lists = Machine { own_children: Err(Why::Unsupported("lists of children")), ..machine() };
        assert_eq!(check(&lists, &fake::host_info()).level, Level::Warn);
        let before_6_9 = Machine { has_generations: false, ..machine() };
        let found = check(&before_6_9, &fake::host_info());
        assert!(found.level == Level::Ok && found.what.contains("start time"), "{found:?}");
    }
}
