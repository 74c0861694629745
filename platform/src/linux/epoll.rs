//! Waiting for the exit of many processes with one epoll set: a pidfd becomes readable when its process exits, and
//! stays so while the process is a zombie (pidfd_open(2)).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::pidfd::LinuxHandle;
use super::why;
use crate::host::{ExitWatcher, HostError};
use crate::types::Why;

/// The timer's token in the epoll set; no caller uses tokens this high.
const TIMER: u64 = u64::MAX;

/// An epoll set of pidfds, and of a timer once [`ExitWatcher::wake_at`] was called.
#[derive(Debug)]
pub struct EpollWatcher {
    set: OwnedFd,
    timer: Option<OwnedFd>,
}

impl EpollWatcher {
    pub(super) fn new() -> Result<Self, HostError> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| HostError { what: "wait for processes", why: why(e) })?;
        Ok(Self { set, timer: None })
    }

    fn timer(&mut self) -> Result<&OwnedFd, Errno> {
        if self.timer.is_none() {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            epoll::add(&self.set, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
            self.timer = Some(timer);
        }
        self.timer.as_ref().ok_or(Errno::BADF)
    }
}

impl ExitWatcher<LinuxHandle> for EpollWatcher {
    fn watch(&mut self, process: &LinuxHandle, token: u64) -> Result<(), HostError> {
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
            Ok((events, _)) => Ok(events.iter().map(|e| e.data.u64()).filter(|n| *n != TIMER).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(e) => Err(HostError { what: "wait for processes", why: why(e) }),
        }
    }

    /// An epoll set can itself be polled (epoll(7)).
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.set.as_fd())
    }

    /// Setting the timer anew also makes it unreadable.
    fn wake_at(&mut self, at: Duration) -> bool {
        // A time of zero would switch it off.
        let at = at.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at.subsec_nanos()),
        };
        let when = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        self.timer().is_ok_and(|timer| timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &when).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::{ClockId, clock_gettime};

    fn now() -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap())
    }

    fn is_readable_within(exit_watcher: &EpollWatcher, ms: i64) -> bool {
        let limit = Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
        let set = exit_watcher.descriptor().unwrap();
        poll(&mut [PollFd::new(&set, PollFlags::IN)], Some(&limit)).unwrap() > 0
    }

    #[test]
    fn the_descriptor_is_readable_when_it_was_asked_to_be_and_nobody_has_ended() {
        let mut exit_watcher = EpollWatcher::new().unwrap();
        let start = now();
        assert!(exit_watcher.wake_at(start + Duration::from_millis(50)));
        assert!(is_readable_within(&exit_watcher, 5_000) && now() >= start + Duration::from_millis(50));
        assert_eq!(exit_watcher.wait(Duration::ZERO).unwrap(), Vec::<u64>::new());
        assert!(
            exit_watcher.wake_at(start + Duration::from_secs(3600)) && !is_readable_within(&exit_watcher, 20)
        );
        assert!(
            exit_watcher.wake_at(Duration::ZERO) && is_readable_within(&exit_watcher, 5_000),
            "a time that has passed"
        );
    }
}
