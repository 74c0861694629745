//! The contract between a launcher and reaper: the variables that a launcher sets on everything it starts, and the text
//! of a lease, which names the process that owns it.
//!
//! `vectors.json` beside this crate's manifest holds leases and what is to be made of each, for implementations in other
//! languages.

#![forbid(unsafe_code)]

use std::fmt;

/// The variable that marks a process as started by a launcher that knows reaper.
pub const MANAGED: &str = "REAPER_MANAGED";
/// The variable by which a launcher leases what it starts.
pub const OWNER: &str = "REAPER_OWNER";
/// How a lease is written. [`TEXT`] says what each part is; [`Lease::parse`] takes nothing else.
pub const FORM: &str = "PID:START:BOOT:NAMESPACE[:time=NAMESPACE][:keeper]";
/// What the variable says, for people: the man page and the README have it from here.
pub const TEXT: &str = "Names the process that owns the marked one, as PID:START:BOOT:NAMESPACE: its number, its start in \
    clock ticks since boot (field 22 of /proc/PID/stat; on macOS microseconds since 1970), \
    /proc/sys/kernel/random/boot_id (kern.bootsessionuuid), and the number in /proc/PID/ns/pid (on macOS 0). \
    An owner in a time namespace that is not the machine's adds `:time=` and the number in /proc/PID/ns/time; \
    `:keeper` says that the owner is one of reaper's own. A lease with any other part is not understood. NAMESPACE may \
    be left out, but then the owner's death can only be proven outside containers. While the owner lives, nothing that \
    names it is ended.";
/// The variable by which a process asks to be kept, whatever else speaks against it.
pub const KEEP: &str = "REAPER_KEEP";
/// A parsed lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The owner's pid in its own PID namespace; positive.
    pub pid: i32,
    /// When the owner started, so that a reused number is not taken for it; as seen from its own time namespace.
    pub start: u64,
    /// The boot in which it was written.
    pub boot_id: String,
    /// The owner's PID namespace (the inode of `/proc/PID/ns/pid`); `None` when the lease does not say.
    pub pid_namespace: Option<u64>,
    /// The owner's time namespace (the inode of `/proc/PID/ns/time`) where that is not the initial one.
    pub time_namespace: Option<u64>,
    /// Whether the owner is a keeper: a process of reaper's own that stands between a launcher and what it started.
    pub is_keeper: bool,
}

impl Lease {
    /// Parses a value; `None` when it is not exactly of the form. What a later version may add is refused, not skipped:
    /// it could say that the owner is somewhere else.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.split(':').peekable();
        let (pid, start, boot_id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_uuid = boot_id.len() == 36 && boot_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let mut lease = Self {
            pid: number(pid).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0)?,
            start: number(start)?,
            boot_id: is_uuid.then(|| boot_id.to_ascii_lowercase())?,
            pid_namespace: None,
            time_namespace: None,
            is_keeper: false,
        };
        if let Some(inode) = parts.next() {
            lease.pid_namespace = Some(number(inode)?);
        }
        if let Some(inode) = parts.peek().and_then(|part| part.strip_prefix("time=")) {
            lease.time_namespace = Some(number(inode)?);
            parts.next();
        }
        lease.is_keeper = parts.next_if_eq(&"keeper").is_some();
        parts.next().is_none().then_some(lease)
    }
}

/// Decimal digits and nothing else.
fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.start, self.boot_id)?;
        if let Some(inode) = self.pid_namespace {
            write!(f, ":{inode}")?;
        }
        if let Some(inode) = self.time_namespace {
            write!(f, ":time={inode}")?;
        }
        if self.is_keeper { f.write_str(":keeper") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "5d3f9b8e-1111-4222-8333-444455556666";

    fn parse(text: &str) -> Option<Lease> {
        Lease::parse(text.replace('B', BOOT).as_bytes())
    }

    #[test]
    fn a_lease_is_what_its_form_says() {
        let lease = parse("4200:123456:B").unwrap();
        assert_eq!((lease.pid, lease.start, lease.boot_id.as_str()), (4200, 123_456, BOOT));
        assert_eq!((lease.pid_namespace, lease.time_namespace, lease.is_keeper), (None, None, false));
        let whole = parse("4200:123456:B:4026531836:time=4026532001:keeper").unwrap();
        assert_eq!(
            (whole.pid_namespace, whole.time_namespace, whole.is_keeper),
            (Some(4_026_531_836), Some(4_026_532_001), true)
        );
        for written in ["1:2:B", "1:2:B:3", "1:2:B:3:time=4", "1:2:B:3:keeper", "1:2:B:3:time=4:keeper"] {
            let lease = parse(written).unwrap();
            assert_eq!(lease.to_string(), written.replace('B', BOOT), "as it is written, so it is read");
        }
        assert!(TEXT.contains(FORM.split('[').next().unwrap()), "people are told the same form");
    }

    #[test]
    fn anything_else_is_refused() {
        let bad = [
            "",
            "1",
            "1:2",
            "1:2:x",
            "0:2:B",
            "-1:2:B",
            "1:+2:B",
            "1::B",
            "1:2:B:",
            "1:2:B ",
            " 1:2:B",
            "1:2:B:x",
            "1:2:B:-7",
            "1:2:B:+7",
            "1:2:B: 7",
            "1:2:B:7:",
            "1:2:B:7:8",
            "1:2:B:99999999999999999999",
            "1:2:B:keeper",
            "1:2:B:time=4",
            "1:2:B:3:time=",
            "1:2:B:3:time=x",
            "1:2:B:3:keeper:time=4",
            "1:2:B:3:time=4:time=4",
            "1:2:B:3:keeper:keeper",
            "1:2:B:3:keeper=1",
            "1:2:B:3:Keeper",
            "1:2:B:3:cgroup=7",
            "1:2:B:3:time=4:keeper:",
            "1:2:B:3:time=4:keeper:later",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
