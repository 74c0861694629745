//! The Linux [`Host`]: an open `/proc` and what was read at the start.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit, setsid};
use rustix::time::{ClockId, clock_gettime};

use super::epoll::EpollWatcher;
use super::pidfd::{self, LinuxHandle};
use super::process_files::Files;
use super::recent::{PidOrder, Recent};
use super::{probe, process_files, procfs, reap, self_info, systemctl, why};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{Host, HostError, ProcessEntry, ProcessHandle as _, ProcessList};
use crate::probe::{Capabilities, Machine, Room};
use crate::started::{Listed, PidMark, Started};
use crate::types::UnitMain;
use crate::types::{Clock, HostInfo, Pid, RuntimeUnit, Scope, Stat, Uid, Why};

/// Descriptors kept free for files, the terminal and the service's sockets.
const SPARE_DESCRIPTORS: u64 = 64;
/// A process handle holds a directory and a pidfd.
const DESCRIPTORS_PER_HANDLE: u64 = 2;

/// The machine that we run on.
#[derive(Debug)]
pub struct LinuxHost {
    proc_root: OwnedFd,
    info: HostInfo,
    recent: Recent,
}

impl LinuxHost {
    /// Opens `/proc` and reads what stays the same until we exit.
    ///
    /// # Errors
    /// When `/proc` is not mounted or lacks what every kernel has there.
    pub fn new() -> Result<Self, HostError> {
        Self::with_root(Path::new("/proc"))
    }

    /// As [`LinuxHost::new`], with another mount of the proc file system of *our own* PID namespace.
    ///
    /// # Errors
    /// As [`LinuxHost::new`].
    pub fn with_root(root: &Path) -> Result<Self, HostError> {
        let proc_root = open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| HostError { what: "open /proc", why: why(e) })?;
        let info = self_info::read(proc_root.as_fd())?;
        Ok(Self { proc_root, info, recent: Recent::default() })
    }

    /// Tries what this machine allows us, and reads what explains the results.
    #[must_use]
    pub fn machine(&self) -> Machine {
        probe::machine(self, self.root())
    }

    /// Asks the service manager for these properties of a unit; names that it does not know are left out.
    ///
    /// # Errors
    /// When the manager cannot be asked, or does not answer within `limit`.
    pub fn unit_properties(
        &self,
        unit: &RuntimeUnit,
        names: &[&str],
        limit: Duration,
    ) -> Result<Vec<(String, String)>, HostError> {
        systemctl::properties(unit, self.info.uid, names, limit)
    }

    /// The free space of the file system that holds a directory.
    ///
    /// # Errors
    /// When there is no such directory, or the system does not report it.
    pub fn room(&self, path: &Path) -> Result<Room, Why> {
        probe::room(path)
    }

    /// Leaves the session and process group that we were started in and leads new ones (setsid(2)).
    ///
    /// # Errors
    /// When we are the leader of a process group already.
    pub fn leave_session(&self) -> Result<(), Why> {
        setsid().map(drop).map_err(why)
    }

    /// The unit of the service manager that we run in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn own_unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        self.open(self.info.pid)?.unit()
    }

    /// The name of our user, if `/etc/passwd` has it.
    #[must_use]
    pub fn user_name(&self) -> Option<Vec<u8>> {
        probe::user_name(self.info.uid)
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.proc_root.as_fd()
    }

    /// A second `/proc` handle with a read position of its own: listings of two threads must not share one.
    fn reopen(&self) -> Result<OwnedFd, Errno> {
        procfs::open_dir(self.root(), b".")
    }
}

/// Calls `look` for each of these processes. Returns the results, and how many exist but could not be read.
fn each<T>(pids: &[Pid], look: impl Fn(Pid) -> Result<Option<T>, Why>) -> (Vec<T>, usize) {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for pid in pids {
        match look(*pid) {
            Ok(given) => found.extend(given),
            Err(Why::Gone) => {}
            Err(_) => unreadable += 1,
        }
    }
    (found, unreadable)
}

