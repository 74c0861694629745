//! What every look stands on: the machine, the settings, who we are, and what to look for.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Host, Pid, Scope, Walked, Wanted};

use crate::config::Policy;
use crate::gates::Us;
use crate::owner::{KEEP, OWNER, SYSTEMD_EXEC_PID};

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
    for profile in policy.profiles() {
        names.extend(profile.markers.iter().chain(&profile.require).map(|m| m.name.clone()));
        names.extend(profile.owner_env.clone());
        names.extend(profile.owner_pid_env.clone());
    }
    names.extend(policy.keep_env().iter().map(|m| m.name.clone()));
    names.extend([OWNER, KEEP, SYSTEMD_EXEC_PID].map(str::to_owned));
    Wanted::new(names)
}

/// Whether there is nobody in our PID namespace but us and, at most, the init that a container runtime put above us:
/// then there is nothing to see, however long one looks. `adopted` are the children of PID 1; where there are any,
/// that is told without looking at all processes.
#[must_use]
pub fn is_alone<H: Host>(host: &H, adopted: &[Pid]) -> bool {
    let own = host.here().pid;
    let is_at_the_top =
        || own == Pid::INIT || host.glance(own).is_ok_and(|stat| stat.ppid == Some(Pid::INIT));
    adopted.iter().all(|pid| *pid == own)
        && is_at_the_top()
        && host.walk(Scope::Everyone).is_ok_and(|walk| {
            let comm = walk.entries.iter().find(|e| e.stat.pid == own).map(|e| &e.stat.comm);
            // A probe, or whoever asks for the status: it came to us, and is nobody to look after.
            let is_another = |e: &Walked| Some(&e.stat.comm) == comm;
            let is_one_of_us = |e: &Walked| [own, Pid::INIT].contains(&e.stat.pid) || is_another(e);
            walk.unreadable == 0 && walk.entries.iter().all(is_one_of_us)
        })
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
