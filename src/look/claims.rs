//! Who may still want a process: what it says of its owner, and whether that one lives.

use std::collections::HashSet;

use reaper_platform::{Condition, Host, Pid, StartTime, Why};

use super::Looker;
use crate::config::Profile;
use crate::facts::{Fact, Facts};
use crate::gates::{self, Case, Chain, Claim, Elder, Finalist, How, Leader, Life, marker, orphan};
use crate::owner::{Lease, OWNER};
use crate::program::Names;
use crate::sightings::Past;
use crate::verdict::Answer;

/// Outside of which there is nothing (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
pub(super) const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

impl<H: Host> Looker<H> {
    pub(super) fn claims(&self, case: &Case<'_>, profiles: &[&Profile]) -> Vec<Claim> {
        let mut claims = Vec::new();
        let facts = case.facts;
        if let Ok(environ) = &facts.environ {
            if environ.get(OWNER.as_bytes()).is_some() {
                let lease = environ.value(OWNER.as_bytes()).and_then(Lease::parse);
                claims.push(match lease.filter(|l| l.boot_id == self.host.here().boot_id) {
                    Some(lease) => Claim::Lease(lease.pid, self.life_of_owner(&lease)),
                    None => Claim::Unreadable(OWNER.to_owned()),
                });
            }
            for name in profiles.iter().filter_map(|p| p.owner_pid_env.as_ref()) {
                if environ.get(name.as_bytes()).is_none() {
                    continue;
                }
                claims.push(match environ.value(name.as_bytes()).and_then(Pid::parse) {
                    // Whoever has the number now was there before this process, so it is the one that was meant.
                    Some(pid) if pid != facts.pid() => {
                        let life = self.life(pid, |start| start <= facts.stat.start);
                        Claim::OwnerPid(name.clone(), pid, life)
                    }
                    Some(_) => continue,
                    None => Claim::Unreadable(name.clone()),
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
        if orphan::kind(elder, None, &self.policy, self.us.systemd_booted) != orphan::Kind::Suspect {
            return false;
        }
        let Ok(facts) = &elder.facts else { return true };
        let identity = facts.identity();
        let argv = identity.argv.unwrap_or_default();
        profiles.iter().any(|p| p.programs.find(&Names::of(&identity), argv).is_some())
    }

    /// Nothing in a PID namespace is older than its PID 1. So an owner that is older was never in ours: it stamped
    /// what it then started in a container, and whether it lives cannot be seen from in here.
    fn life_of_owner(&self, lease: &Lease) -> Fact<Life> {
        match lease.pid_namespace {
            Some(inode) if inode == self.host.here().pid_namespace => {
                return self.life(lease.pid, |start| start == lease.start);
            }
            Some(_) => return Err(Why::Garbled("it is in another PID namespace")),
            None => {}
        }
        let life = self.life(lease.pid, |start| start == lease.start)?;
        if life == Life::Alive || self.host.here().pid_namespace == INITIAL_PID_NAMESPACE {
            return Ok(life);
        }
        let unseen = |_| Why::Garbled("PID 1 cannot be seen, so it may be outside our PID namespace");
        if lease.start < self.host.glance(Pid::INIT).map_err(unseen)?.start {
            return Err(Why::Garbled("it is older than our PID namespace, so it is outside"));
        }
        Ok(life)
    }

    pub(super) fn life(&self, pid: Pid, is_it: impl Fn(StartTime) -> bool) -> Fact<Life> {
        match self.host.glance(pid) {
            Ok(stat) if stat.state.is_dead() || !is_it(stat.start) => Ok(Life::Dead),
            Ok(_) => Ok(Life::Alive),
            Err(Why::Gone) if !self.host.exists(pid)? => Ok(Life::Dead),
            Err(Why::Gone) => Err(Why::Denied),
            Err(why) => Err(why),
        }
    }

    pub(super) fn leader(&self, pid: Pid, of: &Facts, profiles: &[&Profile]) -> Fact<Leader> {
        let facts = match self.elder(pid).facts {
            Ok(facts) if facts.stat.state.is_dead() => return Ok(Leader::Gone),
            Ok(facts) => facts,
            Err(Why::Gone) if !self.host.exists(pid)? => return Ok(Leader::Gone),
            // An owner is one of the user's own processes: who is hidden from us, or is another user's, is none.
            Err(Why::Gone | Why::Denied) => {
                return match self.host.owner(pid) {
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
        self.is_rooted(&facts).map(|rooted| if rooted { Leader::Owner } else { Leader::Orphan })
    }

    /// Whether a process is in its place: its parent lives, or a service manager runs it.
    pub(super) fn is_rooted(&self, facts: &Facts) -> Fact<bool> {
        let chain = self.climb(&facts.stat, facts.ids.as_ref().ok().map(|ids| ids.real));
        let finalist = Finalist { units: self.units(facts, &chain), jobs: self.jobs(facts), holders: None };
        let case = Case {
            policy: &self.policy,
            us: &self.us,
            facts,
            chain: Some(&chain),
            claims: Some(&[]),
            finalist: Some(&finalist),
            past: Past::default(),
            how: How::Candidate,
        };
        match (orphan::ask(&case).answer, gates::unsupervised::ask(&case, &[]).answer) {
            (Answer::No, _) | (Answer::Yes, Answer::No) => Ok(true),
            (Answer::Yes, Answer::Yes) => Ok(false),
            // A parent that may have started it is taken for one that did: that spares.
            (Answer::Unknown, _) => Ok(true),
            _ => Err(Why::Garbled("whether a service manager runs it cannot be told")),
        }
    }
}
