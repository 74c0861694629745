//! The files of one process, read below any directory descriptor: `/proc` and a pid for a first check, or
//! the process's own directory for reads that cannot be of another process.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, StatxFlags, makedev, statx};

use super::{cgroup, procfs, stat, status, why};
use crate::environ::{EnvironScan, Scanner, Wanted};
use crate::types::{Ids, Image, Pid, RuntimeUnit, Stat, Uid, Why};

/// Arguments beyond this many bytes are not read: no rule needs them.
const MAX_ARGV: usize = 128 << 10;

/// The files of one process: below `/proc` and its pid, or in its own directory.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    at: BorrowedFd<'a>,
    pid: Option<Pid>,
}

impl<'a> Files<'a> {
    /// The files of the process that has this pid at each read, below `/proc`.
    pub const fn of(root: BorrowedFd<'a>, pid: Pid) -> Self {
        Self { at: root, pid: Some(pid) }
    }

    /// The files of the one process whose directory this is.
    pub const fn within(dir: BorrowedFd<'a>) -> Self {
        Self { at: dir, pid: None }
    }

    /// Passes on where a file of the process is: a directory and a path below it.
    fn at<T>(self, name: &str, read: impl FnOnce(BorrowedFd<'a>, &[u8]) -> T) -> T {
        match self.pid {
            Some(pid) => read(self.at, procfs::Path::new(pid, name).bytes()),
            None => read(self.at, name.as_bytes()),
        }
    }

    /// Its cheap facts. The kernel shows no memory for a main thread that has exited; then they are completed from a
    /// living thread.
    pub fn stat(self) -> Result<Stat, Why> {
        let mut stat = self.at("stat", read_stat)?;
        if stat.lost_its_main_thread()
            && let Some((_, thread)) = self.living_thread()?
        {
            stat::complete(&mut stat, &thread);
        }
        Ok(stat)
    }

    /// A living thread of a process whose main thread has exited: all threads share one memory and one program
    /// file, and the kernel shows them in the files of each thread (proc_pid_task(5)).
    fn living_thread(self) -> Result<Option<(Pid, Stat)>, Why> {
        let main = self.at("stat", read_stat)?;
        if !main.lost_its_main_thread() {
            return Ok(None);
        }
        let task = self.at("task", procfs::open_dir).map_err(why)?;
        for thread in procfs::threads(&task).map_err(why)?.into_iter().filter(|thread| *thread != main.pid) {
            match read_stat(task.as_fd(), procfs::Path::new(thread, "stat").bytes()) {
                Ok(stat) if !stat.state.has_exited() => return Ok(Some((thread, stat))),
                Ok(_) | Err(Why::Gone) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(None)
    }

    /// Reads a file of the process's memory; where that is empty or missing because the main thread has exited, reads
    /// it through another thread.
    fn memory<T>(
        self,
        name: &str,
        is_nothing: impl Fn(&Result<T, Why>) -> bool,
        read: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let first = self.at(name, &read);
        if !is_nothing(&first) {
            return first;
        }
        let Ok(Some((thread, _))) = self.living_thread() else { return first };
        let task = self.at("task", procfs::open_dir).map_err(why)?;
        read(task.as_fd(), procfs::Path::new(thread, name).bytes())
    }

    /// The path of its program file.
    pub fn exe(self) -> Result<Vec<u8>, Why> {
        self.memory("exe", |read| read == &Err(Why::Gone), read_exe)
    }

    /// Its arguments.
    pub fn argv(self) -> Result<Vec<Vec<u8>>, Why> {
        self.memory(
            "cmdline",
            |read| read.as_ref().map_or_else(|e| *e == Why::Gone, Vec::is_empty),
            read_argv,
        )
    }

    /// Searches its environment for these variables.
    pub fn environ(self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        let is_nothing = |read: &Result<EnvironScan, Why>| match read {
            Ok(scan) => scan.len == 0,
            Err(why) => *why == Why::Gone,
        };
        self.memory("environ", is_nothing, |at, path| read_environ(at, path, wanted))
    }

    /// The image that it runs; `stat` was read just before. A hidden program file is no error: the rest
    /// distinguishes images, too.
    pub fn image(self, stat: &Stat) -> Result<Image, Why> {
        let file = match self.memory("exe", |read| read == &Err(Why::Gone), read_file_id) {
            Ok(file) => file,
            Err(Why::Denied) => (0, 0),
            Err(why) => return Err(why),
        };
        Ok(Image { file, layout: stat.layout.unwrap_or_default() })
    }
}

pub fn read_stat(at: BorrowedFd<'_>, path: &[u8]) -> Result<Stat, Why> {
    let page = rustix::param::page_size() as u64;
    procfs::read_small(at, path, |line| stat::parse(line, page))
}

/// Device and inode of the file that a link of `/proc` refers to, even if that file was moved or deleted.
fn read_file_id(at: BorrowedFd<'_>, path: &[u8]) -> Result<(u64, u64), Why> {
    let file = statx(at, path, AtFlags::empty(), StatxFlags::INO).map_err(why)?;
    Ok((makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino))
}

/// The inode of a namespace, which identifies it.
pub fn read_namespace(at: BorrowedFd<'_>, path: &[u8]) -> Result<u64, Why> {
    statx(at, path, AtFlags::empty(), StatxFlags::INO).map(|file| file.stx_ino).map_err(why)
}

pub fn read_ids(at: BorrowedFd<'_>) -> Result<Ids, Why> {
    procfs::read_small(at, b"status", status::parse)
}

pub fn read_unit(at: BorrowedFd<'_>) -> Result<Option<RuntimeUnit>, Why> {
    procfs::read_small(at, b"cgroup", |text| Ok(cgroup::unit(text)))
}

fn read_exe(at: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Why> {
    rustix::fs::readlinkat(at, path, Vec::new()).map(|path| path.into_bytes()).map_err(why)
}

/// The effective user: always the owner of the directory `/proc/PID`, dumpable or not (proc(5) and the
/// kernel's `task_dump_owner`).
pub fn read_owner(at: BorrowedFd<'_>, path: &[u8]) -> Result<Uid, Why> {
    statx(at, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::UID).map(|s| Uid(s.stx_uid)).map_err(why)
}

fn read_argv(at: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, Why> {
    let mut bytes = Vec::new();
    procfs::read_chunks(at, path, |chunk| {
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

fn read_environ(at: BorrowedFd<'_>, path: &[u8], wanted: &Wanted) -> Result<EnvironScan, Why> {
    let mut scanner = Scanner::new(wanted);
    procfs::read_memory(at, path, |chunk| scanner.feed(chunk)).map_err(why)?;
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
