//! The children of processes; each list is read once per inspector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reaper_platform::{Host, Pid, Scope, StartTime, Why};
use reaper_policy::facts::Fact;

use super::cache::lock;
use crate::context::Context;
use crate::discover;

/// The children by parent.
type Families = Arc<HashMap<Pid, Vec<Pid>>>;

/// Reads the lists of children.
pub(super) struct Children<H: Host> {
    context: Context<H>,
    lists: Mutex<HashMap<Pid, Fact<Vec<Pid>>>>,
    /// All lists at once, from a listing of all processes, where the kernel has no child lists.
    families: Mutex<Option<Fact<Families>>>,
}

impl<H: Host> Children<H> {
    pub(super) fn new(context: &Context<H>) -> Self {
        Self { context: context.clone(), lists: Mutex::default(), families: Mutex::default() }
    }

    /// The children of a process, from its own list, or from one listing of all processes where there are no lists.
    /// Read once per inspector: the tree and the guards of its members need the same ones.
    ///
    /// # Errors
    /// When neither can be read.
    pub(super) fn of(&self, pid: Pid) -> Fact<Vec<Pid>> {
        if let Some(known) = lock(&self.lists).get(&pid) {
            return known.clone();
        }
        let children = self.list(pid);
        lock(&self.lists).insert(pid, children.clone());
        children
    }

    fn list(&self, pid: Pid) -> Fact<Vec<Pid>> {
        match self.context.host.children(pid) {
            Err(Why::Unsupported(_) | Why::Denied) => {
                let known = lock(&self.families).clone();
                let families = known.unwrap_or_else(|| {
                    let listing = self.context.host.list(Scope::Everyone).map_err(|e| e.why);
                    let families = listing.map(|listing| {
                        let mut families: HashMap<Pid, Vec<Pid>> = HashMap::new();
                        for entry in listing.entries {
                            if let Some(parent) = entry.stat.ppid {
                                families.entry(parent).or_default().push(entry.stat.pid);
                            }
                        }
                        Arc::new(families)
                    });
                    *lock(&self.families) = Some(families.clone());
                    families
                });
                families.map(|families| families.get(&pid).cloned().unwrap_or_default())
            }
            list => list,
        }
    }

    /// An init that runs one command starts it first and ends with it, so its oldest child is that command.
    pub(super) fn oldest(&self, init: Pid) -> Fact<Pid> {
        let children = match discover::children_twice(&*self.context.host, init) {
            Err(Why::Unsupported(_) | Why::Denied | Why::Gone) => {
                let listing = self.context.host.list(Scope::Everyone).map_err(|e| e.why)?;
                listing.entries.iter().filter(|e| e.stat.ppid == Some(init)).map(|e| e.stat.pid).collect()
            }
            list => list?,
        };
        let mut oldest: Option<(StartTime, Pid)> = None;
        for child in children {
            match self.context.host.stat_of(child) {
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

    /// Whether a process has a child that cannot be seen. Read only where not all of our own ancestors are visible:
    /// such a child could be one of them.
    pub(super) fn has_hidden_child(&self, pid: Pid) -> bool {
        !self.context.own.lineage_complete
            && self.context.host.children(pid).map_or(true, |children| {
                children.iter().any(|c| {
                    self.context.host.owner(*c).is_err() && self.context.host.exists(*c) != Ok(false)
                })
            })
    }
}
