//! The files of one process, read below any directory descriptor: `/proc` and a pid for a first look, or
//! the process's own directory for a look that cannot go astray.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::{cgroup, proc, stat, status, why};
use crate::environ::{EnvironScan, Scanner, Wanted};
use crate::types::{Ids, RuntimeUnit, Stat, Uid, Why};

/// Arguments beyond this many bytes are not read: no rule looks that far.
const MAX_ARGV: usize = 128 << 10;

pub fn read_stat(at: BorrowedFd<'_>, path: &[u8]) -> Result<Stat, Why> {
    let page = rustix::param::page_size() as u64;
    proc::read_small(at, path, |line| stat::parse(line, page))
}

pub fn read_ids(at: BorrowedFd<'_>) -> Result<Ids, Why> {
    proc::read_small(at, b"status", status::parse)
}

pub fn read_unit(at: BorrowedFd<'_>) -> Result<Option<RuntimeUnit>, Why> {
    proc::read_small(at, b"cgroup", |text| Ok(cgroup::unit(text)))
}

pub fn read_exe(at: BorrowedFd<'_>) -> Result<Vec<u8>, Why> {
    rustix::fs::readlinkat(at, "exe", Vec::new()).map(|path| path.into_bytes()).map_err(why)
}

/// The effective user: the owner of `/proc/PID` is always that, dumpable or not (proc(5) and the
/// kernel's `task_dump_owner`).
pub fn read_owner(at: BorrowedFd<'_>, path: &[u8]) -> Result<Uid, Why> {
    statx(at, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::UID).map(|s| Uid(s.stx_uid)).map_err(why)
}

pub fn read_argv(at: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, Why> {
    let mut bytes = Vec::new();
    proc::read_chunks(at, path, |chunk| {
        let room = MAX_ARGV.saturating_sub(bytes.len());
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    })
    .map_err(why)?;
    Ok(split_argv(&bytes))
}

/// Splits at NULs; the last argument's own NUL does not start another.
fn split_argv(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() { Vec::new() } else { bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect() }
}

pub fn read_environ(at: BorrowedFd<'_>, path: &[u8], wanted: &Wanted) -> Result<EnvironScan, Why> {
    let mut scanner = Scanner::new(wanted);
    proc::read_memory(at, path, |chunk| scanner.feed(chunk)).map_err(why)?;
    Ok(scanner.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_be_empty_and_the_last_may_lack_its_end() {
        assert_eq!(split_argv(b""), Vec::<Vec<u8>>::new());
        assert_eq!(split_argv(b"\0"), Vec::<Vec<u8>>::new());
        assert_eq!(split_argv(b"a\0\0b\0"), vec![b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        assert_eq!(split_argv(b"title without end"), vec![b"title without end".to_vec()]);
    }
}
