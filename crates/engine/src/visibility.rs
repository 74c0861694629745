//! Where nobody that we could look after can be, however long we look: a container without the agents' PID namespace, or
//! beside agents of another user. Everything else looks healthy there, and nothing found would be called clean.

use reaper_platform::{Host, Pid, Scope, Stat, Walk, Walked};

use crate::context::Ground;
use reaper_policy::escape::escape;
use reaper_policy::program::{Identity, Names};

/// Most children of the adopters that are looked at for an agent of another user.
const MAX_ADOPTED: usize = 256;

/// What makes blind, and what helps; also for a container that can read nobody's environment.
pub const AS_THE_AGENTS: &str = "run reaper with the agents' user and group (runAsUser and runAsGroup in a pod, `--user UID:GID`), \
                                 or for several users as root with --all-users and the capabilities KILL, SYS_PTRACE and \
                                 DAC_READ_SEARCH (those of another user than root are not ambient in a pod)";
const SHARE: &str = "share the agents' PID namespace: `shareProcessNamespace: true` in a pod, `docker run \
                     --pid=container:NAME` or `--pid=host`, `pid: \"service:NAME\"` in compose";

/// Why nobody is there to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lonely {
    /// There is no process but reaper in its PID namespace.
    Alone,
    /// None is our user's, and an agent of another user is there: which, in words.
    Strangers(String),
}

impl Lonely {
    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Alone => {
                "reaper is alone in its PID namespace, so no agent can be seen from here".to_owned()
            }
            Self::Strangers(who) => {
                format!("nobody else is here of reaper's own user, and {who}, whose marker cannot be read")
            }
        }
    }

    /// What helps.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Alone => SHARE,
            Self::Strangers(_) => AS_THE_AGENTS,
        }
    }

    /// Looks. `adopted` are the children of the adopters; where some are ours, as `has_own` says, that is told without
    /// looking at all processes.
    pub fn look<H: Host>(ground: &Ground<H>, adopted: &[Pid], has_own: bool) -> Option<Self> {
        let here = ground.host.here();
        if here.sees_the_whole_machine() {
            return None;
        }
        // PID 1 is reaper, or an init that runs nothing but reaper. Below a pod's pause the others may just not be there
        // yet: a sidecar is started first.
        let is_at_the_top = || {
            let us = ground.host.glance(here.pid).ok()?;
            let is_reaper = |init: Stat| init.comm == us.comm;
            Some(us.ppid == Some(Pid::INIT) || ground.host.glance(Pid::INIT).is_ok_and(is_reaper))
        };
        if adopted.iter().all(|pid| *pid == here.pid) && is_at_the_top() == Some(true) {
            let all = ground.host.walk(Scope::Everyone).ok()?;
            return (others(&all, here.pid) == 0).then_some(Self::Alone);
        }
        // On a machine in a container (LXC, nspawn) users come and go, and each has a reaper of its own.
        let Scope::User(own) = ground.us.scope else { return None };
        if has_own || here.systemd_booted {
            return None;
        }
        let who = adopted.iter().take(MAX_ADOPTED).find_map(|pid| stranger(ground, *pid))?;
        (others(&ground.host.walk(Scope::User(own)).ok()?, here.pid) == 0).then_some(Self::Strangers(who))
    }
}

/// How many there are besides us, PID 1 and whoever came to ask us (a probe).
fn others(walk: &Walk, own: Pid) -> usize {
    let comm = walk.entries.iter().find(|e| e.stat.pid == own).map(|e| &e.stat.comm);
    let is_one_of_us = |e: &Walked| [own, Pid::INIT].contains(&e.stat.pid) || Some(&e.stat.comm) == comm;
    walk.unreadable + walk.entries.iter().filter(|e| !is_one_of_us(e)).count()
}

/// An agent of another user, in words.
fn stranger<H: Host>(ground: &Ground<H>, pid: Pid) -> Option<String> {
    let stat = ground.host.glance(pid).ok().filter(|stat| !stat.is_dead())?;
    let argv = ground.host.glance_argv(pid).unwrap_or_default();
    let identity = Identity { exe: None, argv: Some(&argv), comm: &stat.comm };
    let names = Names::of(&identity);
    let is_agent = ground.policy.profiles.iter().any(|p| p.programs.find(&names, &argv).is_some());
    let uid = ground.host.owner(pid).ok().filter(|_| is_agent)?;
    Some(format!("`{}` (pid {pid}) runs as uid {uid}", escape(&stat.comm)))
}
