//! The eight gates, implemented a second time: what may be ended on a machine whose state is fully known.
//!
//! It shares no code with the gates. They see a process through reads that can fail; this sees its real state.

use std::collections::BTreeSet;

use reaper_platform::fake::{Machine, Process, pid};
use reaper_platform::{HostInfo, Pid};

use super::signs::*;
use super::{ME, whereabouts};

/// An answer to "does this speak for ending it?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Yes,
    No,
    Unclear,
}

use Says::{No, Unclear, Yes};

/// The oracle, before one state of a machine.
pub struct Oracle<'a> {
    pub machine: &'a Machine,
    here: HostInfo,
}

/// An orphan that may be ended, and the rest of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub pid: Pid,
    pub families: Vec<&'static str>,
    pub wrappers: Vec<Pid>,
}

impl<'a> Oracle<'a> {
    pub fn new(machine: &'a Machine) -> Self {
        Self { machine, here: whereabouts() }
    }

    /// Everything that may be ended, the time aside.
    pub fn roots(&self) -> Vec<Root> {
        self.machine.processes.values().filter_map(|p| self.root(p)).collect()
    }

    /// Whether a process may be ended for its own sake, the time aside.
    pub fn root(&self, p: &Process) -> Option<Root> {
        let families: Vec<&Family> =
            FAMILIES.iter().filter(|f| carries(p, f)).filter(|f| knows(f, p)).collect();
        self.passes(p, &families).then(|| Root {
            pid: p.pid,
            families: families.iter().map(|f| f.name).collect(),
            wrappers: self.line(p).0,
        })
    }

    /// All gates but program and grace.
    fn passes(&self, p: &Process, families: &[&Family]) -> bool {
        let (line, end) = self.line(p);
        !families.is_empty()
            && !p.is_dead()
            && self.is_ours(p)
            && match self.is_orphaned(p, &line, end) {
                Yes => true,
                Unclear => self.lost_its_owner(p, end),
                No => false,
            }
            && !self.is_daemon(p, families)
            && self.is_unsupervised(p, &line, end)
            && self.is_unclaimed(p, families, &line)
            && self.is_unprotected(p)
            && self.is_unguarded(p, families)
            && !line.iter().any(|w| self.our_line().contains(w))
    }

    /// All processes that may be ended with a root.
    pub fn tree(&self, root: &Root) -> BTreeSet<Pid> {
        let mut tree: BTreeSet<Pid> = BTreeSet::new();
        let families: Vec<&Family> = FAMILIES.iter().filter(|f| root.families.contains(&f.name)).collect();
        let Some(top) = self.machine.get(root.pid) else { return tree };
        tree.insert(root.pid);
        let wrappers = root.wrappers.iter().filter_map(|w| self.machine.get(*w));
        tree.extend(wrappers.filter(|w| self.may_go_along(w, &families)).map(|w| w.pid));
        let mut tops = vec![root.pid];
        for fellow in self.machine.processes.values().filter(|p| p.group.is_some() && p.group == top.group) {
            let is_beside = fellow.pid != root.pid && !root.wrappers.contains(&fellow.pid);
            if is_beside && self.is_adopter(fellow.ppid) && self.fellow(fellow, &root.families) {
                tree.insert(fellow.pid);
                tops.push(fellow.pid);
            }
        }
        while let Some(parent) = tops.pop() {
            for child in self.machine.children(parent) {
                // What hangs below a protected process is its own; one that cannot be read may be one.
                let is_open = self.is_unprotected(child) && self.is_unguarded(child, &families);
                if !is_open || !child.has_memory() || !is_readable(child) {
                    continue;
                }
                tops.push(child.pid);
                if self.may_go_along(child, &families) {
                    tree.insert(child.pid);
                }
            }
        }
        tree
    }

