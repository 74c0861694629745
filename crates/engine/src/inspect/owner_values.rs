//! The processes that hold an owner value: whether the run that started a process is still alive.
//!
//! A launcher that stamps each of its runs with a value of its own leaves that value in everything the run started. As
//! long as one process with the value is not orphaned, the run is alive, and its background processes are in use. This
//! is the only check that reads all of the user's processes, so it is made once a sweep, and only when something is
//! about to be ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reaper_platform::{Condition, Host, Pid, Scope, Secret, Uid, Wanted, Why};

use super::ancestry::Ancestry;
use super::cache::lock;
use super::stays::Stays;
use crate::context::Context;
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::profile::Profile;
use reaper_policy::program::{Identity, Names, is_interpreter};

/// The owner values of the user's processes, by variable.
#[derive(Debug, Clone, Default)]
struct Holders {
    by_value: HashMap<(String, Secret), Vec<Pid>>,
    /// The first agent whose environment could not be read: it may hold any value.
    unreadable: Option<(Pid, Why)>,
}

/// Finds the holders of owner values.
pub(super) struct OwnerValues<H: Host> {
    context: Context<H>,
    ancestry: Arc<Ancestry<H>>,
    stays: Arc<Stays<H>>,
    holders: Mutex<HashMap<Uid, Fact<Holders>>>,
}

impl<H: Host> OwnerValues<H> {
    pub(super) fn new(context: &Context<H>, ancestry: &Arc<Ancestry<H>>, stays: &Arc<Stays<H>>) -> Self {
        Self {
            context: context.clone(),
            ancestry: Arc::clone(ancestry),
            stays: Arc::clone(stays),
            holders: Mutex::default(),
        }
    }

    /// A live process that holds the candidate's owner value and would stay, and why it would.
    pub(super) fn holder(&self, facts: &Facts, profiles: &[&Profile]) -> Option<Fact<Option<(Pid, String)>>> {
        let environ = facts.environ.as_ref().ok()?;
        let named: Vec<&str> = profiles.iter().filter_map(|p| p.owner_env.as_deref()).collect();
        let wanted: Vec<(String, Option<Secret>)> = named
            .into_iter()
            .filter(|name| environ.get(name.as_bytes()).is_some())
            .map(|name| (name.to_owned(), environ.value(name.as_bytes()).map(Secret::new)))
            .collect();
        if wanted.is_empty() {
            return None;
        }
        let uid = match &facts.ids {
            Ok(ids) => ids.real,
            Err(why) => return Some(Err(why.clone())),
        };
        let known = lock(&self.holders).get(&uid).cloned();
        let holders = known.unwrap_or_else(|| {
            let looked = self.list_holders(uid);
            lock(&self.holders).insert(uid, looked.clone());
            looked
        });
        Some(holders.and_then(|h| self.holder_that_stays(&h, &wanted, profiles)))
    }

    fn holder_that_stays(
        &self,
        all: &Holders,
        wanted: &[(String, Option<Secret>)],
        profiles: &[&Profile],
    ) -> Fact<Option<(Pid, String)>> {
        let mut unsure = None;
        for (name, value) in wanted {
            let value = value.clone().ok_or(Why::Garbled("its owner value cannot be read"))?;
            for pid in all.by_value.get(&(name.clone(), value)).into_iter().flatten() {
                let facts = match self.ancestry.ancestor(*pid).facts {
                    Ok(facts) if !facts.stat.is_dead() => facts,
                    Ok(_) | Err(Why::Gone | Why::Exiting) => continue,
                    Err(why) => {
                        unsure.get_or_insert(why);
                        continue;
                    }
                };
                match self.stays.would_stay(&facts, profiles) {
                    Ok(Some(why)) => return Ok(Some((*pid, why))),
                    Ok(None) => {}
                    Err(why) => {
                        unsure.get_or_insert(why);
                    }
                }
            }
        }
        match unsure.or_else(|| all.unreadable.clone().map(|(_, why)| why)) {
            Some(why) => Err(why),
            None => Ok(None),
        }
    }

    fn list_holders(&self, uid: Uid) -> Fact<Holders> {
        let named = self.context.policy.profiles.iter().filter_map(|p| p.owner_env.as_deref());
        let names: Vec<String> = named.map(str::to_owned).collect();
        let wanted = Wanted::new(names.clone());
        let listing = self.context.host.list(Scope::User(uid)).map_err(|e| e.why)?;
        if listing.unreadable > 0 {
            return Err(Why::Garbled("not all of the user's processes could be listed"));
        }
        let mut holders = Holders::default();
        for entry in listing.entries {
            let pid = entry.stat.pid;
            // An environment that was overwritten or truncated may have held any value.
            let scan = self.context.host.environ_of(pid, &wanted).and_then(|scan| scan.verify(&entry.stat));
            let scan = scan.and_then(|scan| match scan.condition {
                Condition::Intact => Ok(scan),
                Condition::Garbled(how) => Err(Why::Garbled(how)),
            });
            match scan {
                Ok(scan) => {
                    for name in names.iter().filter(|name| scan.get(name.as_bytes()).is_some()) {
                        match scan.value(name.as_bytes()) {
                            Some(value) => {
                                let holder = (name.clone(), Secret::new(value));
                                holders.by_value.entry(holder).or_default().push(pid);
                            }
                            None => {
                                let why = Why::Garbled("another process's owner value cannot be told");
                                holders.unreadable.get_or_insert((pid, why));
                            }
                        }
                    }
                }
                Err(Why::Gone | Why::Exiting) => {}
                Err(_) if entry.stat.is_dead() => {}
                Err(why) if self.may_be_an_agent(pid, &entry.stat.comm) => {
                    holders.unreadable.get_or_insert((pid, why));
                }
                // A key agent or a part of the session: never the owner of an agent.
                Err(_) => {}
            }
        }
        Ok(holders)
    }

    fn may_be_an_agent(&self, pid: Pid, comm: &[u8]) -> bool {
        let argv = self.context.host.argv_of(pid).unwrap_or_default();
        let identity = Identity { exe: None, argv: Some(&argv), comm };
        let names = Names::of(&identity);
        let mut profiles = self.context.policy.profiles.iter();
        is_interpreter(comm) || profiles.any(|p| p.programs.find(&names, &argv).is_some())
    }
}
