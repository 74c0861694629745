//! The shared context of all inspections: the machine, the settings, reaper's own process, and the variables to read.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Host, Pid, Scope, Wanted};

use reaper_lease::{KEEP, OWNER};
use reaper_policy::case::SelfProcess;
use reaper_policy::policy::Policy;
use reaper_policy::variables::{SYSTEMD_EXEC_PID, XPC_SERVICE_NAME};

/// The shared context of all inspections.
pub struct Context<H: Host> {
    /// The machine.
    pub host: Arc<H>,
    /// The settings.
    pub policy: Arc<Policy>,
    /// Reaper's own process, its ancestors and its scope.
    pub own: Arc<SelfProcess>,
    /// The environment variables to read of each process.
    pub wanted: Arc<Wanted>,
}

impl<H: Host> Clone for Context<H> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            policy: Arc::clone(&self.policy),
            own: Arc::clone(&self.own),
            wanted: Arc::clone(&self.wanted),
        }
    }
}

impl<H: Host> Context<H> {
    /// Reads reaper's own process, and derives the variables from the settings.
    #[must_use]
    pub fn new(host: Arc<H>, policy: Arc<Policy>, scope: Scope) -> Self {
        let (own, wanted) = (Arc::new(self_process(&*host, scope)), Arc::new(wanted(&policy)));
        Self { host, policy, own, wanted }
    }
}

/// The variables that any gate uses.
#[must_use]
pub fn wanted(policy: &Policy) -> Wanted {
    let mut names: Vec<String> = Vec::new();
    for profile in &policy.profiles {
        names.extend(profile.markers.iter().chain(profile.require.iter()).map(|m| m.name.to_string()));
        names.extend(
            [&profile.owner_env, &profile.owner_pid_env].into_iter().flatten().map(ToString::to_string),
        );
    }
    names.extend(policy.keep_env.iter().map(|m| m.name.to_string()));
    names.extend([OWNER, KEEP, SYSTEMD_EXEC_PID, XPC_SERVICE_NAME].map(str::to_owned));
    Wanted::new(names)
}

/// Reads our own ancestors.
#[must_use]
pub fn self_process<H: Host>(host: &H, scope: Scope) -> SelfProcess {
    let mut lineage = HashSet::new();
    let mut at = Some(host.info().pid);
    let mut lineage_complete = true;
    while let Some(pid) = at.filter(|pid| lineage.insert(*pid)) {
        at = match host.stat_of(pid) {
            Ok(stat) => stat.ppid,
            Err(_) => {
                lineage_complete = pid == Pid::INIT;
                None
            }
        };
    }
    SelfProcess { scope, lineage, lineage_complete, systemd_booted: host.info().systemd_booted }
}