/// `None` for 0: the leader is outside our PID namespace, as with `docker exec`, or the process is exiting.
fn leader(answer: nix::Result<nix::unistd::Pid>) -> Result<Option<Pid>, Why> {
    let id = answer.map_err(|errno| why(Errno::from_raw_os_error(errno as i32)))?;
    Ok(Pid::new(id.as_raw()))
}

impl Host for LinuxHost {
    type ProcessHandle = LinuxHandle;
    type ExitWatcher = EpollWatcher;

    fn info(&self) -> &HostInfo {
        &self.info
    }

    fn clock(&self) -> Clock {
        let read = |id| {
            let t = clock_gettime(id);
            Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
        };
        Clock {
            monotonic: read(ClockId::Monotonic),
            boottime: read(ClockId::Boottime),
            realtime: read(ClockId::Realtime),
        }
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// One list for each thread of the parent: `/proc/PID/task/TID/children` (proc_pid_task_children(5);
    /// readable by everyone, unless `hidepid` is set or the kernel lacks `CONFIG_PROC_CHILDREN`).
    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why> {
        let task = procfs::open_dir(self.root(), procfs::Path::new(pid, "task").bytes()).map_err(why)?;
        let mut children = Vec::new();
        let threads = procfs::threads(&task).map_err(why)?;
        if threads.is_empty() {
            Files::of(self.root(), pid).stat()?;
            // Something else is mounted over the directory: a list read from it would be empty and look complete.
            return Err(Why::Unsupported("folder of threads here"));
        }
        for thread in threads {
            let mut open: Vec<u8> = Vec::new();
            let read =
                procfs::read_chunks(task.as_fd(), procfs::Path::new(thread, "children").bytes(), |chunk| {
                    // A number may be split by the end of a chunk.
                    open.extend_from_slice(chunk);
                    let end = open.iter().rposition(|b| *b == b' ').map_or(0, |i| i + 1);
                    let whole = open.get(..end).unwrap_or_default();
                    children.extend(whole.split(|b| *b == b' ').filter_map(Pid::parse));
                    open.drain(..end);
                });
            match read {
                Ok(()) => children.extend(Pid::parse(&open)),
                // The thread ended; its children moved to another thread of the same process. The lists
                // are read twice for cases like this one. But without the kernel option no thread has it.
                Err(Errno::NOENT) if thread != pid => {}
                Err(Errno::NOENT) => {
                    Files::of(self.root(), pid).stat()?;
                    return Err(Why::Unsupported("lists of children (CONFIG_PROC_CHILDREN)"));
                }
                Err(errno) => return Err(why(errno)),
            }
        }
        Ok(children)
    }

    fn list(&self, scope: Scope) -> Result<ProcessList, HostError> {
        let error = |e| HostError { what: "list /proc", why: why(e) };
        let root = self.reopen().map_err(error)?;
        let mut pids = Vec::new();
        procfs::numbers(&root, |pid| pids.push(pid)).map_err(error)?;
        let (entries, unreadable) = each(&pids, |pid| {
            let uid = self.owner(pid)?;
            if !scope.holds(uid) {
                return Ok(None);
            }
            match self.stat_of(pid) {
                Ok(stat) => Ok(Some(ProcessEntry { stat, uid })),
                // Hidden by `hidepid`, as others' processes may be.
                Err(Why::Denied) if uid != self.info.uid => Ok(None),
                Err(why) => Err(why),
            }
        });
        Ok(ProcessList { entries, examined: pids.len(), unreadable })
    }

    fn pid_mark(&self) -> Result<PidMark, HostError> {
        let last = self.recent.with(self.root(), self.info.pid, PidOrder::last);
        let last = last.map_err(|why| HostError { what: "remember the last pid", why })?;
        // Read after the pid: by then all pids up to it had been handed out.
        Ok(PidMark::first(last, self.clock().monotonic))
    }

    fn started_since(&self, mark: &PidMark, scope: Scope) -> Result<Started, HostError> {
        let listed = self.recent.with(self.root(), self.info.pid, |order| {
            // The last pid before the listing: the next call lists what is started meanwhile.
            let last = order.last()?;
            let next = mark.moved_to(last, self.clock().monotonic);
            let mut pids = Vec::new();
            for range in mark.ranges_to(last) {
                order.list(&range, |pid| pids.push(pid))?;
            }
            Ok((pids, next))
        });
        let (pids, mark) = listed.map_err(|why| HostError { what: "list new processes", why })?;
        let (entries, unreadable) = each(&pids, |pid| {
            let uid = self.owner(pid)?;
            Ok(scope.holds(uid).then_some(Listed { pid, uid }))
        });
        Ok(Started { entries, examined: pids.len(), unreadable, mark })
    }

    fn owner(&self, pid: Pid) -> Result<Uid, Why> {
        process_files::read_owner(self.root(), procfs::Path::new(pid, "").bytes())
    }

    /// `pidfd_open` finds processes that `hidepid` hides.
    fn exists(&self, pid: Pid) -> Result<bool, Why> {
        match pidfd::open_pidfd(pid) {
            Ok(Some(_)) => Ok(true),
            Ok(None) => Err(Why::Unsupported("pidfd_open (Linux 5.3)")),
            Err(Why::Gone) => Ok(false),
            Err(why) => Err(why),
        }
    }

    fn stat_of(&self, pid: Pid) -> Result<Stat, Why> {
        Files::of(self.root(), pid).stat()
    }

    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        leader(nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid.get()))))
    }

    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        leader(nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid.get()))))
    }

    fn environ_of(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        Files::of(self.root(), pid).environ(wanted)
    }

    fn argv_of(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
        Files::of(self.root(), pid).argv()
    }

    fn open(&self, pid: Pid) -> Result<LinuxHandle, Why> {
        LinuxHandle::open(self.root(), pid)
    }

    fn permitted(&self, pid: Pid) -> Option<Capabilities> {
        probe::permitted(self.root(), pid)
    }

    /// Following the link needs the right to trace the process (namespaces(7)).
    fn time_namespace(&self, pid: Pid) -> Result<u64, Why> {
        match process_files::read_namespace(self.root(), procfs::Path::new(pid, "ns/time").bytes()) {
            Ok(inode) => Ok(inode),
            // No such file: a kernel without time namespaces, unless the process itself is gone.
            Err(Why::Gone) => self.stat_of(pid).map(|_| self.info.time_namespace),
            Err(why) => Err(why),
        }
    }

    /// The first entry of the manager's own cgroup; `(sd-pam)` is the other one, so the caller verifies.
    fn manager_hint(&self, uid: Uid) -> Option<Pid> {
        let below = format!("user.slice/user-{uid}.slice/user@{uid}.service/init.scope/cgroup.procs");
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].iter().find_map(|root| {
            let path = format!("{root}/{below}");
            // First the whole list: its buffer is reused by the next read.
            let pids: Vec<Pid> = procfs::read_small(CWD, path.as_bytes(), |text| {
                Ok(text.split(|b| *b == b'\n').filter_map(Pid::parse).collect())
            })
            .ok()?;
            pids.into_iter().find(|pid| self.stat_of(*pid).is_ok_and(|s| s.comm == b"systemd"))
        })
    }

    fn unit_mains(&self, wanted: &[RuntimeUnit], limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        systemctl::ask(wanted, self.info.uid, limit)
    }

    fn exit_watcher(&self) -> Result<EpollWatcher, HostError> {
        EpollWatcher::new()
    }

    fn reap_children(&self) -> usize {
        reap::adopted(self)
    }

    fn handle_limit(&self) -> usize {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current < limit.maximum {
            let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
            if setrlimit(Resource::Nofile, raised).is_ok() {
                limit.current = limit.maximum;
            }
        }
        let free = limit.current.unwrap_or(1 << 16).saturating_sub(SPARE_DESCRIPTORS);
        usize::try_from(free / DESCRIPTORS_PER_HANDLE).unwrap_or(usize::MAX).max(1)
    }
}