    /// Whether a process may be ended as an orphan in the group of one of these families.
    pub fn fellow(&self, p: &Process, families: &[&str]) -> bool {
        let marked: Vec<&Family> =
            FAMILIES.iter().filter(|f| families.contains(&f.name) && carries(p, f)).collect();
        self.passes(p, &marked)
    }

    /// What every member of a tree must pass by itself: `user`, `marker`, `unprotected`, and no daemon.
    pub fn may_go_along(&self, p: &Process, families: &[&Family]) -> bool {
        let marked: Vec<&Family> = families.iter().copied().filter(|f| carries(p, f)).collect();
        !marked.is_empty()
            && self.is_ours(p)
            && self.is_unprotected(p)
            && self.is_unguarded(p, families)
            && !self.is_daemon(p, families)
    }

    /// Whether nothing spares it but its own name: what the profiles for any program protect, what it accepts
    /// connections on, and what hangs below it.
    fn is_unguarded(&self, p: &Process, families: &[&Family]) -> bool {
        let is_any = families.iter().any(|f| f.programs.is_none());
        if is_any && is_for_a_person(p) {
            return false;
        }
        let is_agent = is_an_agent(p);
        // `unknown` where the descriptors cannot be read.
        let may_listen = |q: &Process| !is_an_agent(q) && (!q.listeners.is_empty() || !is_open_to_us(q));
        if may_listen(p) && p.has_memory() {
            return false;
        }
        let mut below: Vec<&Process> = self.machine.children(p.pid).collect();
        while let Some(q) = below.pop() {
            below.extend(self.machine.children(q.pid));
            if !q.has_memory() {
                continue;
            }
            let stays = PROTECTED.iter().any(|name| is_called_widely(q, name))
                || (is_any && is_for_a_person(q))
                || (is_readable(q)
                    && has(q, "REAPER_KEEP")
                    && !value(q, "REAPER_KEEP").is_some_and(|v| is_a_no(&v)))
                || self.is_daemon(q, families);
            let listens = may_listen(q) && (q.ids.real == p.ids.real || is_open_to_us(q));
            if (is_any || is_wrapper(p)) && stays || !is_agent && listens {
                return false;
            }
        }
        true
    }

    fn is_ours(&self, p: &Process) -> bool {
        let ids = p.ids;
        [ids.real, ids.effective, ids.saved] == [self.here.uid; 3] && ids.same_pid_namespace
    }

    /// The marked wrappers above a process, and the process above them.
    fn line(&self, p: &Process) -> (Vec<Pid>, Option<&'a Process>) {
        let mut line = Vec::new();
        let mut at = p.ppid.and_then(|pid| self.machine.get(pid));
        let is_climbed =
            |e: &&Process| is_marked_wrapper(e) && !self.is_adopter(Some(e.pid)) && !self.is_host(e);
        while let Some(ancestor) = at.filter(is_climbed) {
            line.push(ancestor.pid);
            at = ancestor.ppid.and_then(|pid| self.machine.get(pid));
        }
        (line, at)
    }

    /// Whether a wrapper waits for several marked programs, or may: then it is their living parent.
    fn is_host(&self, wrapper: &Process) -> bool {
        let ours = |c: &&Process| c.has_memory() && c.ids.effective == self.here.uid;
        let children: Vec<&Process> = self.machine.children(wrapper.pid).filter(ours).collect();
        let is_marked = |c: &&&Process| FAMILIES.iter().any(|f| carries(c, f));
        let marked = children.iter().filter(is_marked).count();
        let unclear = children.iter().filter(|c| !is_readable(c)).count();
        marked >= 2 || marked == 1 && unclear > 0
    }

    fn is_adopter(&self, who: Option<Pid>) -> bool {
        let Some(p) = who.and_then(|who| self.machine.get(who)) else { return who == Some(Pid::INIT) };
        let is_manager = p.comm == b"systemd"
            && p.ppid == Some(Pid::INIT)
            && p.argv.iter().any(|a| a == b"--user")
            && self.is_ours(p);
        p.pid == Pid::INIT || is_manager
    }

