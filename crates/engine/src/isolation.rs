//! Whether reaper is isolated from the agents that it should look after, by its PID namespace or its user.

use reaper_platform::{Host, Pid, ProcessEntry, ProcessList, Scope, Stat};
use reaper_policy::escape::escape;
use reaper_policy::program::{Identity, Names};

use crate::context::Context;
use crate::visibility::VisibilityProblem;

/// Most children of the adopters that are examined for an agent of another user.
const MAX_ADOPTED: usize = 256;

/// Whether reaper is isolated from the agents, and how. `adopted` are the children of the adopters; where some of them
/// are ours, as `has_own` says, no list of all processes is needed.
pub fn problem<H: Host>(context: &Context<H>, adopted: &[Pid], has_own: bool) -> Option<VisibilityProblem> {
    let here = context.host.info();
    if here.sees_the_whole_machine() {
        return None;
    }
    // PID 1 is reaper, or an init that runs nothing but reaper. Below a pod's pause container the others may not have
    // started yet: a sidecar is started first.
    let is_at_the_top = || {
        let us = context.host.stat_of(here.pid).ok()?;
        let is_reaper = |init: Stat| init.comm == us.comm;
        Some(us.ppid == Some(Pid::INIT) || context.host.stat_of(Pid::INIT).is_ok_and(is_reaper))
    };
    if adopted.iter().all(|pid| *pid == here.pid) && is_at_the_top() == Some(true) {
        let all = context.host.list(Scope::Everyone).ok()?;
        return (others(&all, here.pid) == 0).then_some(VisibilityProblem::Alone);
    }
    // In a system container (LXC, nspawn) users log in and out, and each has a reaper of its own.
    let Scope::User(own) = context.own.scope else { return None };
    if has_own || here.systemd_booted {
        return None;
    }
    let who = adopted.iter().take(MAX_ADOPTED).find_map(|pid| stranger(context, *pid))?;
    (others(&context.host.list(Scope::User(own)).ok()?, here.pid) == 0)
        .then_some(VisibilityProblem::Strangers(who))
}

/// The number of processes besides reaper, PID 1 and a health probe.
fn others(listing: &ProcessList, own: Pid) -> usize {
    let comm = listing.entries.iter().find(|e| e.stat.pid == own).map(|e| &e.stat.comm);
    let is_one_of_us =
        |e: &ProcessEntry| [own, Pid::INIT].contains(&e.stat.pid) || Some(&e.stat.comm) == comm;
    listing.unreadable + listing.entries.iter().filter(|e| !is_one_of_us(e)).count()
}

/// An agent of another user, in words.
fn stranger<H: Host>(context: &Context<H>, pid: Pid) -> Option<String> {
    let stat = context.host.stat_of(pid).ok().filter(|stat| !stat.is_dead())?;
    let argv = context.host.argv_of(pid).unwrap_or_default();
    let identity = Identity { exe: None, argv: Some(&argv), comm: &stat.comm };
    let names = Names::of(&identity);
    let is_agent = context.policy.profiles.iter().any(|p| p.programs.find(&names, &argv).is_some());
    let uid = context.host.owner(pid).ok().filter(|_| is_agent)?;
    Some(format!("`{}` (pid {pid}) runs as uid {uid}", escape(&stat.comm)))
}
