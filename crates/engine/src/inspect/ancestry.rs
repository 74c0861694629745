//! The ancestors of a process, up to the first that is not a wrapper.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reaper_platform::{Condition, Host, Pid, ProcId, ProcessHandle as _, Stat, Uid, Why};
use reaper_policy::case::{Ancestor, Chain};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{marker, orphan};
use reaper_policy::past::Past;

use super::cache::lock;
use super::children::Children;
use super::read;
use crate::context::Context;

/// Longest line of wrappers that is followed.
const MAX_CLIMB: usize = 16;

/// Reads the ancestors of processes.
pub(super) struct Ancestry<H: Host> {
    context: Context<H>,
    children: Arc<Children<H>>,
    ancestors: Mutex<HashMap<Pid, Ancestor>>,
}

impl<H: Host> Ancestry<H> {
    pub(super) fn new(context: &Context<H>, children: &Arc<Children<H>>) -> Self {
        Self { context: context.clone(), children: Arc::clone(children), ancestors: Mutex::default() }
    }

    /// Climbs, and starts again when a parent exited meanwhile.
    pub(super) fn climb_afresh(
        &self,
        process: &H::ProcessHandle,
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
                chain.hidden_child = self.children.has_hidden_child(facts.pid());
                return Ok((chain, stat));
            }
        }
        Err(Why::Garbled("its parent changed again and again"))
    }

    fn climb(&self, stat: &Stat, uid: Option<Uid>, past: &dyn Fn(&ProcId) -> Past) -> Chain {
        let mut chain = Chain::default();
        let mut at = stat.ppid;
        while let Some(pid) = at.filter(|_| chain.ancestors.len() < MAX_CLIMB) {
            let mut ancestor = self.ancestor(pid);
            if ancestor.facts.as_ref().is_ok_and(|facts| past(&facts.id).was_host) {
                ancestor.is_host = Ok(true);
            }
            let kind = orphan::kind(&ancestor, uid, &self.context.policy, self.context.own.systemd_booted);
            let is_wrapper = matches!(kind, orphan::Kind::Wrapper | orphan::Kind::MayBeWrapper(_));
            at = ancestor.facts.as_ref().ok().filter(|_| is_wrapper).and_then(|f| f.stat.ppid);
            chain.ancestors.push(ancestor);
        }
        chain
    }

    /// Whether every process in the chain is still the one that was read, and still a child of the next one. PID 1
    /// never changes. Checked from below upwards, each after the one below named it as its parent, so that a reused pid
    /// is never taken for the parent.
    fn stands(&self, chain: &Chain) -> bool {
        chain.ancestors.iter().filter(|ancestor| ancestor.pid != Pid::INIT).all(|ancestor| {
            let Ok(facts) = &ancestor.facts else { return true };
            let now = self.context.host.open(ancestor.pid).and_then(|p| Ok((p.id(), p.stat()?.ppid)));
            let same = now.is_ok_and(|now| now == (facts.id, facts.stat.ppid));
            if !same {
                lock(&self.ancestors).remove(&ancestor.pid);
            }
            same
        })
    }

    pub(super) fn ancestor(&self, pid: Pid) -> Ancestor {
        if let Some(known) = lock(&self.ancestors).get(&pid) {
            return known.clone();
        }
        let facts = self.context.host.open(pid).and_then(|p| read::facts(&p, &self.context.wanted));
        let main_child =
            facts.as_ref().ok().filter(|f| orphan::runs_one_command(f)).map(|_| self.children.oldest(pid));
        let is_wrapper = facts.as_ref().is_ok_and(|f| orphan::is_marked_wrapper(f, &self.context.policy));
        let is_host = if is_wrapper { self.has_several_marked_children(pid) } else { Ok(false) };
        let ancestor = Ancestor { pid, facts, main_child, is_host };
        lock(&self.ancestors).insert(pid, ancestor.clone());
        ancestor
    }

    /// Whether at least two live children of a wrapper carry a marker: it then waits for more than one program.
    fn has_several_marked_children(&self, pid: Pid) -> Fact<bool> {
        let children = self.children.of(pid)?;
        if children.len() < 2 {
            return Ok(false);
        }
        let (mut marked, mut unsure) = (0, None);
        for child in children {
            match self.context.host.environ_of(child, &self.context.wanted) {
                Ok(scan) if scan.condition == Condition::Intact => {
                    marked +=
                        usize::from(self.context.policy.profiles.iter().any(|p| marker::carries(p, &scan)));
                }
                Ok(scan) if scan.len == 0 => {}
                Ok(_) => unsure = Some(Why::Garbled("it was overwritten")),
                Err(Why::Gone | Why::Exiting) => {}
                // Another user's process carries no marker of ours.
                Err(Why::Denied)
                    if self.context.host.owner(child).is_ok_and(|uid| !self.context.own.scope.holds(uid)) => {
                }
                Err(why) => unsure = Some(why),
            }
        }
        match unsure {
            Some(why) if marked == 1 => Err(why),
            _ => Ok(marked >= 2),
        }
    }

    /// The display name of a process that may be an adopter, and its kind for an orphan of `uid`.
    pub(super) fn adopter(&self, pid: Pid, uid: Option<Uid>) -> (String, orphan::Kind) {
        let ancestor = self.ancestor(pid);
        let called = ancestor.facts.as_ref().map_or_else(|_| format!("pid {pid}"), Facts::called);
        (called, orphan::kind(&ancestor, uid, &self.context.policy, self.context.own.systemd_booted))
    }
}
