//! The contract between a launcher and reaper: the variables that a launcher sets on everything it starts, and the text
//! of a lease, which names the process that owns it.
//!
//! `vectors.json` beside this crate's manifest holds test vectors: texts and the lease that each must parse to, for
//! implementations in other languages.

#![forbid(unsafe_code)]

use std::fmt;

/// The variable that marks a process as started by a launcher that knows reaper.
pub const MANAGED: &str = "REAPER_MANAGED";
/// The variable by which a launcher leases what it starts.
pub const OWNER: &str = "REAPER_OWNER";
/// How a lease is written. [`TEXT`] says what each part is; [`Lease::parse`] takes nothing else.
pub const FORM: &str = "PID:START:BOOT:NAMESPACE[:time=NAMESPACE][:keeper]";
/// What the variable means, for users. The man page and the README take their text from here.
pub const TEXT: &str = "Names the process that owns the marked one, as PID:START:BOOT:NAMESPACE: its number, its start in \
    clock ticks since boot (field 22 of /proc/PID/stat; on macOS microseconds since 1970), \
    /proc/sys/kernel/random/boot_id (kern.bootsessionuuid), and the number in /proc/PID/ns/pid (on macOS 0). \
    An owner in a time namespace that is not the machine's adds `:time=` and the number in /proc/PID/ns/time; \
    `:keeper` says that the owner is one of reaper's own. A lease with any other part is not understood. NAMESPACE may \
    be left out, but then the owner's death can only be proven outside containers. While the owner lives, nothing that \
    names it is ended.";
/// The variable that keeps a process alive whatever the other gates answer.
pub const KEEP: &str = "REAPER_KEEP";

/// A parsed lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The owner's pid in its own PID namespace; positive.
    pub pid: i32,
    /// The owner's start time in its own time namespace, in the unit of [`TEXT`]; tells it from a later process with
    /// the same pid.
    pub start: u64,
    /// The id of the boot in which the lease was written.
    pub boot_id: String,
    /// The owner's PID namespace (the inode of `/proc/PID/ns/pid`); `None` when the lease does not say.
    pub pid_namespace: Option<u64>,
    /// The owner's time namespace (the inode of `/proc/PID/ns/time`) where that is not the initial one.
    pub time_namespace: Option<u64>,
    /// Whether the owner is a keeper: a process of reaper's own that stands between a launcher and what it started.
    pub is_keeper: bool,
}

impl Lease {
    /// Parses a value; `None` unless it has exactly this form. Unknown parts, such as a later version may add, are
    /// refused rather than skipped: they could change which process is meant.
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
    use serde_json::Value;

    fn vectors() -> Vec<Value> {
        let document: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
        document["vectors"].as_array().unwrap().clone()
    }

    fn lease(value: &Value) -> Option<Lease> {
        let fields = value.as_object()?;
        assert_eq!(fields.len(), 6, "{value}");
        Some(Lease {
            pid: i32::try_from(fields["pid"].as_i64().unwrap()).unwrap(),
            start: fields["start"].as_u64().unwrap(),
            boot_id: fields["boot_id"].as_str().unwrap().to_owned(),
            pid_namespace: fields["pid_namespace"].as_u64(),
            time_namespace: fields["time_namespace"].as_u64(),
            is_keeper: fields["keeper"].as_bool().unwrap(),
        })
    }

    #[test]
    fn every_test_vector_parses_as_stated() {
        let (mut taken, mut refused) = (0, 0);
        for vector in vectors() {
            let text = vector["text"].as_str().unwrap();
            let expected = lease(&vector["lease"]);
            assert_eq!(Lease::parse(text.as_bytes()), expected, "{text}");
            *if expected.is_some() { &mut taken } else { &mut refused } += 1;
        }
        assert!(taken >= 9 && refused >= 32, "{taken} taken, {refused} refused");
    }

    #[test]
    fn a_lease_round_trips() {
        for vector in vectors() {
            let text = vector["text"].as_str().unwrap();
            let Some(lease) = Lease::parse(text.as_bytes()) else { continue };
            let written = vector.get("written").and_then(Value::as_str).unwrap_or(text);
            assert_eq!(lease.to_string(), written);
            assert_eq!(Lease::parse(written.as_bytes()), Some(lease));
        }
    }

    #[test]
    fn the_documented_form_is_the_parsed_form() {
        assert!(TEXT.contains(FORM.split('[').next().unwrap()));
        assert_eq!(Lease::parse(b"1:2:\xff"), None, "a lease must be UTF-8");
    }
}
