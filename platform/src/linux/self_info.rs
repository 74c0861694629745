//! Our own pid and user, and the machine we run on, read once at the start.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::process::{PidfdFlags, getegid, geteuid, getpid, pidfd_open};

use super::{procfs, status, why};
use crate::host::HostError;
use crate::types::{Gid, HostInfo, INITIAL_TIME_NAMESPACE, Pid, StartClock, Uid, Why};

pub(super) fn read(proc_root: BorrowedFd<'_>) -> Result<HostInfo, HostError> {
    let error = |what| {
        move |why| match why {
            Why::Gone => HostError { what, why: Why::Failed("there is no such file".to_owned()) },
            why => HostError { what, why },
        }
    };
    let ours = procfs::read_small(proc_root, b"self/status", status::parse)
        .map_err(error("find ourselves in /proc"))?;
    if !ours.same_pid_namespace {
        let why =
            Why::Garbled("it is of another PID namespace than ours, so its numbers mean other processes");
        return Err(HostError { what: "use /proc", why });
    }
    let boot_id = procfs::read_small(proc_root, b"sys/kernel/random/boot_id", |text| {
        let id = text.trim_ascii();
        std::str::from_utf8(id).map(str::to_owned).map_err(|_| Why::Garbled("the boot id is not text"))
    })
    .map_err(error("read the boot id in /proc/sys/kernel/random"))?;
    let pid_namespace = rustix::fs::statat(proc_root, "self/ns/pid", rustix::fs::AtFlags::empty())
        .map_err(|e| error("find our PID namespace in /proc/self/ns")(why(e)))?
        .st_ino;
    // Kernels before 5.6 have no time namespaces: all processes share one.
    let time_namespace = rustix::fs::statat(proc_root, "self/ns/time", rustix::fs::AtFlags::empty())
        .map_or(INITIAL_TIME_NAMESPACE, |file| file.st_ino);
    // One line for each clock that differs: its name, seconds, nanoseconds (time_namespaces(7)).
    let clock_offsets = procfs::read_small(proc_root, b"self/timens_offsets", |text| {
        Ok(String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" "))
    })
    .unwrap_or_default();
    let pid = Pid::new(getpid().as_raw_nonzero().get())
        .ok_or(HostError { what: "learn our own pid", why: Why::Gone })?;
    Ok(HostInfo {
        pid,
        uid: Uid(geteuid().as_raw()),
        gid: Gid(getegid().as_raw()),
        boot_id,
        pid_namespace,
        time_namespace,
        clock_offsets,
        start_clock: StartClock::BootTicks { per_second: rustix::param::clock_ticks_per_second() },
        systemd_booted: std::path::Path::new("/run/systemd/system").is_dir(),
        cannot_signal: cannot_signal(),
    })
}

/// Tries the calls rather than trust a version number. Neither can signal a process: a pidfd of
/// our own process, and a descriptor that is no process, which a kernel that knows the call refuses as `EBADF`.
fn cannot_signal() -> Option<String> {
    let missing = |call: &str, needs: &str| Some(format!("this kernel has no {call} ({needs} or later)"));
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Err(Errno::NOSYS) => return missing("pidfd_open", "Linux 5.3"),
        Err(errno) => return Some(format!("pidfd_open is refused: {}", std::io::Error::from(errno))),
        Ok(_) => {}
    }
    let Ok(null) = std::fs::File::open("/dev/null") else { return None };
    match rustix::process::pidfd_send_signal(null.as_fd(), rustix::process::Signal::CONT) {
        Err(Errno::NOSYS) => missing("pidfd_send_signal", "Linux 5.1"),
        Err(Errno::PERM) => Some("pidfd_send_signal is refused by a system call filter".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_asked() {
        let root = std::fs::File::open("/proc").unwrap();
        let info = read(root.as_fd()).unwrap();
        assert_eq!(info.pid.get() as u32, std::process::id());
        assert_eq!(info.boot_id.len(), 36);
        assert_ne!(info.start_clock, StartClock::BootTicks { per_second: 0 });
        assert!(info.pid_namespace > 0 && info.time_namespace > 0);
    }
}
