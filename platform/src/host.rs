//! The interface between decisions and the operating system.
//!
//! [`Host`] answers questions about many processes, [`ProcessHandle`] about one that cannot be mistaken
//! for another, and [`ExitWatcher`] reports when processes held by a handle exit. The methods are verbs of this domain,
//! not system calls, so that a fake host can inject every fault.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::environ::{EnvironScan, Wanted};
use crate::probe::Capabilities;
use crate::socket_tables::SocketTables;
use crate::sockets::{Folder, Listener};
use crate::started::{PidMark, Started};
use crate::types::{
    Clock, Generation, HostInfo, Ids, Image, Pid, ProcId, RuntimeUnit, Scope, Signal, Stat, Uid, UnitMain,
    Why,
};

/// Why the host as a whole could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {what}: {why}")]
pub struct HostError {
    /// What was attempted, as a verb phrase.
    pub what: &'static str,
    /// Why it failed.
    pub why: Why,
}

/// One process of a full listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its `stat` facts.
    pub stat: Stat,
    /// Its effective user.
    pub uid: Uid,
}

/// A full listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessList {
    /// The processes in scope, by pid.
    pub entries: Vec<ProcessEntry>,
    /// How many processes were examined, in scope or not.
    pub examined: usize,
    /// How many in scope exist but could not be read.
    pub unreadable: usize,
}

/// Why new processes cannot be told by their pids. macOS does not report the last pid, and one call lists all
/// processes anyway (`proc_listallpids`).
pub(crate) const NO_ORDER: Why = Why::Unsupported("order of pids that can be read");

