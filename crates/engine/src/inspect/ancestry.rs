//! Who is above a process: its parents, as far as wrappers go.

use std::collections::HashMap;
use std::sync::Arc;

use reaper_platform::{Condition, Host, Pid, Pinned as _, ProcId, Scope, StartTime, Stat, Uid, Why};

use super::{Looker, read};
use crate::discover;
use reaper_policy::case::{Chain, Elder};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{marker, orphan};
use reaper_policy::past::Past;

/// The children of each process that has some.
pub(super) type Families = Arc<HashMap<Pid, Vec<Pid>>>;

/// Longest line of wrappers that is followed.
const MAX_CLIMB: usize = 16;

impl<H: Host> Looker<H> {
    /// Climbs, and starts again when the parent died on the way.
    pub(super) fn climb_afresh(
        &self,
        process: &H::Pinned,
        facts: &Facts,
        past: &dyn Fn(&ProcId) -> Past,
    ) -> Fact<(Chain, Stat)> {
        let mut stat = facts.stat.clone();
        let uid = facts.ids.as_ref().ok().map(|ids| ids.real);
        for _ in 0..3 {
            let mut chain = self.climb(&stat, uid, past);
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

    fn climb(&self, stat: &Stat, uid: Option<Uid>, past: &dyn Fn(&ProcId) -> Past) -> Chain {
        let mut chain = Chain::default();
        let mut at = stat.ppid;
        while let Some(pid) = at.filter(|_| chain.elders.len() < MAX_CLIMB) {
            let mut elder = self.elder(pid);
            if elder.facts.as_ref().is_ok_and(|facts| past(&facts.id).was_host) {
                elder.is_host = Ok(true);
            }
            let kind = orphan::kind(&elder, uid, &self.policy, self.us.systemd_booted);
            let is_wrapper = matches!(kind, orphan::Kind::Wrapper | orphan::Kind::MayBeWrapper(_));
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
        let facts = self.host.pin(pid).and_then(|p| read::facts(&p, &self.wanted));
        let main_child =
            facts.as_ref().ok().filter(|f| orphan::runs_one_command(f)).map(|_| self.oldest_child(pid));
        let is_wrapper = facts.as_ref().is_ok_and(|f| orphan::is_marked_wrapper(f, &self.policy));
        let is_host = if is_wrapper { self.has_several_marked_children(pid) } else { Ok(false) };
        let elder = Elder { pid, facts, main_child, is_host };
        self.lock().elders.insert(pid, elder.clone());
        elder
    }

    /// An init that runs one command starts it first of all and ends with it, so of its children the
    /// oldest is that command.
    pub(super) fn oldest_child(&self, init: Pid) -> Fact<Pid> {
        let children = match discover::children_twice(&*self.host, init) {
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

    /// Whether at least two living children of a wrapper carry a marker: then it waits for more than one program.
    fn has_several_marked_children(&self, pid: Pid) -> Fact<bool> {
        let children = self.children_of(pid)?;
        if children.len() < 2 {
            return Ok(false);
        }
        let (mut marked, mut unsure) = (0, None);
        for child in children {
            match self.host.glance_environ(child, &self.wanted) {
                Ok(scan) if scan.condition == Condition::Intact => {
                    marked += usize::from(self.policy.profiles.iter().any(|p| marker::carries(p, &scan)));
                }
                Ok(scan) if scan.len == 0 => {}
                Ok(_) => unsure = Some(Why::Garbled("it was overwritten")),
                Err(Why::Gone | Why::Exiting) => {}
                // What runs as another user carries no marker of ours.
                Err(Why::Denied) if self.host.owner(child).is_ok_and(|uid| !self.us.scope.holds(uid)) => {}
                Err(why) => unsure = Some(why),
            }
        }
        match unsure {
            Some(why) if marked == 1 => Err(why),
            _ => Ok(marked >= 2),
        }
    }

    /// The children of a process, from its own list, or from one walk over all processes where there are no lists.
    /// Read once for a look: the tree and the guards of its members ask about the same ones.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn children_of(&self, pid: Pid) -> Fact<Vec<Pid>> {
        if let Some(known) = self.lock().children.get(&pid) {
            return known.clone();
        }
        let children = self.list_children(pid);
        self.lock().children.insert(pid, children.clone());
        children
    }

    fn list_children(&self, pid: Pid) -> Fact<Vec<Pid>> {
        match self.host.children(pid) {
            Err(Why::Unsupported(_) | Why::Denied) => {
                let known = self.lock().families.clone();
                let families = known.unwrap_or_else(|| {
                    let walk = self.host.walk(Scope::Everyone).map_err(|e| e.why);
                    let families = walk.map(|walk| {
                        let mut families: HashMap<Pid, Vec<Pid>> = HashMap::new();
                        for entry in walk.entries {
                            if let Some(parent) = entry.stat.ppid {
                                families.entry(parent).or_default().push(entry.stat.pid);
                            }
                        }
                        Arc::new(families)
                    });
                    self.lock().families = Some(families.clone());
                    families
                });
                families.map(|families| families.get(&pid).cloned().unwrap_or_default())
            }
            list => list,
        }
    }

    pub(super) fn hidden_child(&self, pid: Pid) -> bool {
        !self.us.lineage_complete
            && self.host.children(pid).map_or(true, |children| {
                children.iter().any(|c| self.host.owner(*c).is_err() && self.host.exists(*c) != Ok(false))
            })
    }
}
