//! Waiting for many processes with one kqueue: `EVFILT_PROC` with `NOTE_EXIT` (kqueue(2)).
//!
//! A kqueue watches pids, each once, while callers may watch one process several times. So the queue reports
//! events of a pid, and which watched processes they are about is recorded here.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

use super::errors::why;
use super::process::MacHandle;
use super::process_info;
use crate::host::{ExitWatcher, HostError, ProcessHandle as _};
use crate::types::Pid;

/// Events that are taken at once.
const EVENTS: usize = 256;

/// A kqueue that watches processes.
#[derive(Debug)]
pub struct KqueueWatcher {
    queue: Kqueue,
    /// The watched processes: by pid, the unique number and the caller's token.
    watched: HashMap<Pid, Vec<(u64, u64)>>,
}

fn error(what: &'static str) -> impl Fn(Errno) -> HostError {
    move |errno| HostError { what, why: why(errno as i32) }
}

impl KqueueWatcher {
    pub(super) fn new() -> Result<Self, HostError> {
        let queue = Kqueue::new().map_err(error("wait for processes"))?;
        Ok(Self { queue, watched: HashMap::new() })
    }

    fn change(&self, filter: EventFilter, pid: Pid, how: FilterFlag) -> Result<(), Errno> {
        let ident = usize::try_from(pid.get()).map_err(|_| Errno::EINVAL)?;
        let event = KEvent::new(ident, filter, EvFlags::EV_ADD | EvFlags::EV_ONESHOT, how, 0, 0);
        self.queue.kevent(&[event], &mut [], Some(ZERO)).map(drop)
    }

    /// Begins to watch a pid. A process that cannot be watched has exited; that is made an event of its own, so that
    /// the descriptor reports it like any other exit.
    fn arm(&self, pid: Pid) -> Result<(), Errno> {
        match self.change(EventFilter::EVFILT_PROC, pid, FilterFlag::NOTE_EXIT) {
            Err(Errno::ESRCH) => self.announce(pid),
            done => done,
        }
    }

    fn announce(&self, pid: Pid) -> Result<(), Errno> {
        self.change(EventFilter::EVFILT_USER, pid, FilterFlag::NOTE_TRIGGER)
    }
}

const LONGEST: Duration = Duration::from_secs(86_400);
const ZERO: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether the process with this unique number still has this pid.
fn runs(pid: Pid, unique: u64) -> bool {
    process_info::look(pid)
        .is_ok_and(|(seen, now)| now.id == unique && !seen.is_exiting && !seen.state.has_exited())
}

impl ExitWatcher<MacHandle> for KqueueWatcher {
    fn watch(&mut self, process: &MacHandle, token: u64) -> Result<(), HostError> {
        let (pid, unique) = (process.id().pid, process.unique());
        let error = error("watch a process");
        self.watched.entry(pid).or_default().push((unique, token));
        self.arm(pid).map_err(&error)?;
        // It may have exited before, and the pid that is watched now may be another process's.
        if !runs(pid, unique) {
            self.announce(pid).map_err(&error)?;
        }
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<Vec<u64>, HostError> {
        let blank = KEvent::new(0, EventFilter::EVFILT_USER, EvFlags::empty(), FilterFlag::empty(), 0, 0);
        let mut events = [blank; EVENTS];
        // The kernel refuses a time that it cannot represent.
        let limit = limit.min(LONGEST);
        let limit = libc::timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or_default(),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let count = match self.queue.kevent(&[], &mut events, Some(limit)) {
            Ok(count) => count,
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(error("wait for processes")(errno)),
        };
        let mut ended = Vec::new();
        for event in events.iter().take(count) {
            let pid = i32::try_from(event.ident()).ok().and_then(Pid::new);
            let Some((pid, watched)) = pid.and_then(|pid| self.watched.remove_entry(&pid)) else { continue };
            let (alive, over): (Vec<_>, Vec<_>) =
                watched.into_iter().partition(|(unique, _)| runs(pid, *unique));
            ended.extend(over.into_iter().map(|(_, token)| token));
            // The pid was reused before we took the event, and the new process is watched as well.
            if !alive.is_empty() {
                self.watched.insert(pid, alive);
                self.arm(pid).map_err(error("watch a process"))?;
            }
        }
        Ok(ended)
    }

    /// A kqueue can itself be watched for reading, and for nothing else.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.as_fd())
    }
}
