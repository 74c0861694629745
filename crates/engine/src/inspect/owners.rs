//! The possible owners of a process, and whether they are alive.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Condition, Host, Pid, StartTime, Stat, Why};

use super::ancestry::Ancestry;
use super::stays::Stays;
use crate::context::Context;
use reaper_lease::{Lease, OWNER};
use reaper_policy::case::{Ancestor, Case, Chain, Claim, Leader, Liveness};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{marker, orphan};
use reaper_policy::profile::Profile;
use reaper_policy::program::Names;

/// Reads the indications of an owner of a process.
pub(super) struct Owners<H: Host> {
    context: Context<H>,
    ancestry: Arc<Ancestry<H>>,
    stays: Arc<Stays<H>>,
}

impl<H: Host> Owners<H> {
    pub(super) fn new(context: &Context<H>, ancestry: &Arc<Ancestry<H>>, stays: &Arc<Stays<H>>) -> Self {
        Self { context: context.clone(), ancestry: Arc::clone(ancestry), stays: Arc::clone(stays) }
    }

    /// Every indication that a live process may own this one, with what was found.
    pub(super) fn claims(&self, case: &Case<'_>, profiles: &[&Profile]) -> Vec<Claim> {
        let mut claims = Vec::new();
        let facts = case.facts;
        if let Ok(environ) = &facts.environ {
            if environ.get(OWNER.as_bytes()).is_some() {
                let lease = environ.value(OWNER.as_bytes()).and_then(Lease::parse);
                let lease = lease.filter(|l| l.boot_id == self.context.host.info().boot_id);
                claims.push(match lease.and_then(|lease| Some((Pid::new(lease.pid)?, lease))) {
                    Some((pid, lease)) => Claim::Lease(pid, self.liveness_of_owner(pid, &lease, facts)),
                    None => Claim::Unreadable(OWNER.to_owned()),
                });
            }
            for name in profiles.iter().filter_map(|p| p.owner_pid_env.as_deref()) {
                if environ.get(name.as_bytes()).is_none() {
                    continue;
                }
                claims.push(match environ.value(name.as_bytes()).and_then(Pid::parse) {
                    // The process with this pid is older than the candidate, so it is the one that was named.
                    Some(pid) if pid != facts.pid() => {
                        let life = self.liveness(pid, |start| start <= facts.stat.start);
                        Claim::OwnerPid(name.to_owned(), pid, life)
                    }
                    Some(_) => continue,
                    None => Claim::Unreadable(name.to_owned()),
                });
            }
        }
        let own: HashSet<Pid> =
            case.chain.into_iter().flat_map(Chain::wrappers).map(|w| w.pid).chain([facts.pid()]).collect();
        let mut leaders = vec![("session", facts.stat.session)];
        if facts.stat.pgrp != facts.stat.session {
            leaders.push(("process group", facts.stat.pgrp));
        }
        for (what, leader) in leaders {
            if let Some(pid) = leader.filter(|pid| !own.contains(pid)) {
                claims.push(Claim::Leader(what, pid, self.leader(pid, facts, profiles)));
            }
        }
        if let Some(init) = case.chain.and_then(Chain::end).filter(|end| end.pid == Pid::INIT)
            && !own.contains(&init.pid)
            && self.may_be_an_agent_of(init, profiles)
        {
            claims.push(Claim::Init(self.leader(init.pid, facts, profiles)));
        }
        if let Some(agent) = case.past.ties.agent {
            let life = self.liveness(agent.pid, |start| start == agent.start);
            let standing = life.and_then(|life| match life {
                Liveness::Alive => self.leader(agent.pid, facts, profiles),
                Liveness::Dead => Ok(Leader::Gone),
            });
            claims.push(Claim::Agent(agent.pid, standing));
        }
        claims
    }

    /// Whether a process runs a program of these profiles, or cannot be read. Where any program may be marked, the
    /// lease names the owner instead.
    fn may_be_an_agent_of(&self, ancestor: &Ancestor, profiles: &[&Profile]) -> bool {
        let kind = orphan::kind(ancestor, None, &self.context.policy, self.context.own.systemd_booted);
        if !matches!(kind, orphan::Kind::Suspect(_)) {
            return false;
        }
        let Ok(facts) = &ancestor.facts else { return true };
        let identity = facts.identity();
        let argv = identity.argv.unwrap_or_default();
        profiles.iter().any(|p| p.programs.find(&Names::of(&identity), argv).is_some())
    }

