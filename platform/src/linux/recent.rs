//! The order of pids, read from the kernel: the last one that was handed out, and a listing from any pid on.
//!
//! A position in the `/proc` directory is a pid: `proc_pid_readdir` in fs/proc/base.c takes the pid to begin with from
//! the position (`iter.tgid = pos - TGID_OFFSET`), and `next_tgid` goes from it to the next process of the PID
//! namespace that the file system was mounted for, by a search in its index of pids; threads are left out. So the cost
//! of listing the newest processes does not depend on how many others there are.
//!
//! The last pid is in `/proc/sys/kernel/ns_last_pid` (`pid_ns_ctl_handler` in kernel/pid_namespace.c, where the kernel
//! has `CONFIG_CHECKPOINT_RESTORE`) and at the end of `/proc/loadavg` (`loadavg_proc_show` in fs/proc/loadavg.c). Both
//! are of the *reader's* PID namespace, whichever namespace `/proc` is of; the two are the same for a
//! [`super::LinuxHost`], which refuses any other `/proc`.
//!
//! No manual page guarantees this, so it is tested before it is used.

use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, fstat, openat, seek};
use rustix::io::pread;

use super::{procfs, why};
use crate::host::NO_ORDER;
use crate::types::{Pid, Why};

/// The position of pid 0: `TGID_OFFSET` in fs/proc/base.c, which is `FIRST_PROCESS_ENTRY` (256, fs/proc/internal.h) and
/// the two links `self` and `thread-self`.
const TGID_OFFSET: u64 = 256 + 2;

/// Files whose last word is the last pid. The first is one number; the second is there in every kernel, but containers
/// may mount a file of their own over it (lxcfs), which has the pid of another namespace.
const LAST_PID: [&[u8]; 2] = [b"sys/kernel/ns_last_pid", b"loadavg"];

/// In bytes: about 40 entries. After a wrap-around there are old processes behind the new ones: a larger buffer would
/// make the kernel list more of them in vain.
const BATCH: usize = 1 << 10;

/// The order of pids, opened and tested on first use.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<PidOrder>>);

impl Recent {
    /// Calls `ask` with the order of pids below an open `/proc`, where we have the pid `own`. One thread at a time:
    /// they share one position in the directory.
    ///
    /// # Errors
    /// [`Why::Unsupported`] or [`Why::Garbled`] where there is no order that can be read; that is tested again at the
    /// next call.
    pub(super) fn with<T>(
        &self,
        root: BorrowedFd<'_>,
        own: Pid,
        ask: impl FnOnce(&PidOrder) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ask(match &mut *opened {
            Some(order) => order,
            none => none.insert(PidOrder::open(root, own)?),
        })
    }
}

/// The order of pids.
#[derive(Debug)]
pub(super) struct PidOrder {
    /// A handle of `/proc` with a read position of its own.
    dir: OwnedFd,
    /// One of [`LAST_PID`].
    last: OwnedFd,
}

impl PidOrder {
    fn open(root: BorrowedFd<'_>, own: Pid) -> Result<Self, Why> {
        let dir = procfs::open_dir(root, b".").map_err(why)?;
        let device = fstat(&dir).map_err(why)?.st_dev;
        let last = LAST_PID.iter().find_map(|path| {
            let file = openat(root, *path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
            // A file that was mounted over the kernel's is on another file system.
            let is_the_kernels = fstat(&file).is_ok_and(|file| file.st_dev == device);
            (is_the_kernels && read_last(&file).is_ok()).then_some(file)
        });
        let order = Self { dir, last: last.ok_or(NO_ORDER)? };
        order.try_out(own)?;
        Ok(order)
    }

    /// Tests that positions are pids: a listing from our own pid contains us, and one from the next pid does not.
    fn try_out(&self, own: Pid) -> Result<(), Why> {
        let mut found = false;
        self.list(&(own.get()..=own.get()), |_| found = true)?;
        let next = own.get().saturating_add(1);
        self.list(&(next..=next), |_| {})?;
        if found { Ok(()) } else { Err(OUT_OF_ORDER) }
    }

    /// The last pid that was handed out in our PID namespace, possibly to a thread or to a process that has exited.
    pub(super) fn last(&self) -> Result<Pid, Why> {
        read_last(&self.last)
    }

    /// Passes on the pids of the processes in a range, in ascending order.
    ///
    /// # Errors
    /// [`Why::Garbled`] when positions are not pids.
    pub(super) fn list(&self, range: &RangeInclusive<i32>, mut take: impl FnMut(Pid)) -> Result<(), Why> {
        let first = u64::try_from(*range.start()).unwrap_or(0);
        seek(&self.dir, SeekFrom::Start(TGID_OFFSET + first)).map_err(why)?;
        let mut space = [MaybeUninit::uninit(); BATCH];
        let mut entries = RawDir::new(self.dir.as_fd(), &mut space);
        while let Some(entry) = entries.next() {
            let pid = Pid::parse(entry.map_err(why)?.file_name().to_bytes()).ok_or(OUT_OF_ORDER)?;
            if pid.get() < *range.start() {
                return Err(OUT_OF_ORDER);
            }
            if pid.get() <= *range.end() {
                take(pid);
            }
            if pid.get() >= *range.end() {
                break;
            }
        }
        Ok(())
    }
}

const OUT_OF_ORDER: Why = Why::Garbled("the list of processes is not in the order of pids");

/// Reads the last word of a file, from its beginning: the kernel renews the text at each such read.
///
/// ```text
/// 0.09 0.06 0.08 1/71 1103
/// ```
fn read_last(file: &OwnedFd) -> Result<Pid, Why> {
    let mut text = [0; 128];
    let len = pread(file, &mut text, 0).map_err(why)?;
    let mut words = text.get(..len).unwrap_or_default().split(u8::is_ascii_whitespace);
    let last = words.rfind(|word| !word.is_empty());
    last.and_then(Pid::parse).ok_or(Why::Garbled("the last pid is not a number"))
}

#[cfg(test)]
mod tests;
