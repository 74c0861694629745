//! Tries what the machine allows us.

use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{User, getppid, setsid};

use super::errors::why;
use super::{MacHost, our_pid, process_info, syscalls};
use crate::host::{Host as _, HostError};
use crate::probe::{Capabilities, Machine, Room};
use crate::types::{Pid, RuntimeUnit, Why};

impl MacHost {
    /// Tries what this machine allows us.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let info = self.info();
        let known = |limit: u64| (limit != RLIM_INFINITY).then_some(limit);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((RLIM_INFINITY, RLIM_INFINITY));
        let release = syscalls::sysctl_text(c"kern.osrelease").unwrap_or_default();
        let version = syscalls::sysctl_text(c"kern.osproductversion").unwrap_or_default();
        let is_bound = process_info::unique(info.pid).is_ok_and(|own| syscalls::can_bind(own.version));
        Machine {
            kernel: format!("macOS {version} (Darwin {release})"),
            signals: if is_bound { "signals that are bound to one process" } else { SIGNALS_BY_PID },
            has_generations: process_info::unique(info.pid).is_ok_and(|own| own.id != 0),
            own_children: self.children(info.pid).map(drop),
            init_children: self.children(Pid::INIT).map(drop),
            hiding: Vec::new(),
            is_in_user_namespace: Some(false),
            // macOS has no capabilities: root may do everything.
            capabilities: Some(Capabilities(if info.uid.0 == 0 { u64::MAX } else { 0 })),
            open_files: (known(soft), known(hard)),
            parent: our_pid(getppid()),
        }
    }

    /// launchd has no properties that could be read by name.
    ///
    /// # Errors
    /// Always.
    pub fn unit_properties(
        &self,
        _unit: &RuntimeUnit,
        _names: &[&str],
        _limit: std::time::Duration,
    ) -> Result<Vec<(String, String)>, HostError> {
        let why = Why::Unsupported("units of a service manager");
        Err(HostError { what: "ask the service manager for a unit's properties", why })
    }

    /// The free space of the file system that holds a directory.
    ///
    /// # Errors
    /// When there is no such directory, or the system does not report it.
    pub fn room(&self, path: &Path) -> Result<Room, Why> {
        let stat = statvfs(path).map_err(|errno| match errno {
            nix::errno::Errno::ENOENT => Why::Gone,
            errno => why(errno as i32),
        })?;
        let bytes = u64::from(stat.blocks_available()).saturating_mul(stat.fragment_size());
        let files = (stat.files() > 0).then_some(u64::from(stat.files_available()));
        Ok(Room { bytes, files })
    }

    /// Leaves the session and process group that we were started in and leads new ones (setsid(2)).
    ///
    /// # Errors
    /// When we are the leader of a process group already.
    pub fn leave_session(&self) -> Result<(), Why> {
        setsid().map(drop).map_err(|errno| why(errno as i32))
    }

    /// There are no units: see [`crate::Host::jobs`].
    ///
    /// # Errors
    /// Never.
    pub fn own_unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        Ok(None)
    }

    /// Always `None`: macOS has no capabilities.
    #[must_use]
    pub const fn permitted(&self, _pid: Pid) -> Option<Capabilities> {
        None
    }

    /// The name of our user.
    #[must_use]
    pub fn user_name(&self) -> Option<Vec<u8>> {
        let user = User::from_uid(nix::unistd::Uid::from_raw(self.info().uid.0)).ok()??;
        Some(user.name.into_bytes())
    }
}

const SIGNALS_BY_PID: &str =
    "signals by pid, right after a last look (later systems bind them to one process)";
