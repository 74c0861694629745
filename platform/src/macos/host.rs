//! The macOS [`Host`].

use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::kqueue::KqueueWaiter;
use super::pinned::MacPinned;
use super::sys::{Those, list_pids};
use super::{facts, here, launchd, nix_pid, our_pid};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{Host, HostError, Walk, Walked};
use crate::types::UnitMain;
use crate::types::{Clock, Here, Pid, RuntimeUnit, Scope, Stat, Uid, Why};

/// A pinned process costs nothing but a number; this bounds the memory.
const MAX_PINNED: usize = 1 << 14;

/// The machine that we run on.
#[derive(Debug)]
pub struct MacHost {
    here: Here,
}

impl MacHost {
    /// Looks around.
    ///
    /// # Errors
    /// When the system does not answer what every macOS does.
    pub fn new() -> Result<Self, HostError> {
        Ok(Self { here: here::look()? })
    }
}

impl Host for MacHost {
    type Pinned = MacPinned;
    type Waiter = KqueueWaiter;

    fn here(&self) -> &Here {
        &self.here
    }

    /// `CLOCK_MONOTONIC` goes on while the machine sleeps here, so it is not the one that grace is counted in.
    fn clock(&self) -> Clock {
        let read = |id| {
            let now = clock_gettime(ClockId::from_raw(id)).map(Duration::from);
            // These clocks are always there.
            now.unwrap_or_default()
        };
        Clock {
            monotonic: read(libc::CLOCK_UPTIME_RAW),
            boottime: read(libc::CLOCK_MONOTONIC_RAW),
            realtime: read(libc::CLOCK_REALTIME),
        }
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// The kernel goes through its list of all processes for this, which takes microseconds, and hands out all
    /// children at once: no other way is as cheap or as exact.
    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why> {
        let children = list_pids(Those::Below(pid))?;
        if children.is_empty() {
            facts::unique(pid)?;
        }
        Ok(children)
    }

    fn walk(&self, scope: Scope) -> Result<Walk, HostError> {
        let those = match scope {
            Scope::User(uid) => Those::Of(uid.0),
            Scope::Everyone => Those::All,
        };
        let pids = list_pids(those).map_err(|why| HostError { what: "list processes", why })?;
        let mut walk = Walk { examined: pids.len(), ..Walk::default() };
        for pid in pids {
            match facts::stat(pid) {
                Ok((stat, _, seen)) if scope.holds(seen.ids.effective) => {
                    walk.entries.push(Walked { stat, uid: seen.ids.effective });
                }
                Ok(_) | Err(Why::Gone) => {}
                Err(_) => walk.unreadable += 1,
            }
        }
        walk.entries.sort_by_key(|entry| entry.stat.pid);
        Ok(walk)
    }

    fn owner(&self, pid: Pid) -> Result<Uid, Why> {
        facts::owner(pid)
    }

    fn exists(&self, pid: Pid) -> Result<bool, Why> {
        match facts::unique(pid) {
            Ok(_) => Ok(true),
            Err(Why::Gone) => Ok(false),
            Err(why) => Err(why),
        }
    }

    fn glance(&self, pid: Pid) -> Result<Stat, Why> {
        facts::stat(pid).map(|(stat, ..)| stat)
    }

    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        let group = nix::unistd::getpgid(Some(nix_pid(pid)));
        group.map(our_pid).map_err(|errno| super::errors::why(errno as i32))
    }

    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        facts::session(pid)
    }

    fn glance_environ(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        facts::environ(pid, wanted)
    }

    fn glance_argv(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
        facts::argv(pid)
    }

    fn pin(&self, pid: Pid) -> Result<MacPinned, Why> {
        MacPinned::new(pid)
    }

    /// launchd is everybody's service manager.
    fn manager_hint(&self, _uid: Uid) -> Option<Pid> {
        None
    }

    fn unit_mains(&self, _units: &[RuntimeUnit], _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let why = Why::Unsupported("units of a service manager");
        Err(HostError { what: "ask the service manager for the main processes of its units", why })
    }

    fn jobs(&self, of: Uid, limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        launchd::jobs(Path::new(launchd::PROGRAM), of, limit)
    }

    fn waiter(&self) -> Result<KqueueWaiter, HostError> {
        KqueueWaiter::new()
    }

    fn pin_limit(&self) -> usize {
        MAX_PINNED
    }
}
