//! Tries what the machine allows us.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::process::{Resource, getppid, getrlimit};

use super::{procfs, why};
use crate::host::{Host, ProcessHandle as _};
use crate::probe::{Capabilities, Machine, Room};
use crate::types::{Pid, Uid, Why};

/// Tries what the machine allows us, and reads what explains the results.
pub(super) fn machine(host: &impl Host, root: BorrowedFd<'_>) -> Machine {
    let own = host.info().pid;
    let name = rustix::system::uname();
    let words = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let limit = getrlimit(Resource::Nofile);
    Machine {
        kernel: format!("{} {}", words(name.sysname()), words(name.release())),
        signals: "signals by pidfd",
        has_generations: host.open(own).is_ok_and(|process| process.id().generation.is_some()),
        own_children: host.children(own).map(drop),
        init_children: host.children(Pid::INIT).map(drop),
        hiding: hiding(&read_whole(root, b"self/mountinfo")),
        is_in_user_namespace: read(root, b"self/uid_map", |text| !is_whole(text)),
        capabilities: read(root, b"self/status", |text| capabilities(text, b"CapEff:")).flatten(),
        open_files: (limit.current, limit.maximum),
        parent: getppid().and_then(|pid| Pid::new(pid.as_raw_nonzero().get())),
    }
}

fn read<T>(root: BorrowedFd<'_>, path: &[u8], parse: impl FnOnce(&[u8]) -> T) -> Option<T> {
    procfs::read_small(root, path, |text| Ok(parse(text))).ok()
}

/// Reads a file of /proc that may be longer than a page; empty if it cannot be read.
fn read_whole(root: BorrowedFd<'_>, path: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // The text only explains results, so an error is no result of its own.
    let _ = procfs::read_chunks(root, path, |chunk| text.extend_from_slice(chunk));
    text
}

/// The free space of the file system that holds a directory.
pub(super) fn room(path: &Path) -> Result<Room, Why> {
    let stat = rustix::fs::statvfs(path).map_err(why)?;
    // Some file systems have no fixed number of inodes, and report 0 of 0.
    let files = (stat.f_files > 0).then_some(stat.f_favail);
    Ok(Room { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), files })
}

/// The name of a user, if `/etc/passwd` has it.
pub(super) fn user_name(uid: Uid) -> Option<Vec<u8>> {
    let uid = uid.0.to_string();
    let mut text = Vec::new();
    procfs::read_chunks(CWD, b"/etc/passwd", |chunk| text.extend_from_slice(chunk)).ok()?;
    text.split(|b| *b == b'\n').find_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.as_bytes()).then(|| name.to_vec())
    })
}

/// The options of the mount at `/proc` that hide something (mountinfo: proc_pid_mountinfo(5), hidepid and subset:
/// proc(5)). Of several mounts the last one is in effect.
///
/// ```text
/// 25 30 0:23 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw,hidepid=invisible
/// ```
fn hiding(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mount = text.lines().rev().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let is_proc = place.split(' ').nth(4) == Some("/proc") && kind.starts_with("proc ");
        is_proc.then(|| kind.rsplit(' ').next()).flatten()
    });
    let hides = |option: &&str| {
        option.starts_with("subset=")
            || option.strip_prefix("hidepid=").is_some_and(|mode| mode != "0" && mode != "off")
    };
    mount.unwrap_or_default().split(',').filter(hides).map(str::to_owned).collect()
}

/// The permitted capabilities of a process.
pub(super) fn permitted(root: BorrowedFd<'_>, pid: Pid) -> Option<Capabilities> {
    read(root, format!("{pid}/status").as_bytes(), |text| capabilities(text, b"CapPrm:")).flatten()
}

/// Whether the map of user ids (user_namespaces(7)) is that of the initial user namespace.
///
/// ```text
///          0          0 4294967295
/// ```
fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The capability set in a line of the status file, in hexadecimal (proc_pid_status(5)).
fn capabilities(text: &[u8], line: &[u8]) -> Option<Capabilities> {
    let line = text.split(|b| *b == b'\n').find_map(|found| found.strip_prefix(line))?;
    let digits = std::str::from_utf8(line.trim_ascii()).ok()?;
    u64::from_str_radix(digits, 16).ok().map(Capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_tried() {
        let host = crate::linux::LinuxHost::new().unwrap();
        let machine = host.machine();
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert_eq!(machine.own_children, Ok(()));
        assert!(machine.capabilities.is_some() && machine.is_in_user_namespace.is_some());
        assert_eq!(
            machine.parent.map(Pid::get),
            Some(i32::try_from(std::os::unix::process::parent_id()).unwrap())
        );
        let room = host.room(Path::new("/tmp")).unwrap();
        assert!(room.bytes > 0 && room.files != Some(0));
        assert_eq!(host.room(Path::new("/nonexistent")), Err(Why::Gone));
    }

    #[test]
    fn the_options_that_hide_are_found() {
        let mount = |place: &str, options: &str| {
            format!("25 30 0:23 / {place} rw,nosuid shared:14 - proc proc {options}\n")
        };
        let rest = "30 1 8:1 / / rw - ext4 /dev/sda rw,hidepid=2\n";
        let hidden = |text: &str| hiding(text.as_bytes());
        assert_eq!(
            hidden(&format!("{}{rest}", mount("/proc", "rw,gid=4,hidepid=invisible"))),
            ["hidepid=invisible"]
        );
        assert_eq!(hidden(&mount("/proc", "rw,hidepid=2,subset=pid")), ["hidepid=2", "subset=pid"]);
        assert_eq!(hidden(&mount("/proc", "rw,hidepid=off")), [""; 0]);
        assert_eq!(hidden(&mount("/mnt/proc", "rw,hidepid=2")), [""; 0]);
        let later = mount("/proc", "rw,hidepid=2") + &mount("/proc", "rw");
        assert_eq!(hidden(&later), [""; 0], "the last mount covers the ones before");
        assert_eq!(hidden(""), [""; 0]);
    }

    #[test]
    fn only_the_whole_map_is_the_first_namespace() {
        assert!(is_whole(b"         0          0 4294967295\n"));
        for child in [&b"0 1000 1\n"[..], b"0 100000 65536\n", b"1000 1000 1\n", b""] {
            assert!(!is_whole(child));
        }
    }

    #[test]
    fn capabilities_are_read_from_their_own_line() {
        let text = b"Name:\tCapEff\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000080024\nCapBnd:\t0\n";
        let found = capabilities(text, b"CapEff:").unwrap();
        let expected = [
            (Capabilities::KILL, true),
            (Capabilities::SYS_PTRACE, true),
            (Capabilities::DAC_READ_SEARCH, true),
            (Capabilities::DAC_OVERRIDE, false),
        ];
        for (number, has) in expected {
            assert_eq!(found.has(number), has, "{number}");
        }
        assert_eq!(capabilities(b"CapEff:\tmany\n", b"CapEff:"), None);
        assert_eq!(capabilities(b"", b"CapEff:"), None);
        assert_eq!(capabilities(text, b"CapPrm:"), Some(Capabilities(0x01ff_ffff_ffff)));
    }
}
