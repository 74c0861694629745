//! For launchers: marks the processes they start, so that reaper can identify them once the launcher has exited.
//!
//! ```no_run
//! use std::process::Command;
//!
//! use reaper_launch::{lease, stamp};
//! use reaper_platform::NativeHost;
//!
//! let host = NativeHost::new()?;
//! let mut agent = Command::new("my-agent");
//! stamp(&mut agent, &lease(&host)?);
//! agent.spawn()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

use std::process::Command;

use reaper_lease::{Lease, MANAGED, OWNER};
use reaper_platform::{Host, Why};

/// The lease that names the calling process as owner: its pid, start time and boot id, and the namespaces in which
/// these are valid.
///
/// # Errors
/// When our own start time cannot be read, for example because `/proc` is not mounted.
pub fn lease<H: Host>(host: &H) -> Result<Lease, Why> {
    let here = host.info();
    Ok(Lease {
        pid: here.pid.get(),
        start: host.stat_of(here.pid)?.start.0,
        boot_id: here.boot_id.clone(),
        pid_namespace: Some(here.pid_namespace),
        time_namespace: here.other_time_namespace(),
        is_keeper: false,
    })
}

/// Puts the marker and the lease into the environment that a command will be started with.
pub fn stamp(command: &mut Command, lease: &Lease) {
    command.env(MANAGED, "1").env(OWNER, lease.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::NativeHost;

    #[test]
    fn a_child_starts_with_a_lease_that_names_us() {
        let host = NativeHost::new().unwrap();
        let ours = lease(&host).unwrap();
        let mut command = Command::new("/usr/bin/env");
        stamp(&mut command, &ours);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(said.lines().any(|line| line == "REAPER_MANAGED=1"), "{said}");
        let lease = said.lines().find_map(|line| line.strip_prefix("REAPER_OWNER=")).unwrap();
        assert_eq!(Lease::parse(lease.as_bytes()), Some(ours));
        assert_eq!(Lease::parse(lease.as_bytes()).unwrap().pid, i32::try_from(std::process::id()).unwrap());
    }
}
