//! Whether a service manager can be reached to run the service.

use std::path::{Path, PathBuf};

use reaper_platform::Host as _;

use super::super::exit::CommandError;
use super::super::invocation::Invocation;
use crate::install::{Manager, systemd};

/// Checks that a service manager can be reached to run the service.
///
/// # Errors
/// When there is none, with the reason and a hint.
pub(super) fn reachable(invocation: &Invocation, manager: Manager) -> Result<(), CommandError> {
    if manager == Manager::Launchd {
        return Ok(());
    }
    let here = invocation.host.info();
    let uid = here.uid.0;
    let socket = |runtime: &Path| runtime.join("systemd/private").exists();
    let runtime = invocation.var("XDG_RUNTIME_DIR").map(PathBuf::from);
    let paths = invocation.var("PATH").unwrap_or_default();
    let machine = systemd::Machine {
        is_booted: here.systemd_booted,
        has_systemctl: std::env::split_paths(paths).any(|folder| folder.join("systemctl").exists()),
        is_reachable: runtime.as_deref().is_some_and(socket),
        is_running: socket(&Path::new("/run/user").join(uid.to_string())),
        runtime,
        is_sudo: invocation.var("SUDO_UID").is_some(),
        user: invocation.host.user_name().map(|name| String::from_utf8_lossy(&name).into_owned()),
    };
    systemd::refusal(&machine, uid).map_or(Ok(()), |refusal| Err(refusal.into()))
}