    /// Whether the owner that a lease names is alive. Its pid is valid in its own PID namespace only, and its start
    /// time in its own time namespace: values that cannot be compared prove nothing.
    fn liveness_of_owner(&self, pid: Pid, lease: &Lease, of: &Facts) -> Fact<Liveness> {
        let (here, owner_start) = (self.context.host.info(), StartTime(lease.start));
        match lease.pid_namespace {
            Some(inode) if inode == here.pid_namespace => {}
            Some(_) => return Err(Why::Garbled("it is in another PID namespace")),
            None if here.sees_the_whole_machine() => {}
            // The pid may be another process's here. Only finding the owner itself alive proves anything.
            None => {
                return match self.liveness(pid, |start| start == owner_start)? {
                    Liveness::Alive => Ok(Liveness::Alive),
                    Liveness::Dead => {
                        Err(Why::Garbled("its lease names no PID namespace, and this is a container"))
                    }
                };
            }
        }
        let Some(stat) = self.alive(pid)? else { return Ok(Liveness::Dead) };
        if stat.start == owner_start {
            return Ok(Liveness::Alive);
        }
        // An owner is older than what it started. Both start times are read in our namespace, so this holds in any
        // namespace.
        if stat.start > of.stat.start {
            return Ok(Liveness::Dead);
        }
        if lease.time_namespace.is_some_and(|inode| inode != here.time_namespace) {
            return Err(Why::Garbled("its start is told by the clock of another time namespace"));
        }
        if self.context.host.time_namespace(pid)? == here.time_namespace {
            Ok(Liveness::Dead)
        } else {
            Err(Why::Garbled("the process that has its number is in another time namespace"))
        }
    }

    fn liveness(&self, pid: Pid, is_it: impl Fn(StartTime) -> bool) -> Fact<Liveness> {
        Ok(self.alive(pid)?.filter(|stat| is_it(stat.start)).map_or(Liveness::Dead, |_| Liveness::Alive))
    }

    /// The live process with this pid; `None` if there is none.
    fn alive(&self, pid: Pid) -> Fact<Option<Stat>> {
        match self.context.host.stat_of(pid) {
            Ok(stat) => Ok(Some(stat).filter(|stat| !stat.is_dead())),
            Err(Why::Gone) if !self.context.host.exists(pid)? => Ok(None),
            // It exists, but is hidden from us.
            Err(Why::Gone) => Err(Why::Denied),
            Err(why) => Err(why),
        }
    }

    fn leader(&self, pid: Pid, of: &Facts, profiles: &[&Profile]) -> Fact<Leader> {
        let facts = match self.ancestry.ancestor(pid).facts {
            Ok(facts) if facts.stat.is_dead() => return Ok(Leader::Gone),
            Ok(facts) => facts,
            Err(Why::Gone) if !self.context.host.exists(pid)? => return Ok(Leader::Gone),
            // An owner is one of the user's own processes: one that is hidden from us or another user's is not the
            // owner.
            Err(Why::Gone | Why::Denied) => {
                return match self.context.host.owner(pid) {
                    Ok(uid) if of.ids.as_ref().is_ok_and(|ids| ids.real != uid) => Ok(Leader::Unmarked),
                    Err(Why::Gone) => Ok(Leader::Unmarked),
                    Ok(_) | Err(_) => Err(Why::Denied),
                };
            }
            Err(why) => return Err(why),
        };
        let uid = |f: &Facts| f.ids.as_ref().map(|ids| ids.real).map_err(Clone::clone);
        if uid(&facts)? != uid(of)? {
            return Ok(Leader::Unmarked);
        }
        match &facts.environ {
            Ok(environ) => match environ.condition {
                Condition::Garbled(how) => return Err(Why::Garbled(how)),
                Condition::Intact => {
                    if !profiles.iter().any(|p| marker::carries(p, environ)) {
                        return Ok(Leader::Unmarked);
                    }
                }
            },
            Err(Why::Gone | Why::Exiting) => return Ok(Leader::Gone),
            Err(why) => return Err(why.clone()),
        }
        self.stays.would_stay(&facts, profiles).map(|stays| stays.map_or(Leader::Goes, Leader::Stays))
    }
}
