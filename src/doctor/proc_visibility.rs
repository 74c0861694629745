//! Which processes `/proc` shows: `hidepid` hides those of other users, PID 1 and its list of children among them.

use reaper_platform::{Machine, Why};

use crate::report::check::Check;

const NAME: &str = "proc";

/// Makes the check.
#[must_use]
pub fn check(machine: &Machine) -> Check {
    let options = machine.hiding.join(",");
    match &machine.init_children {
        Ok(()) if options.is_empty() => Check::ok(NAME, "every process can be seen"),
        Ok(()) => Check::ok(NAME, format!("mounted with {options}, which hides nothing from this user")),
        // The check `kernel` reports it already.
        Err(Why::Unsupported(_)) => Check::ok(NAME, "every process can be seen"),
        Err(why) => {
            // With hidepid=invisible, hidden processes look absent.
            let why = if *why == Why::Gone { String::new() } else { format!(": {why}") };
            let mount = if options.is_empty() { String::new() } else { format!(" (mounted with {options})") };
            Check::warn(
                NAME,
                format!(
                    "PID 1 and other users' processes are hidden{mount}{why}. Your own can be seen, and all of \
                     /proc is walked to find them, which costs more"
                ),
                "nothing has to be done; to see PID 1, join the group of the mount option gid= or mount /proc \
                 without hidepid",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::kernel::tests::machine;
    use crate::report::check::Level;

    #[test]
    fn hidepid_is_a_limit_that_is_named() {
        assert_eq!(check(&machine()).level, Level::Ok);
        for why in [Why::Gone, Why::Denied] {
            let hidden =
                Machine { init_children: Err(why), hiding: vec!["hidepid=invisible".into()], ..machine() };
            let found = check(&hidden);
            assert_eq!(found.level, Level::Warn);
            assert!(found.what.contains("hidepid=invisible") && found.hint.is_some(), "{found:?}");
        }
    }

    #[test]
    fn a_user_exempt_from_hidepid_sees_all() {
        let exempt = Machine { hiding: vec!["hidepid=2".into()], ..machine() };
        let found = check(&exempt);
        assert!(found.level == Level::Ok && found.what.contains("hidepid=2"));
    }
}
