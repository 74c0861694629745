//! Which service manager runs a process: asked only of those that nothing else spared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, RuntimeUnit, UnitMain, Why};

use super::Looker;
use reaper_policy::case::Chain;
use reaper_policy::facts::{Fact, Facts};

/// How long a service manager may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

impl<H: Host> Looker<H> {
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
        if let Some(known) = self.lock().jobs.get(&uid) {
            return known.clone();
        }
        let answer = self.host.jobs(uid, LIMIT).map(Arc::new).map_err(|e| e.why);
        self.lock().jobs.insert(uid, answer.clone());
        answer
    }

    pub(super) fn unit_main(&self, unit: RuntimeUnit) -> Fact<UnitMain> {
        if let Some(known) = self.lock().units.get(&unit) {
            return known.clone();
        }
        let asked = self.host.unit_mains(std::slice::from_ref(&unit), LIMIT);
        let answer = match asked {
            Ok(mains) => mains.into_iter().next().ok_or(Why::Garbled("the service manager did not answer")),
            Err(e) => Err(e.why),
        };
        self.lock().units.insert(unit, answer.clone());
        answer
    }
}
