//! Lingering: whether a user's services, ours among them, outlive the user's last session.

use reaper_platform::Host as _;
use reaper_platform::NativeHost;

use crate::report::check::Check;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const NAME: &str = "linger";
/// One file for each user who has it (loginctl(1)).
const FOLDER: &str = "/var/lib/systemd/linger";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is on; `None` when unknown.
    pub is_on: Option<bool>,
    /// Whether a service of ours runs now.
    pub service_runs: bool,
}

/// Reads the state; `None` where lingering does not apply: for root, and without systemd.
#[must_use]
pub fn gather(host: &NativeHost, service_runs: bool) -> Option<Facts> {
    let here = host.info();
    if here.uid.0 == 0 || !here.systemd_booted {
        return None;
    }
    let name = host.user_name();
    let is_on = name.and_then(|name| Path::new(FOLDER).join(OsStr::from_bytes(&name)).try_exists().ok());
    Some(Facts { is_on, service_runs })
}

/// Makes the check.
#[must_use]
pub fn check(facts: Facts) -> Check {
    match (facts.is_on, facts.service_runs) {
        (Some(true), _) => Check::ok(NAME, "on: a service of yours runs without a session"),
        (Some(false), true) => Check::warn(
            NAME,
            "off: your service ends with your last session, and what is left behind then stays",
            "run `loginctl enable-linger` if agents run here while you are logged out",
        ),
        (Some(false), false) => Check::ok(NAME, "off, which matters to the service only, and none runs"),
        (None, _) => Check::skipped(NAME, "whether it is on is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;

    #[test]
    fn it_matters_to_a_service_only() {
        for (is_on, service_runs, level) in [
            (Some(true), true, Level::Ok),
            (Some(false), true, Level::Warn),
            (Some(false), false, Level::Ok),
            (None, true, Level::Skipped),
        ] {
            assert_eq!(check(Facts { is_on, service_runs }).level, level);
        }
    }
}
