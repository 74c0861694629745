//! The macOS [`Host`].

use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::kqueue::KqueueWatcher;
use super::process::MacHandle;
use super::syscalls::{PidFilter, list_pids};
use super::{launchctl, nix_pid, our_pid, process_info, self_info};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{Host, HostError, ProcessEntry, ProcessList};
use crate::types::UnitMain;
use crate::types::{Clock, HostInfo, Pid, RuntimeUnit, Scope, Stat, Uid, Why};

/// A process handle holds no descriptor, only numbers; this bounds the memory.
const MAX_HANDLES: usize = 1 << 14;

/// The machine that we run on.
#[derive(Debug)]
pub struct MacHost {
    info: HostInfo,
}

impl MacHost {
    /// Reads what stays the same until we exit.
    ///
    /// # Errors
    /// When the system does not report what every macOS does.
    pub fn new() -> Result<Self, HostError> {
        Ok(Self { info: self_info::read()? })
    }
}

impl Host for MacHost {
    type ProcessHandle = MacHandle;
    type ExitWatcher = KqueueWatcher;

    fn info(&self) -> &HostInfo {
        &self.info
    }

    /// On macOS `CLOCK_MONOTONIC` runs on while the machine sleeps, so it is not the one that grace is counted in.
    fn clock(&self) -> Clock {
        let read = |id| {
            let now = clock_gettime(ClockId::from_raw(id)).map(Duration::from);
            // These clocks always exist.
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

    /// The kernel goes through its list of all processes for this, which takes microseconds, and returns all
    /// children atomically: no other way is as cheap or as exact.
    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why> {
        let children = list_pids(PidFilter::Below(pid))?;
        if children.is_empty() {
            process_info::unique(pid)?;
        }
        Ok(children)
    }

    fn list(&self, scope: Scope) -> Result<ProcessList, HostError> {
        let those = match scope {
            Scope::User(uid) => PidFilter::Of(uid.0),
            Scope::Everyone => PidFilter::All,
        };
        let pids = list_pids(those).map_err(|why| HostError { what: "list processes", why })?;
        let mut walk = ProcessList { examined: pids.len(), ..ProcessList::default() };
        for pid in pids {
            match process_info::stat(pid) {
                Ok((stat, _, seen)) if scope.holds(seen.ids.effective) => {
                    walk.entries.push(ProcessEntry { stat, uid: seen.ids.effective });
                }
                Ok(_) | Err(Why::Gone) => {}
                Err(_) => walk.unreadable += 1,
            }
        }
        walk.entries.sort_by_key(|entry| entry.stat.pid);
        Ok(walk)
    }

    fn owner(&self, pid: Pid) -> Result<Uid, Why> {
        process_info::owner(pid)
    }

    fn exists(&self, pid: Pid) -> Result<bool, Why> {
        match process_info::unique(pid) {
            Ok(_) => Ok(true),
            Err(Why::Gone) => Ok(false),
            Err(why) => Err(why),
        }
    }

    fn stat_of(&self, pid: Pid) -> Result<Stat, Why> {
        process_info::stat(pid).map(|(stat, ..)| stat)
    }

    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        let group = nix::unistd::getpgid(Some(nix_pid(pid)));
        group.map(our_pid).map_err(|errno| super::errors::why(errno as i32))
    }

    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        process_info::session(pid)
    }

    fn environ_of(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        process_info::environ(pid, wanted)
    }

    fn argv_of(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
        process_info::argv(pid)
    }

    fn open(&self, pid: Pid) -> Result<MacHandle, Why> {
        MacHandle::new(pid)
    }

    /// launchd is the service manager of all users.
    fn manager_hint(&self, _uid: Uid) -> Option<Pid> {
        None
    }

    fn unit_mains(&self, _units: &[RuntimeUnit], _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let why = Why::Unsupported("units of a service manager");
        Err(HostError { what: "ask the service manager for the main processes of its units", why })
    }

    fn jobs(&self, of: Uid, limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        launchctl::jobs(Path::new(launchctl::PROGRAM), of, limit)
    }

    fn exit_watcher(&self) -> Result<KqueueWatcher, HostError> {
        KqueueWatcher::new()
    }

    fn handle_limit(&self) -> usize {
        MAX_HANDLES
    }
}