    fn is_orphaned(&self, p: &Process, line: &[Pid], end: Option<&Process>) -> Says {
        let Some(end) = end else { return No };
        if !self.is_adopter(Some(end.pid)) {
            return No;
        }
        if end.pid != Pid::INIT || INITS.iter().any(|init| is_called_widely(end, init)) {
            return Yes;
        }
        // A PID 1 that may have started it: it must be proven that a parent in between has died.
        let child = line.last().and_then(|w| self.machine.get(*w)).unwrap_or(p);
        let inherited =
            child.session.is_some_and(|s| s != child.pid && s != end.pid && Some(s) != end.session);
        if inherited { Yes } else { Unclear }
    }

    /// A dead owner proves it, too.
    fn lost_its_owner(&self, p: &Process, end: Option<&Process>) -> bool {
        self.lease(p).is_some_and(|(owner, alive)| end.is_some_and(|e| e.pid != owner) && alive == No)
    }

    fn is_daemon(&self, p: &Process, families: &[&Family]) -> bool {
        let has = |arg: &str| p.argv.iter().skip(1).any(|a| a == arg.as_bytes());
        (is_called_widely(p, "claude") && has("daemon"))
            || (is_called_widely(p, "codex") && has("--managed-daemon"))
            || families.iter().any(|f| f.stays_with.iter().any(|arg| has(arg)))
    }

    fn is_unsupervised(&self, p: &Process, line: &[Pid], end: Option<&Process>) -> bool {
        let own: Vec<Pid> = line.iter().copied().chain([p.pid]).collect();
        let executed = value(p, "SYSTEMD_EXEC_PID").and_then(|v| String::from_utf8(v).ok()?.parse().ok());
        let executed = executed.and_then(Pid::new);
        let in_services = own.iter().filter_map(|pid| self.machine.get(*pid)?.unit.clone());
        let is_main = |unit: &_| match self.machine.units.get(unit) {
            Some(known) => [known.main, known.control].iter().flatten().any(|pid| own.contains(pid)),
            None => true,
        };
        let command = end
            .filter(|init| init.argv.len() > 1 && ONE_COMMAND.iter().any(|name| is_called_widely(init, name)))
            .and_then(|init| self.machine.children(init.pid).min_by_key(|c| (c.start, c.pid)));
        executed.is_none_or(|pid| !own.contains(&pid))
            && !in_services.filter(|u| u.name.ends_with(".service")).any(|u| is_main(&u))
            && command.is_none_or(|c| !own.contains(&c.pid))
    }

    /// The pid in `REAPER_OWNER`, and whether that owner lives; `None` when there is no lease.
    fn lease(&self, p: &Process) -> Option<(Pid, Says)> {
        if !has(p, "REAPER_OWNER") {
            return None;
        }
        let value = value(p, "REAPER_OWNER").and_then(|v| String::from_utf8(v).ok());
        let parts = value.as_deref().map(|v| v.split(':').collect::<Vec<_>>()).unwrap_or_default();
        let [owner, start, boot] = parts.as_slice() else { return Some((Pid::INIT, Unclear)) };
        let (Ok(owner), Ok(start)) = (owner.parse::<i32>(), start.parse::<u64>()) else {
            return Some((Pid::INIT, Unclear));
        };
        if *boot != self.here.boot_id || owner < 1 {
            return Some((Pid::INIT, Unclear));
        }
        let holder = self.machine.get(pid(owner)).filter(|o| !o.is_dead() && o.start.0 == start);
        Some((pid(owner), if holder.is_some() { Yes } else { No }))
    }

