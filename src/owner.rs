//! `REAPER_OWNER`: a lease that says whose a process is, so that nobody has to guess.

use std::fmt;

use reaper_platform::{Pid, StartTime};

/// The variable: `<pid>:<start>:<boot id>`, and after another colon the inode of the owner's PID namespace if the owner
/// starts things in containers: its number means nothing in there. The start is in the kernel's own unit: clock ticks
/// since boot on Linux, microseconds since 1970 on macOS.
pub const OWNER: &str = "REAPER_OWNER";
/// The variable by which a process asks to be kept, whatever else speaks against it.
pub const KEEP: &str = "REAPER_KEEP";
/// What systemd (248 and later) puts into a service's environment: the pid that it executed
/// (systemd.exec(5)). Children inherit it, so it equals the own pid in the main process only.
pub const SYSTEMD_EXEC_PID: &str = "SYSTEMD_EXEC_PID";
/// What launchd puts into a job's environment: the job's label. Children inherit it, and shells of the Terminal have
/// a `0`; so it says below which job a process was started, and nothing more.
pub const XPC_SERVICE_NAME: &str = "XPC_SERVICE_NAME";

/// A parsed lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The owner's number, in its own PID namespace.
    pub pid: Pid,
    /// When the owner started, so that a reused number is not taken for it.
    pub start: StartTime,
    /// The boot in which it was written.
    pub boot_id: String,
    /// The owner's PID namespace (the inode of `/proc/PID/ns/pid`); `None` when the lease does not say.
    pub pid_namespace: Option<u64>,
}

impl Lease {
    /// Parses a value; `None` when it is not exactly of the form.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.split(':');
        let (pid, start, boot_id) = (parts.next()?, parts.next()?, parts.next()?);
        let namespace = parts.next();
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let plain = digits(start) && namespace.is_none_or(digits) && parts.next().is_none();
        let is_uuid = boot_id.len() == 36 && boot_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (plain && is_uuid).then_some(())?;
        let pid_namespace = match namespace {
            Some(inode) => Some(inode.parse().ok()?),
            None => None,
        };
        Some(Self {
            pid: Pid::parse(pid.as_bytes())?,
            start: StartTime(start.parse().ok()?),
            boot_id: boot_id.to_ascii_lowercase(),
            pid_namespace,
        })
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.start.0, self.boot_id)?;
        self.pid_namespace.map_or(Ok(()), |inode| write!(f, ":{inode}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "5d3f9b8e-1111-4222-8333-444455556666";

    #[test]
    fn a_lease_is_exactly_three_parts_or_four() {
        let lease = Lease::parse(format!("4200:123456:{BOOT}").as_bytes()).unwrap();
        assert_eq!(
            (lease.pid, lease.start.0, lease.boot_id.as_str()),
            (Pid::new(4200).unwrap(), 123_456, BOOT)
        );
        assert_eq!(lease.to_string(), format!("4200:123456:{BOOT}"), "as it is written, so it is read");
        assert_eq!(lease.pid_namespace, None);
        let whole = format!("4200:123456:{BOOT}:4026531836");
        let lease = Lease::parse(whole.as_bytes()).unwrap();
        assert_eq!((lease.pid_namespace, lease.to_string()), (Some(4_026_531_836), whole));
        let three =
            ["", "1", "1:2", "1:2:x", "0:2:B", "-1:2:B", "1:+2:B", "1::B", "1:2:B:", "1:2:B ", " 1:2:B"];
        let four = [
            "1:2:B:x",
            "1:2:B:-7",
            "1:2:B:+7",
            "1:2:B: 7",
            "1:2:B:7:",
            "1:2:B:7:8",
            "1:2:B:99999999999999999999",
        ];
        for bad in three.iter().chain(&four) {
            assert_eq!(Lease::parse(bad.replace('B', BOOT).as_bytes()), None, "{bad}");
        }
    }
}
