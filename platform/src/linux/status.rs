//! `/proc/PID/status`: the four user ids and the PID namespace (proc_pid_status(5)). Costs twice as much
//! as `stat`, so it is read only for processes that may be ended.

use crate::types::{Ids, Uid, Why};

const BROKEN: Why = Why::Garbled("its status file cannot be read");

/// Parses `Uid:` (real, effective, saved, filesystem) and `NSpid:` (one number for each PID namespace
/// from ours inwards; kernels before 4.1 do not print it).
///
/// # Errors
/// [`Why::Garbled`] when there are no user ids.
pub fn parse(text: &[u8]) -> Result<Ids, Why> {
    let mut uids = None;
    let mut namespaces = 1;
    // `Name:` comes first and escapes newlines, so a line can only start with a real key.
    for line in text.split(|b| *b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"Uid:") {
            let mut numbers = words(rest).map(|w| std::str::from_utf8(w).ok()?.parse().ok().map(Uid));
            let mut next = || numbers.next().flatten().ok_or(BROKEN);
            uids = Some((next()?, next()?, next()?));
        } else if let Some(rest) = line.strip_prefix(b"NSpid:") {
            namespaces = words(rest).count();
        }
    }
    let (real, effective, saved) = uids.ok_or(BROKEN)?;
    Ok(Ids { real, effective, saved, same_pid_namespace: namespaces == 1 })
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ids_and_the_namespace() {
        let text =
            b"Name:\tgoose\nUmask:\t0022\nPid:\t7\nUid:\t1000\t1000\t0\t1000\nGid:\t5\t5\t5\t5\nNSpid:\t7\n";
        let ids = parse(text).unwrap();
        assert_eq!((ids.real, ids.effective, ids.saved), (Uid(1000), Uid(1000), Uid(0)));
        assert!(ids.same_pid_namespace);
        let inner = parse(b"Uid:\t1\t1\t1\t1\nNSpid:\t700\t7\n").unwrap();
        assert!(!inner.same_pid_namespace);
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_line() {
        let text = b"Name:\tx\\nUid:\\t0\nUid:\t1000\t1000\t1000\t1000\n";
        assert_eq!(parse(text).unwrap().real, Uid(1000));
    }

    #[test]
    fn missing_ids_are_an_error() {
        for text in [&b""[..], b"Uid:", b"Uid:\t1\t2", b"Uid:\tx\ty\tz\tw"] {
            assert!(parse(text).is_err());
        }
    }
}
