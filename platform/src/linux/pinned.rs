//! One process that cannot be mistaken for another.
//!
//! An open `/proc/PID` directory belongs to one process for ever: once that is collected, every read
//! below it fails, whoever has the number now. Reading the start time through it *after* opening a pidfd
//! proves that the number was not reused in between, so both name the same process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::{facts, proc, why};
use crate::environ::{EnvironScan, Wanted};
use crate::host::Pinned;
use crate::types::{Generation, Ids, Pid, ProcId, RuntimeUnit, Signal, Stat, Why};

/// The file system of pidfds since Linux 6.9 (`PID_FS_MAGIC`, include/uapi/linux/magic.h). Before it all
/// pidfds shared one inode.
const PID_FS_MAGIC: u32 = 0x5049_4446;

/// A `/proc/PID` directory and a pidfd, proven to be of one process.
#[derive(Debug)]
pub struct LinuxPinned {
    id: ProcId,
    dir: OwnedFd,
    /// `None` on a kernel before 5.3: the process can be read and not be signalled.
    pidfd: Option<OwnedFd>,
}

impl LinuxPinned {
    /// Pins `pid` below an open `/proc`.
    pub(super) fn open(proc_root: BorrowedFd<'_>, pid: Pid) -> Result<Self, Why> {
        let dir = proc::open_dir(proc_root, proc::Path::new(pid, "").bytes()).map_err(why)?;
        let pidfd = open_pidfd(pid)?;
        // Last: this read fails unless the process that `dir` belongs to is still there.
        let stat = facts::read_stat(dir.as_fd(), b"stat")?;
        let generation = pidfd.as_ref().and_then(generation);
        Ok(Self { id: ProcId { pid, start: stat.start, generation }, dir, pidfd })
    }

    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }
}

pub(super) fn open_pidfd(pid: Pid) -> Result<Option<OwnedFd>, Why> {
    let Some(raw) = rustix::process::Pid::from_raw(pid.get()) else { return Err(Why::Gone) };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOSYS) => Ok(None),
        // A process in mid-exit, or the number of a thread.
        Err(Errno::INVAL) => Err(Why::Gone),
        Err(errno) => Err(why(errno)),
    }
}

fn generation(pidfd: &OwnedFd) -> Option<Generation> {
    // The same for every pidfd of a running kernel.
    static HAS_PIDFS: OnceLock<bool> = OnceLock::new();
    let has_pidfs = *HAS_PIDFS.get_or_init(|| {
        rustix::fs::fstatfs(pidfd).is_ok_and(|fs| u32::try_from(fs.f_type) == Ok(PID_FS_MAGIC))
    });
    has_pidfs.then(|| rustix::fs::fstat(pidfd).ok().map(|s| Generation(s.st_ino))).flatten()
}

impl Pinned for LinuxPinned {
    fn id(&self) -> ProcId {
        self.id
    }

    fn stat(&self) -> Result<Stat, Why> {
        facts::read_stat(self.dir.as_fd(), b"stat")
    }

    fn ids(&self) -> Result<Ids, Why> {
        facts::read_ids(self.dir.as_fd())
    }

    fn exe(&self) -> Result<Vec<u8>, Why> {
        facts::read_exe(self.dir.as_fd())
    }

    fn argv(&self) -> Result<Vec<Vec<u8>>, Why> {
        facts::read_argv(self.dir.as_fd(), b"cmdline")
    }

    fn environ(&self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        facts::read_environ(self.dir.as_fd(), b"environ", wanted)
    }

    fn unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        facts::read_unit(self.dir.as_fd())
    }

    fn signal(&self, signal: Signal) -> Result<(), Why> {
        if self.pidfd.is_none() {
            return Err(Why::Unsupported("pidfd_open (Linux 5.3)"));
        }
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        // To the directory that everything was read through, not to the pidfd: where `/proc` were of another PID
        // namespace, the two would be different processes.
        pidfd_send_signal(&self.dir, signal).map_err(|errno| match errno {
            Errno::NOSYS => Why::Unsupported("pidfd_send_signal (Linux 5.1)"),
            other => why(other),
        })
    }
}
