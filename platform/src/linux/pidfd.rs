//! The process handle of Linux: a `/proc/PID` directory and a pidfd.
//!
//! An open `/proc/PID` directory belongs to one process for ever: once that is reaped, every read
//! below it fails, even if the pid is in use again. Reading the start time through it *after* opening a pidfd
//! proves that the pid was not reused in between, so both refer to the same process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::process_files::Files;
use super::{listeners, process_files, procfs, why};
use crate::environ::{EnvironScan, Wanted};
use crate::host::ProcessHandle;
use crate::socket_tables::SocketTables;
use crate::sockets::{Folder, Listener};
use crate::types::{Generation, Ids, Image, Pid, ProcId, RuntimeUnit, Signal, Stat, Uid, Why};

/// The file system of pidfds since Linux 6.9 (`PID_FS_MAGIC`, include/uapi/linux/magic.h). Before it all
/// pidfds shared one inode.
const PID_FS_MAGIC: u32 = 0x5049_4446;

/// A `/proc/PID` directory and a pidfd, proven to be of the same process.
#[derive(Debug)]
pub struct LinuxHandle {
    id: ProcId,
    dir: OwnedFd,
    /// `None` on a kernel before 5.3: the process can be read and not be signalled.
    pidfd: Option<OwnedFd>,
    first_image: Option<Image>,
}

impl LinuxHandle {
    /// Opens a handle of `pid` below an open `/proc`.
    pub(super) fn open(proc_root: BorrowedFd<'_>, pid: Pid) -> Result<Self, Why> {
        let dir = procfs::open_dir(proc_root, procfs::Path::new(pid, "").bytes()).map_err(why)?;
        let pidfd = open_pidfd(pid)?;
        // Last: this read fails unless the process that `dir` belongs to is still there.
        let stat = Files::within(dir.as_fd()).stat()?;
        let generation = pidfd.as_ref().and_then(generation);
        let first_image = Files::within(dir.as_fd()).image(&stat).ok();
        Ok(Self { id: ProcId { pid, start: stat.start, generation }, dir, pidfd, first_image })
    }

    fn files(&self) -> Files<'_> {
        Files::within(self.dir.as_fd())
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
        // A process that is exiting, or the id of a thread.
        Err(Errno::INVAL) => Err(Why::Gone),
        Err(errno) => Err(why(errno)),
    }
}

fn generation(pidfd: &OwnedFd) -> Option<Generation> {
    // The file system is the same for every pidfd of a running kernel.
    static HAS_PIDFS: OnceLock<bool> = OnceLock::new();
    let has_pidfs = *HAS_PIDFS.get_or_init(|| {
        rustix::fs::fstatfs(pidfd).is_ok_and(|fs| u32::try_from(fs.f_type) == Ok(PID_FS_MAGIC))
    });
    has_pidfs.then(|| rustix::fs::fstat(pidfd).ok().map(|s| Generation(s.st_ino))).flatten()
}

impl ProcessHandle for LinuxHandle {
    fn id(&self) -> ProcId {
        self.id
    }

    fn stat(&self) -> Result<Stat, Why> {
        self.files().stat()
    }

    /// A pidfd becomes readable when the last thread has ended, not before (pidfd_open(2), `pidfd_poll` in
    /// kernel/fork.c).
    fn has_ended(&self) -> Result<bool, Why> {
        let pidfd = self.pidfd.as_ref().ok_or(Why::Unsupported("pidfd_open (Linux 5.3)"))?;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(why(errno)),
            }
        }
    }

    fn first_image(&self) -> Option<Image> {
        self.first_image
    }

    fn image(&self, stat: &Stat) -> Result<Image, Why> {
        self.files().image(stat)
    }

    fn ids(&self) -> Result<Ids, Why> {
        process_files::read_ids(self.dir.as_fd())
    }

    fn exe(&self) -> Result<Vec<u8>, Why> {
        self.files().exe()
    }

    fn argv(&self) -> Result<Vec<Vec<u8>>, Why> {
        self.files().argv()
    }

    fn environ(&self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        self.files().environ(wanted)
    }

    fn unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        process_files::read_unit(self.dir.as_fd())
    }

    /// A socket that was created in another network namespace and passed on is in no table of the process's namespace.
    fn listeners(&self, tables: &SocketTables) -> Result<Vec<Listener>, Why> {
        listeners::read(self.dir.as_fd(), self.id.pid, tables)
    }

    /// Through the link to its root directory, which needs the right to trace it (proc_pid_root(5)).
    fn folder(&self, path: &[u8]) -> Result<Folder, Why> {
        let path = [b"root/", path.strip_prefix(b"/").unwrap_or(path)].concat();
        let wanted = StatxFlags::MODE | StatxFlags::UID | StatxFlags::BTIME;
        let file = statx(&self.dir, path, AtFlags::SYMLINK_NOFOLLOW, wanted).map_err(why)?;
        let has_time = StatxFlags::from_bits_retain(file.stx_mask).contains(StatxFlags::BTIME);
        let seconds = u64::try_from(file.stx_btime.tv_sec).ok().filter(|_| has_time);
        Ok(Folder {
            owner: Uid(file.stx_uid),
            mode: u32::from(file.stx_mode) & 0o7777,
            made: seconds.map(|seconds| Duration::new(seconds, file.stx_btime.tv_nsec)),
        })
    }

    fn signal(&self, signal: Signal) -> Result<(), Why> {
        if self.pidfd.is_none() {
            return Err(Why::Unsupported("pidfd_open (Linux 5.3)"));
        }
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Cont => rustix::process::Signal::CONT,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        // To the directory that everything was read through, not to the pidfd: if `/proc` were of another PID
        // namespace, the two would be different processes.
        pidfd_send_signal(&self.dir, signal).map_err(|errno| match errno {
            Errno::NOSYS => Why::Unsupported("pidfd_send_signal (Linux 5.1)"),
            other => why(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host as _;
    use crate::linux::LinuxHost;

    #[test]
    fn a_folder_is_seen_as_the_process_sees_it() {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::DirBuilderExt as _;
        let host = LinuxHost::new().unwrap();
        let own = host.open(host.info().pid).unwrap();
        let path = std::env::temp_dir().join(format!("reaper-folder-{}", std::process::id()));
        let before = host.clock().realtime;
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        let folder = own.folder(path.as_os_str().as_bytes());
        std::fs::remove_dir(&path).unwrap();
        let folder = folder.unwrap();
        assert_eq!((folder.owner, folder.mode), (host.info().uid, 0o700));
        // Not every file system records when a directory was created; if it does, that is now.
        let slack = Duration::from_secs(1);
        assert!(folder.made.is_none_or(|made| made + slack >= before && made <= before + slack * 60));
        assert_eq!(own.folder(path.as_os_str().as_bytes()), Err(Why::Gone));
    }

    #[test]
    fn a_living_process_has_not_ended_and_a_zombie_has() {
        let host = LinuxHost::new().unwrap();
        assert_eq!(host.open(host.info().pid).unwrap().has_ended(), Ok(false));
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
        let process = host.open(pid).unwrap();
        assert_eq!(process.has_ended(), Ok(false));
        drop(child.stdin.take());
        while process.has_ended() != Ok(true) {
            std::thread::yield_now();
        }
        // Not reaped yet.
        assert!(process.stat().unwrap().is_dead());
        child.wait().unwrap();
        assert_eq!(process.has_ended(), Ok(true));
    }
}
