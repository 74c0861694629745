//! Who is above a process: its parents, as far as wrappers go.

use reaper_platform::{Host, Pid, Pinned as _, Scope, StartTime, Stat, Uid, Why};

use super::Looker;
use crate::census;
use crate::facts::{Fact, Facts};
use crate::gates::{Chain, Elder, orphan};

/// Longest line of wrappers that is followed.
const MAX_CLIMB: usize = 16;

impl<H: Host> Looker<H> {
    /// Climbs, and starts again when the parent died on the way.
    pub(super) fn climb_afresh(&self, process: &H::Pinned, facts: &Facts) -> Fact<(Chain, Stat)> {
        let mut stat = facts.stat.clone();
        let uid = facts.ids.as_ref().ok().map(|ids| ids.real);
        for _ in 0..3 {
            let mut chain = self.climb(&stat, uid);
            let now = process.stat()?;
            let same = now.ppid == stat.ppid;
            stat = now;
            if same && self.stands(&chain) {
                chain.hidden_child = self.hidden_child(facts.pid());
                return Ok((chain, stat));
            }
        }
        Err(Why::Garbled("its parent changed again and again"))
    }

    pub(super) fn climb(&self, stat: &Stat, uid: Option<Uid>) -> Chain {
        let mut chain = Chain::default();
        let mut at = stat.ppid;
        while let Some(pid) = at.filter(|_| chain.elders.len() < MAX_CLIMB) {
            let elder = self.elder(pid);
            let is_wrapper =
                orphan::kind(&elder, uid, &self.policy, self.us.systemd_booted) == orphan::Kind::Wrapper;
            at = elder.facts.as_ref().ok().filter(|_| is_wrapper).and_then(|f| f.stat.ppid);
            chain.elders.push(elder);
        }
        chain
    }

    /// Whether everybody in the chain is still the process that was read, and still below the next one. PID 1
    /// is always itself. Asked from below upwards, each after the one below it named it as its parent, so that a
    /// reused number is never taken for the parent that it once was.
    fn stands(&self, chain: &Chain) -> bool {
        chain.elders.iter().filter(|elder| elder.pid != Pid::INIT).all(|elder| {
            let Ok(facts) = &elder.facts else { return true };
            let now = self.host.pin(elder.pid).and_then(|p| Ok((p.id(), p.stat()?.ppid)));
            let same = now.is_ok_and(|now| now == (facts.id, facts.stat.ppid));
            if !same {
                self.lock().elders.remove(&elder.pid);
            }
            same
        })
    }

    pub(super) fn elder(&self, pid: Pid) -> Elder {
        if let Some(known) = self.lock().elders.get(&pid) {
            return known.clone();
        }
        let facts = self.host.pin(pid).and_then(|p| Facts::read(&p, &self.wanted));
        let main_child =
            facts.as_ref().ok().filter(|f| orphan::runs_one_command(f)).map(|_| self.oldest_child(pid));
        let elder = Elder { pid, facts, main_child };
        self.lock().elders.insert(pid, elder.clone());
        elder
    }

    /// An init that runs one command starts it first of all and ends with it, so of its children the
    /// oldest is that command.
    pub(super) fn oldest_child(&self, init: Pid) -> Fact<Pid> {
        let children = match census::children_twice(&*self.host, init) {
            Err(Why::Unsupported(_) | Why::Denied | Why::Gone) => {
                let walk = self.host.walk(Scope::Everyone).map_err(|e| e.why)?;
                walk.entries.iter().filter(|e| e.stat.ppid == Some(init)).map(|e| e.stat.pid).collect()
            }
            list => list?,
        };
        let mut oldest: Option<(StartTime, Pid)> = None;
        for child in children {
            match self.host.glance(child) {
                Ok(stat) => {
                    let this = (stat.start, child);
                    oldest = Some(oldest.map_or(this, |o| o.min(this)));
                }
                Err(Why::Gone) => {}
                Err(why) => return Err(why),
            }
        }
        oldest.map(|(_, pid)| pid).ok_or(Why::Garbled("it has no children"))
    }

    pub(super) fn hidden_child(&self, pid: Pid) -> bool {
        !self.us.lineage_complete
            && self.host.children(pid).map_or(true, |children| {
                children.iter().any(|c| self.host.owner(*c).is_err() && self.host.exists(*c) != Ok(false))
            })
    }
}