/// The operating system, as far as `reaper` needs it.
pub trait Host: Send + Sync + 'static {
    /// A handle that always refers to the same process.
    type ProcessHandle: ProcessHandle;
    /// Waits for processes held by a handle to exit.
    type ExitWatcher: ExitWatcher<Self::ProcessHandle>;

    /// Our own pid and user, and the machine we run on.
    fn info(&self) -> &HostInfo;

    /// Reads the clocks.
    fn clock(&self) -> Clock;

    /// Sleeps for this long.
    fn sleep(&self, time: Duration);

    /// The children of a process, reparented ones included, in no order. The list is not atomic: one may
    /// be missing when a sibling exits during the read, so callers read twice and take the union.
    ///
    /// # Errors
    /// [`Why::Unsupported`] where the system keeps no such lists, [`Why::Denied`] or [`Why::Gone`] where
    /// this one may not be seen.
    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why>;

    /// Lists every process in scope.
    ///
    /// # Errors
    /// When processes cannot be listed at all; a process that vanishes meanwhile is no error.
    fn list(&self, scope: Scope) -> Result<ProcessList, HostError>;

    /// How far pids have been handed out, for [`Host::started_since`]. Read before a [`Host::list`]: what is started
    /// while that runs is after the mark.
    ///
    /// # Errors
    /// Where new processes cannot be told by their pids, mostly [`Why::Unsupported`]: the caller has to list all each
    /// time.
    fn pid_mark(&self) -> Result<PidMark, HostError> {
        Err(HostError { what: "remember the last pid", why: NO_ORDER })
    }

    /// The processes in scope that were started since a mark and still exist, at a cost that follows their number.
    /// After [`Host::pid_mark`] the first answer has every process, so that it can replace a [`Host::list`]. Then each
    /// is in two answers if calls are a second or more apart, and in more if they are not: [`crate::started`] says why,
    /// and which processes only a full list finds. A process may be listed before it executes its program.
    ///
    /// # Errors
    /// As [`Host::pid_mark`], or when processes cannot be listed. The mark stays good: the next answer has everything
    /// that this one would have had.
    fn started_since(&self, mark: &PidMark, scope: Scope) -> Result<Started, HostError> {
        let _ = (mark, scope);
        Err(HostError { what: "list new processes", why: NO_ORDER })
    }

    /// A process's effective user.
    ///
    /// # Errors
    /// [`Why::Gone`] when there is no such process, or it is hidden.
    fn owner(&self, pid: Pid) -> Result<Uid, Why>;

    /// Whether any process has this pid, visible or hidden.
    ///
    /// # Errors
    /// When the system does not report it.
    fn exists(&self, pid: Pid) -> Result<bool, Why>;

    /// A process's cheap facts, by pid. The pid may be reused: good for a first check, never for acting.
    ///
    /// # Errors
    /// When they cannot be read.
    fn stat_of(&self, pid: Pid) -> Result<Stat, Why>;

    /// A process's group, by pid. Cheaper than [`Host::stat_of`] where the system has a call for it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.stat_of(pid).map(|stat| stat.pgrp)
    }

    /// A process's session, by pid, in the same way.
    ///
    /// # Errors
    /// When it cannot be read.
    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.stat_of(pid).map(|stat| stat.session)
    }

    /// Searches a process's environment, by pid: good for a first check, never for acting.
    ///
    /// # Errors
    /// When it cannot be read.
    fn environ_of(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why>;

    /// A process's arguments, by pid: good for a first check, never for acting.
    ///
    /// # Errors
    /// When they cannot be read.
    fn argv_of(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why>;

    /// Opens a handle of a process.
    ///
    /// # Errors
    /// [`Why::Gone`] when it has ended.
    fn open(&self, pid: Pid) -> Result<Self::ProcessHandle, Why>;

    /// The time namespace of a process, as [`HostInfo::time_namespace`] names ours.
    ///
    /// # Errors
    /// When it cannot be read; that needs the right to trace the process.
    fn time_namespace(&self, pid: Pid) -> Result<u64, Why> {
        let _ = pid;
        Ok(self.info().time_namespace)
    }

    /// The probable pid of a user's own service manager, found without listing processes; the caller verifies it.
    fn manager_hint(&self, uid: Uid) -> Option<Pid>;

    /// A process's permitted capabilities: a reader that has fewer may not read its environment. `None` where
    /// the system has none, or they are unknown.
    fn permitted(&self, _pid: Pid) -> Option<Capabilities> {
        None
    }

    /// Asks the service managers for the main and control processes of units.
    ///
    /// # Errors
    /// When a manager cannot be asked, or does not answer within `limit`.
    fn unit_mains(&self, units: &[RuntimeUnit], limit: Duration) -> Result<Vec<UnitMain>, HostError>;

    /// The running jobs of the service manager that can be processes of a user, where it knows its jobs by their
    /// pids alone (launchd) and the processes themselves do not show it. Empty where
    /// [`ProcessHandle::unit`] shows it.
    ///
    /// # Errors
    /// When the manager cannot be asked, or does not answer within `limit`.
    fn jobs(&self, of: Uid, limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let _ = (of, limit);
        Ok(Vec::new())
    }

    /// Makes an exit watcher without processes.
    ///
    /// # Errors
    /// When the system refuses one.
    fn exit_watcher(&self) -> Result<Self::ExitWatcher, HostError>;

    /// Reaps the children that have exited and that we did not start, and returns how many. For a container's first
    /// process, which adopts all orphans.
    fn reap_children(&self) -> usize {
        0
    }

    /// How many process handles can be open at once, after raising the limit as far as allowed.
    fn handle_limit(&self) -> usize;
}

/// A handle of one process: every read is of that process or fails, also when its pid is reused.
pub trait ProcessHandle: Send + Sync + 'static {
    /// The identity of the process.
    fn id(&self) -> ProcId;

    /// Its cheap facts as of now.
    ///
    /// # Errors
    /// [`Why::Gone`] once it was reaped; a zombie still has them.
    fn stat(&self) -> Result<Stat, Why>;

    /// Whether it has exited: no thread of it runs any more. No other method proves that.
    ///
    /// # Errors
    /// When the system does not report it.
    fn has_ended(&self) -> Result<bool, Why>;

    /// The image that it ran when the handle was opened; `None` when that could not be read.
    fn first_image(&self) -> Option<Image>;

    /// The image that it runs now. `stat` was read just before.
    ///
    /// # Errors
    /// When it cannot be read.
    fn image(&self, stat: &Stat) -> Result<Image, Why>;

    /// Its user ids and PID namespace.
    ///
    /// # Errors
    /// When it cannot be read.
    fn ids(&self) -> Result<Ids, Why>;

    /// The path of its program file, as the kernel reports it (may end in ` (deleted)`).
    ///
    /// # Errors
    /// When it cannot be read.
    fn exe(&self) -> Result<Vec<u8>, Why>;

    /// Its arguments.
    ///
    /// # Errors
    /// When they cannot be read.
    fn argv(&self) -> Result<Vec<Vec<u8>>, Why>;

    /// Searches its environment block. May block for as long as the process holds its memory map. The
    /// answer is to be checked against a [`ProcessHandle::stat`] read *afterwards*, by [`EnvironScan::verify`].
    ///
    /// # Errors
    /// When it cannot be read.
    fn environ(&self, wanted: &Wanted) -> Result<EnvironScan, Why>;

    /// The unit of the service manager that it runs in, by its cgroup; `None` when in none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn unit(&self) -> Result<Option<RuntimeUnit>, Why>;

    /// What it accepts connections on, each place once and in order, in its own network namespace. A socket that it
    /// shares with other processes is reported for each of them. The tables are not read atomically: a socket can be
    /// missing in them when one before it was closed during the read.
    ///
    /// # Errors
    /// [`Why::Denied`] when we may not see its descriptors, [`Why::Gone`] when it has ended, zombies included, and
    /// [`Why::Exiting`] when it may have closed its descriptors already; kernel threads answer the same.
    fn listeners(&self, tables: &SocketTables) -> Result<Vec<Listener>, Why>;

    /// A directory by its absolute path, as the process sees the file system. A symbolic link is not followed.
    ///
    /// # Errors
    /// When it cannot be read.
    fn folder(&self, path: &[u8]) -> Result<Folder, Why>;

    /// Whether its present parent started it, rather than adopted it when an earlier parent died; `None` where the
    /// system does not report it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn started_by_parent(&self) -> Result<Option<bool>, Why> {
        Ok(None)
    }

    /// The process that started it, even if another is its parent now, by its never-reused number; `None` where the
    /// system does not record it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn starter(&self) -> Result<Option<Generation>, Why> {
        Ok(None)
    }

    /// Sends a signal to this process. Only one place may call it: see `terminate.rs`.
    ///
    /// # Errors
    /// [`Why::Gone`] when it was reaped already, [`Why::Denied`] when we may not signal it.
    fn signal(&self, signal: Signal) -> Result<(), Why>;
}

/// Waits for the exit of many processes at once.
pub trait ExitWatcher<P> {
    /// Adds a process under a token of the caller's choice.
    ///
    /// # Errors
    /// When the system refuses.
    fn watch(&mut self, process: &P, token: u64) -> Result<(), HostError>;

    /// Waits until at least one watched process has exited, or for `limit`; returns the tokens of those
    /// that have. A process is reported once.
    ///
    /// # Errors
    /// When the system refuses.
    fn wait(&mut self, limit: Duration) -> Result<Vec<u64>, HostError>;

    /// A descriptor that is readable whenever [`ExitWatcher::wait`] would return at once, for an event loop to
    /// wait on together with others. `None` where there is none.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Makes [`ExitWatcher::descriptor`] readable at this time of the monotonic clock, too; this replaces an earlier
    /// time. Returns whether it will be: where it is not, the event loop needs a timer of its own.
    fn wake_at(&mut self, _at: Duration) -> bool {
        false
    }
}
