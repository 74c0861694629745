//! Reading files and directories below `/proc` with the fewest calls: paths relative to an open
//! directory, one buffer per thread, no allocation on the hot path.

use std::cell::RefCell;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::why;
use crate::types::{Pid, Why};

/// Holds an ordinary environment in one read; larger ones take more reads.
const BUFFER: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Opens a directory for reading below it.
pub fn open_dir(at: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

/// Reads a file to its end and passes on each piece.
pub fn read_chunks(at: BorrowedFd<'_>, path: &[u8], take: impl FnMut(&[u8])) -> Result<(), Errno> {
    read_pieces(at, path, 1, take)
}

/// Reads a file of a process's memory (`environ`). Unlike other files of /proc it fills the buffer as
/// long as there is anything to read, so a shorter piece is the last one and the read that would only
/// return 0 is saved.
pub fn read_memory(at: BorrowedFd<'_>, path: &[u8], take: impl FnMut(&[u8])) -> Result<(), Errno> {
    read_pieces(at, path, BUFFER, take)
}

/// Runs `work` with the thread's buffer. A nested read gets a new buffer.
fn with_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = SCRATCH.take();
    if buffer.is_empty() {
        // Zeroed by the allocator, which knows fresh pages; filling it would touch each of them.
        buffer = vec![0; BUFFER];
    }
    let done = work(&mut buffer);
    SCRATCH.set(buffer);
    done
}

/// Reads until a piece is shorter than `full`.
fn read_pieces(
    at: BorrowedFd<'_>,
    path: &[u8],
    full: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Errno> {
    let file = openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    with_buffer(|buffer| {
        loop {
            let n = match rustix::io::read(&file, &mut *buffer) {
                Err(Errno::INTR) => continue,
                done => done?,
            };
            take(buffer.get(..n).unwrap_or_default());
            if n < full {
                return Ok(());
            }
        }
    })
}

/// Reads a small file; what does not fit into one buffer is left out.
pub fn read_small<T>(
    at: BorrowedFd<'_>,
    path: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, Why>,
) -> Result<T, Why> {
    let file =
        openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).map_err(why)?;
    with_buffer(|buffer| {
        loop {
            match rustix::io::read(&file, &mut *buffer) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(why(errno)),
                Ok(n) => return parse(buffer.get(..n).unwrap_or_default()),
            }
        }
    })
}

/// The names in a large directory, `.` and `..` included.
pub fn names(dir: impl AsFd, mut take: impl FnMut(&CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut space = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(dir, space.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        take(entry?.file_name())?;
    }
    Ok(())
}

/// The numeric names in a directory: pids below `/proc`, threads below `task`.
pub fn numbers(dir: impl AsFd, mut take: impl FnMut(Pid)) -> Result<(), Errno> {
    names(dir, |name| {
        if let Some(pid) = Pid::parse(name.to_bytes()) {
            take(pid);
        }
        Ok(())
    })
}

/// The threads of a process. The buffer is small, because most processes have one thread.
pub fn threads(dir: impl AsFd) -> Result<Vec<Pid>, Errno> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(dir, &mut space);
    let mut found = Vec::with_capacity(1);
    while let Some(entry) = entries.next() {
        if let Some(tid) = Pid::parse(entry?.file_name().to_bytes()) {
            found.push(tid);
        }
    }
    Ok(found)
}

/// `PID/NAME` without an allocation.
pub struct Path {
    bytes: [u8; 64],
    len: usize,
}

impl Path {
    /// Joins a pid and a short fixed name (`""` for the directory itself).
    pub fn new(pid: Pid, name: &str) -> Self {
        use std::io::Write as _;
        let mut path = Self { bytes: [0; 64], len: 0 };
        let mut room = path.bytes.as_mut_slice();
        let all = room.len();
        let slash = if name.is_empty() { "" } else { "/" };
        // A pid and the longest name, "task/<tid>/children", take 40 bytes at most.
        let fits = write!(room, "{pid}{slash}{name}").is_ok();
        debug_assert!(fits);
        path.len = all - room.len();
        path
    }

    /// The joined path.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn what_is_read_may_lead_to_another_read() {
        let name = |text: &[u8]| Ok(text.trim_ascii().to_vec());
        let own = read_small(CWD, b"/proc/self/comm", name).unwrap();
        let inner = read_small(CWD, b"/proc/self/stat", |stat| {
            read_small(CWD, b"/proc/self/comm", name).map(|inner| (inner, stat.to_vec()))
        });
        let (inner, stat) = inner.unwrap();
        assert_eq!(inner, own);
        assert!(stat.len() > own.len(), "the outer text is still its own");
        let mut pieces = 0;
        read_chunks(CWD, b"/proc/self/stat", |_| {
            pieces += 1;
            assert_eq!(read_small(CWD, b"/proc/self/comm", name).unwrap(), own);
        })
        .unwrap();
        assert!(pieces > 0);
    }

    #[test]
    fn paths_are_joined() {
        let pid = Pid::new(i32::MAX).unwrap();
        assert_eq!(
            Path::new(pid, "task/2147483647/children").bytes(),
            b"2147483647/task/2147483647/children"
        );
        assert_eq!(Path::new(pid, "").bytes(), b"2147483647");
    }
}
