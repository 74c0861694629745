//! Our own pid and user, and the machine we run on, read once at the start.

use nix::unistd::{getegid, geteuid};

use super::{process_info, syscalls};
use crate::host::HostError;
use crate::types::{Gid, HostInfo, Pid, StartClock, Uid, Why};

pub(super) fn read() -> Result<HostInfo, HostError> {
    let pid = i32::try_from(std::process::id()).ok().and_then(Pid::new);
    let pid = pid.ok_or(HostError { what: "learn our own pid", why: Why::Gone })?;
    let boot_id = syscalls::sysctl_text(c"kern.bootsessionuuid")
        .map_err(|why| HostError { what: "read the boot id (sysctl kern.bootsessionuuid)", why })?;
    Ok(HostInfo {
        pid,
        uid: Uid(geteuid().as_raw()),
        gid: Gid(getegid().as_raw()),
        boot_id: boot_id.to_ascii_lowercase(),
        pid_namespace: 0,
        time_namespace: 0,
        clock_offsets: String::new(),
        start_clock: StartClock::DayMicros,
        systemd_booted: false,
        cannot_signal: cannot_signal(pid),
    })
}

/// Tries it on ourselves: without these answers processes with the same pid cannot be told apart.
fn cannot_signal(own: Pid) -> Option<String> {
    match process_info::look(own) {
        Ok((seen, unique)) if seen.pid == Some(own) && unique.id != 0 => None,
        Ok(_) => Some("the kernel's answer about ourselves makes no sense".to_owned()),
        Err(why) => Some(format!("the kernel does not tell which process is which: {why}")),
    }
}
