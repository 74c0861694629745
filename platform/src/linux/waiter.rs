//! Waiting for many processes with one epoll set: a pidfd becomes readable when its process exits, and
//! stays so while the process is a zombie (pidfd_open(2)).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::pinned::LinuxPinned;
use super::why;
use crate::host::{HostError, Waiter};
use crate::types::Why;

/// An epoll set of pidfds.
#[derive(Debug)]
pub struct EpollWaiter {
    set: OwnedFd,
}

impl EpollWaiter {
    pub(super) fn new() -> Result<Self, HostError> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| HostError { what: "wait for processes", why: why(e) })?;
        Ok(Self { set })
    }
}

impl Waiter<LinuxPinned> for EpollWaiter {
    fn watch(&mut self, process: &LinuxPinned, token: u64) -> Result<(), HostError> {
        let error = |why| HostError { what: "watch a process", why };
        let pidfd = process.pidfd().ok_or_else(|| error(Why::Unsupported("pidfd_open (Linux 5.3)")))?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&self.set, pidfd, epoll::EventData::new_u64(token), flags).map_err(|e| error(why(e)))
    }

    fn wait(&mut self, limit: Duration) -> Result<Vec<u64>, HostError> {
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let mut space = [MaybeUninit::uninit(); 256];
        match epoll::wait(&self.set, &mut space[..], Some(&timeout)) {
            Ok((events, _)) => Ok(events.iter().map(|e| e.data.u64()).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(e) => Err(HostError { what: "wait for processes", why: why(e) }),
        }
    }

    /// An epoll set can itself be polled (epoll(7)).
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.set.as_fd())
    }
}
