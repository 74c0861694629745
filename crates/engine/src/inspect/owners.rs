//! Who may still want a process: what it says of its owner, and whether that one lives.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Condition, Host, Pid, StartTime, Stat, Why};

use super::ancestry::Ancestry;
use super::stays::Stays;
use crate::context::Ground;
use reaper_lease::{Lease, OWNER};
use reaper_policy::case::{Case, Chain, Claim, Elder, Leader, Life};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{marker, orphan};
use reaper_policy::profile::Profile;
use reaper_policy::program::Names;

/// Reads what speaks for an owner of a process.
pub(super) struct Owners<H: Host> {
    ground: Ground<H>,
    ancestry: Arc<Ancestry<H>>,
    stays: Arc<Stays<H>>,
}

impl<H: Host> Owners<H> {
    pub(super) fn new(ground: &Ground<H>, ancestry: &Arc<Ancestry<H>>, stays: &Arc<Stays<H>>) -> Self {
        Self { ground: ground.clone(), ancestry: Arc::clone(ancestry), stays: Arc::clone(stays) }
    }

    /// Every sign that something alive may own the process, with what was found.
    pub(super) fn claims(&self, case: &Case<'_>, profiles: &[&Profile]) -> Vec<Claim> {
        let mut claims = Vec::new();
        let facts = case.facts;
        if let Ok(environ) = &facts.environ {
            if environ.get(OWNER.as_bytes()).is_some() {
                let lease = environ.value(OWNER.as_bytes()).and_then(Lease::parse);
                let lease = lease.filter(|l| l.boot_id == self.ground.host.here().boot_id);
                claims.push(match lease.and_then(|lease| Some((Pid::new(lease.pid)?, lease))) {
                    Some((pid, lease)) => Claim::Lease(pid, self.life_of_owner(pid, &lease, facts)),
                    None => Claim::Unreadable(OWNER.to_owned()),
                });
            }
            for name in profiles.iter().filter_map(|p| p.owner_pid_env.as_deref()) {
                if environ.get(name.as_bytes()).is_none() {
                    continue;
                }
                claims.push(match environ.value(name.as_bytes()).and_then(Pid::parse) {
                    // Whoever has the number now was there before this process, so it is the one that was meant.
                    Some(pid) if pid != facts.pid() => {
                        let life = self.life(pid, |start| start <= facts.stat.start);
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
            let life = self.life(agent.pid, |start| start == agent.start);
            let standing = life.and_then(|life| match life {
                Life::Alive => self.leader(agent.pid, facts, profiles),
                Life::Dead => Ok(Leader::Gone),
            });
            claims.push(Claim::Agent(agent.pid, standing));
        }
        claims
    }

    /// Whether a process runs a program of these profiles, or cannot be read. Where any program may be marked,
    /// another rule says who the owner is.
    fn may_be_an_agent_of(&self, elder: &Elder, profiles: &[&Profile]) -> bool {
        let kind = orphan::kind(elder, None, &self.ground.policy, self.ground.us.systemd_booted);
        if !matches!(kind, orphan::Kind::Suspect(_)) {
            return false;
        }
        let Ok(facts) = &elder.facts else { return true };
        let identity = facts.identity();
        let argv = identity.argv.unwrap_or_default();
        profiles.iter().any(|p| p.programs.find(&Names::of(&identity), argv).is_some())
    }

    /// Whether the owner that a lease names is alive. Its number means something in its own PID namespace only, and its
    /// start in its own time namespace: what cannot be compared proves nothing.
    fn life_of_owner(&self, pid: Pid, lease: &Lease, of: &Facts) -> Fact<Life> {
        let (here, owner_start) = (self.ground.host.here(), StartTime(lease.start));
        match lease.pid_namespace {
            Some(inode) if inode == here.pid_namespace => {}
            Some(_) => return Err(Why::Garbled("it is in another PID namespace")),
            None if here.sees_the_whole_machine() => {}
            // The number may mean another process in here. Only that the very owner is seen alive says anything.
            None => {
                return match self.life(pid, |start| start == owner_start)? {
                    Life::Alive => Ok(Life::Alive),
                    Life::Dead => {
                        Err(Why::Garbled("its lease names no PID namespace, and this is a container"))
                    }
                };
            }
        }
        let Some(stat) = self.alive(pid)? else { return Ok(Life::Dead) };
        if stat.start == owner_start {
            return Ok(Life::Alive);
        }
        // An owner is older than what it started. Both starts are read from here, so that this holds in any namespace.
        if stat.start > of.stat.start {
            return Ok(Life::Dead);
        }
        if lease.time_namespace.is_some_and(|inode| inode != here.time_namespace) {
            return Err(Why::Garbled("its start is told by the clock of another time namespace"));
        }
        if self.ground.host.time_namespace(pid)? == here.time_namespace {
            Ok(Life::Dead)
        } else {
            Err(Why::Garbled("the process that has its number is in another time namespace"))
        }
    }

    fn life(&self, pid: Pid, is_it: impl Fn(StartTime) -> bool) -> Fact<Life> {
        Ok(self.alive(pid)?.filter(|stat| is_it(stat.start)).map_or(Life::Dead, |_| Life::Alive))
    }

    /// The living process that has this number; `None` if there is none.
    fn alive(&self, pid: Pid) -> Fact<Option<Stat>> {
        match self.ground.host.glance(pid) {
            Ok(stat) => Ok(Some(stat).filter(|stat| !stat.is_dead())),
            Err(Why::Gone) if !self.ground.host.exists(pid)? => Ok(None),
            // It is there, and hidden from us.
            Err(Why::Gone) => Err(Why::Denied),
            Err(why) => Err(why),
        }
    }

    fn leader(&self, pid: Pid, of: &Facts, profiles: &[&Profile]) -> Fact<Leader> {
        let facts = match self.ancestry.elder(pid).facts {
            Ok(facts) if facts.stat.is_dead() => return Ok(Leader::Gone),
            Ok(facts) => facts,
            Err(Why::Gone) if !self.ground.host.exists(pid)? => return Ok(Leader::Gone),
            // An owner is one of the user's own processes: who is hidden from us, or is another user's, is none.
            Err(Why::Gone | Why::Denied) => {
                return match self.ground.host.owner(pid) {
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
