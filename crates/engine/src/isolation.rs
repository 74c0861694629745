//! Whether reaper is isolated from the agents that it should look after, by its PID namespace or its user.

use reaper_platform::{Host, Pid, Scope, Stat, Walk, Walked};
use reaper_policy::escape::escape;
use reaper_policy::program::{Identity, Names};

use crate::context::Ground;
use crate::visibility::Lonely;

/// Most children of the adopters that are looked at for an agent of another user.
const MAX_ADOPTED: usize = 256;

/// Tells whether reaper is isolated from the agents. `adopted` are the children of the adopters; where some of them are
/// ours, as `has_own` says, no list of all processes is needed.
pub fn problem<H: Host>(ground: &Ground<H>, adopted: &[Pid], has_own: bool) -> Option<Lonely> {
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
        return (others(&all, here.pid) == 0).then_some(Lonely::Alone);
    }
    // On a machine in a container (LXC, nspawn) users come and go, and each has a reaper of its own.
    let Scope::User(own) = ground.us.scope else { return None };
    if has_own || here.systemd_booted {
        return None;
    }
    let who = adopted.iter().take(MAX_ADOPTED).find_map(|pid| stranger(ground, *pid))?;
    (others(&ground.host.walk(Scope::User(own)).ok()?, here.pid) == 0).then_some(Lonely::Strangers(who))
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
