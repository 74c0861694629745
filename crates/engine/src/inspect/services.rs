//! Queries to service managers, made only for processes that nothing else spared.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reaper_platform::{Host, RuntimeUnit, Uid, UnitMain, Why};

use super::cache::lock;
use crate::context::Context;
use reaper_policy::case::Chain;
use reaper_policy::facts::{Fact, Facts};

/// Time limit for a service manager's answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Queries the service managers.
pub(super) struct Services<H: Host> {
    context: Context<H>,
    units: Mutex<HashMap<RuntimeUnit, Fact<UnitMain>>>,
    jobs: Mutex<HashMap<Uid, Fact<Arc<Vec<UnitMain>>>>>,
}

impl<H: Host> Services<H> {
    pub(super) fn new(context: &Context<H>) -> Self {
        Self { context: context.clone(), units: Mutex::default(), jobs: Mutex::default() }
    }

    /// For each service that a process or a wrapper above it is in: the processes that the service calls its own.
    pub(super) fn units(&self, facts: &Facts, chain: &Chain) -> Vec<Fact<UnitMain>> {
        let line = std::iter::once(facts).chain(chain.wrappers().filter_map(|w| w.facts.as_ref().ok()));
        let mut services = BTreeSet::new();
        let mut unread = Vec::new();
        for unit in line.map(|f| &f.unit) {
            match unit {
                Ok(Some(unit)) if unit.name.ends_with(".service") => {
                    services.insert(unit.clone());
                }
                Ok(_) => {}
                Err(why) => unread.push(Err(why.clone())),
            }
        }
        services.into_iter().map(|unit| self.unit_main(unit)).chain(unread).collect()
    }

    /// The service manager's jobs that may be a process of the same user.
    pub(super) fn jobs(&self, facts: &Facts) -> Fact<Arc<Vec<UnitMain>>> {
        let uid = facts.ids.as_ref().map(|ids| ids.real).map_err(Clone::clone)?;
        if let Some(known) = lock(&self.jobs).get(&uid) {
            return known.clone();
        }
        let answer = self.context.host.jobs(uid, LIMIT).map(Arc::new).map_err(|e| e.why);
        lock(&self.jobs).insert(uid, answer.clone());
        answer
    }

    pub(super) fn unit_main(&self, unit: RuntimeUnit) -> Fact<UnitMain> {
        if let Some(known) = lock(&self.units).get(&unit) {
            return known.clone();
        }
        let asked = self.context.host.unit_mains(std::slice::from_ref(&unit), LIMIT);
        let answer = match asked {
            Ok(mains) => mains.into_iter().next().ok_or(Why::Garbled("the service manager did not answer")),
            Err(e) => Err(e.why),
        };
        lock(&self.units).insert(unit, answer.clone());
        answer
    }
}
