//! What every look stands on: the machine, the settings, who we are, and what to look for.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Host, Pid, Scope, Wanted};

use reaper_lease::{KEEP, OWNER};
use reaper_policy::case::Us;
use reaper_policy::policy::Policy;
use reaper_policy::variables::{SYSTEMD_EXEC_PID, XPC_SERVICE_NAME};

/// What every look stands on: the machine, the settings, and who we are.
pub struct Ground<H: Host> {
    /// The machine.
    pub host: Arc<H>,
    /// The settings.
    pub policy: Arc<Policy>,
    /// Who asks.
    pub us: Arc<Us>,
    /// The variables to look for.
    pub wanted: Arc<Wanted>,
}

impl<H: Host> Clone for Ground<H> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            policy: Arc::clone(&self.policy),
            us: Arc::clone(&self.us),
            wanted: Arc::clone(&self.wanted),
        }
    }
}

impl<H: Host> Ground<H> {
    /// Looks at ourselves and at the settings.
    #[must_use]
    pub fn new(host: Arc<H>, policy: Arc<Policy>, scope: Scope) -> Self {
        let (us, wanted) = (Arc::new(us(&*host, scope)), Arc::new(wanted(&policy)));
        Self { host, policy, us, wanted }
    }
}

/// The variables that any gate asks about.
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

/// Follows our own line upwards.
#[must_use]
pub fn us<H: Host>(host: &H, scope: Scope) -> Us {
    let mut lineage = HashSet::new();
    let mut at = Some(host.here().pid);
    let mut lineage_complete = true;
    while let Some(pid) = at.filter(|pid| lineage.insert(*pid)) {
        at = match host.glance(pid) {
            Ok(stat) => stat.ppid,
            Err(_) => {
                lineage_complete = pid == Pid::INIT;
                None
            }
        };
    }
    Us { scope, lineage, lineage_complete, systemd_booted: host.here().systemd_booted }
}