    fn is_unclaimed(&self, p: &Process, families: &[&Family], line: &[Pid]) -> bool {
        if self.lease(p).is_some_and(|(_, alive)| alive != No) {
            return false;
        }
        for family in families {
            if family.owner_pid_env.is_some_and(|name| self.is_owned_by_pid(p, name))
                || family.owner_env.is_some_and(|name| self.is_held(p, name, families))
            {
                return false;
            }
        }
        [p.session, p.group].into_iter().flatten().filter(|l| *l != p.pid && !line.contains(l)).all(
            |leader| {
                let Some(leader) = self.machine.get(leader).filter(|l| l.has_memory()) else { return true };
                leader.ids.real != p.ids.real
                    || (is_readable(leader) && !families.iter().any(|f| carries(leader, f)))
                    || (is_readable(leader) && !self.would_stay(leader, families))
            },
        )
    }

    fn is_owned_by_pid(&self, p: &Process, name: &str) -> bool {
        if !has(p, name) {
            return false;
        }
        let Some(owner) = value(p, name).and_then(|v| String::from_utf8(v).ok()?.parse().ok()) else {
            return true;
        };
        let owner = Pid::new(owner).and_then(|owner| self.machine.get(owner));
        owner.is_some_and(|o| o.pid != p.pid && !o.is_dead() && o.start <= p.start)
    }

    /// Whether a process that would stay holds the same value.
    fn is_held(&self, p: &Process, name: &str, families: &[&Family]) -> bool {
        if !has(p, name) {
            return false;
        }
        let Some(wanted) = value(p, name) else { return true };
        let holders: Vec<&Process> = self
            .machine
            .processes
            .values()
            .filter(|h| {
                h.ids.effective == p.ids.real && h.has_memory() && value(h, name).as_ref() == Some(&wanted)
            })
            .collect();
        let unclear = self.machine.processes.values().any(|h| {
            let is_torn = has(h, name) && value(h, name).is_none();
            let is_hidden = !is_readable(h) && may_be_an_agent(h);
            h.ids.effective == p.ids.real && h.has_memory() && (is_torn || is_hidden)
        });
        unclear || holders.iter().any(|h| self.would_stay(h, families))
    }

    /// Whether a process goes on however the run ends: climbing from it meets one without the marks, a kept or
    /// supervised one or, above it, a protected one, before the first adopter; or there is no adopter that cannot have
    /// started it.
    fn would_stay(&self, p: &Process, families: &[&Family]) -> bool {
        let mut at = p;
        for _ in 0..=self.machine.processes.len() {
            let is_marked = families.iter().any(|f| carries(at, f));
            let keeps = has(at, "REAPER_KEEP") && !value(at, "REAPER_KEEP").is_some_and(|v| is_a_no(&v));
            let is_above = at.pid != p.pid;
            let is_protected = PROTECTED.iter().any(|name| is_called_widely(at, name))
                || families.iter().any(|f| f.programs.is_none()) && is_for_a_person(at);
            let parent = at.ppid.and_then(|pid| self.machine.get(pid));
            if !is_marked
                || keeps
                || self.is_daemon(at, families)
                || is_above && is_protected
                || !self.is_unsupervised(at, &[], parent)
            {
                return true;
            }
            let Some(parent) = parent else { return true };
            if self.is_adopter(Some(parent.pid)) {
                return self.is_orphaned(at, &[], Some(parent)) != Yes;
            }
            at = parent;
        }
        true
    }

    fn our_line(&self) -> BTreeSet<Pid> {
        let mut line = BTreeSet::new();
        let mut at = Pid::new(ME);
        while let Some(pid) = at.filter(|pid| line.insert(*pid)) {
            at = self.machine.get(pid).and_then(|p| p.ppid);
        }
        line
    }

    pub fn is_unprotected(&self, p: &Process) -> bool {
        let keep = !has(p, "REAPER_KEEP") || value(p, "REAPER_KEEP").is_some_and(|v| is_a_no(&v));
        keep && !PROTECTED.iter().any(|name| is_called_widely(p, name)) && !self.our_line().contains(&p.pid)
    }
}
