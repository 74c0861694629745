//! From a pid to a judgement: reads facts stage by stage, and evaluates the gates after each.
//!
//! The gates are pure; this module reads the facts for them. An [`Inspector`] caches what it read of parents, leaders
//! and units, so that a parent with a thousand orphans is read once. Every sweep, and every judgement before a signal,
//! uses a new one.

use std::sync::Arc;

use reaper_platform::{Condition, EnvironScan, Host, Pid, ProcId, Uid, Why};

use crate::context::Context;
use reaper_policy::case::{Capacity, Case, Chain, Guards, Needs, SlowFacts, TreeContext};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates;
use reaper_policy::gates::{marker, orphan};
use reaper_policy::judgement::{Judgement, Wrapper};
use reaper_policy::past::Past;
use reaper_policy::profile::Profile;
use reaper_policy::program::Names;
use reaper_policy::verdict::Finding;

mod ancestry;
mod cache;
mod children;
mod guards;
mod owner_values;
mod owners;
mod read;
mod services;
mod stays;

use ancestry::Ancestry;
use children::Children;
use guards::GuardReader;
use owner_values::OwnerValues;
use owners::Owners;
use services::Services;
use stays::Stays;

/// Inspects processes, with caches that last for one sweep or one judgement before a signal.
pub struct Inspector<H: Host> {
    /// The machine, the settings and reaper's own process.
    pub context: Context<H>,
    children: Arc<Children<H>>,
    ancestry: Arc<Ancestry<H>>,
    services: Arc<Services<H>>,
    owners: Owners<H>,
    owner_values: OwnerValues<H>,
    guards: GuardReader<H>,
}

impl<H: Host> Inspector<H> {
    /// A new inspector with empty caches.
    #[must_use]
    pub fn new(context: &Context<H>) -> Self {
        let children = Arc::new(Children::new(context));
        let ancestry = Arc::new(Ancestry::new(context, &children));
        let services = Arc::new(Services::new(context));
        let stays = Arc::new(Stays::new(context, &ancestry, &services));
        Self {
            context: context.clone(),
            owners: Owners::new(context, &ancestry, &stays),
            owner_values: OwnerValues::new(context, &ancestry, &stays),
            guards: GuardReader::new(context, &children, &ancestry),
            children,
            ancestry,
            services,
        }
    }

    /// Whether a process needs judging after its environment was scanned: it has a marker, or its environment cannot be
    /// trusted. An unmarked process is of no interest, whatever else it is.
    #[must_use]
    pub fn is_interesting(&self, first: &Fact<EnvironScan>) -> bool {
        match first {
            Ok(scan) if scan.is_intact_and_empty() => false,
            Ok(scan) if scan.condition == Condition::Intact => {
                let mut markers = self.context.policy.profiles.iter().flat_map(|p| p.markers.iter());
                markers.any(|m| scan.get(m.name.as_bytes()).is_some())
            }
            Ok(_) => true,
            Err(Why::Gone | Why::Exiting) => false,
            Err(_) => true,
        }
    }

    /// Judges a process through its handle. `past` returns the sightings of a process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge(
        &self,
        process: &H::ProcessHandle,
        how: Capacity<'_>,
        past: impl Fn(&ProcId) -> Past,
    ) -> Fact<Judgement> {
        let mut facts = read::facts(process, &self.context.wanted)?;
        let remembered = |id: &ProcId| past(id);
        let past = past(&facts.id);
        let (mut chain, mut claims, mut slow_facts, mut guards) = (None, None, None, None);
        loop {
            let case = Case {
                policy: &self.context.policy,
                own: &self.context.own,
                facts: &facts,
                chain: chain.as_ref(),
                claims: claims.as_deref(),
                slow_facts: slow_facts.as_ref(),
                guards: guards.as_ref(),
                past,
                how,
            };
            let judged = gates::judge(&case);
            match judged.needs {
                Some(Needs::Chain) => {
                    let (climbed, stat) = self.ancestry.climb_afresh(process, &facts, &remembered)?;
                    facts.stat = stat;
                    chain = Some(climbed);
                }
                Some(Needs::Claims) => claims = Some(self.owners.claims(&case, &judged.profiles)),
                Some(Needs::SlowFacts) => slow_facts = Some(self.slow_facts(&case, &judged.profiles)),
                Some(Needs::Guards) => {
                    guards = Some(self.guards.read(process, &facts, chain.as_ref(), &judged.profiles));
                }
                None => return Ok(Self::conclude(&case, judged)),
            }
        }
    }

    /// Judges a process that cannot be read in full, by the facts that need no process's memory. The verdict is never
    /// `reap`.
    ///
    /// # Errors
    /// When not even those can be read, or the process is gone.
    pub fn judge_unread(&self, pid: Pid, why: &Why) -> Fact<Judgement> {
        let facts = read::without_memory(&self.context.host.open(pid)?, why)?;
        let case = Case {
            policy: &self.context.policy,
            own: &self.context.own,
            facts: &facts,
            chain: None,
            claims: None,
            slow_facts: None,
            guards: Some(&Guards::default()),
            past: Past::default(),
            how: Capacity::Candidate,
        };
        Ok(Self::conclude(&case, gates::judge(&case)))
    }

    /// The findings of the gates that a member of a tree must pass by itself.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge_member(
        &self,
        process: &H::ProcessHandle,
        tree_context: TreeContext<'_>,
    ) -> Fact<(Facts, Vec<Finding>)> {
        let facts = read::facts(process, &self.context.wanted)?;
        let chain =
            Chain { ancestors: Vec::new(), hidden_child: self.children.has_hidden_child(facts.pid()) };
        let profiles: Vec<&Profile> = self
            .context
            .policy
            .profiles
            .iter()
            .filter(|p| tree_context.profiles.iter().any(|name| *name == p.name))
            .collect();
        let guards = self.guards.read(process, &facts, None, &profiles);
        let case = Case {
            policy: &self.context.policy,
            own: &self.context.own,
            facts: &facts,
            chain: Some(&chain),
            claims: None,
            slow_facts: None,
            guards: Some(&guards),
            past: Past::default(),
            how: Capacity::Member(tree_context),
        };
        let findings = gates::judge_member(&case);
        Ok((facts, findings))
    }

    /// The display name of a process that may be an adopter, and its kind for an orphan of `uid`.
    #[must_use]
    pub fn adopter(&self, pid: Pid, uid: Option<Uid>) -> (String, orphan::Kind) {
        self.ancestry.adopter(pid, uid)
    }

    fn conclude(case: &Case<'_>, judged: gates::Judged<'_>) -> Judgement {
        let facts = case.facts;
        let names = Names::of(&facts.identity());
        let marker = judged.profiles.first().zip(facts.environ.as_ref().ok());
        let wrappers = case.chain.into_iter().flat_map(Chain::wrappers);
        Judgement {
            id: facts.id,
            uid: facts.ids.as_ref().ok().map(|ids| ids.real),
            program: names.first().map_or(facts.stat.comm.as_slice(), |n| n.bytes).to_vec(),
            exe: facts.exe.clone().ok(),
            marker: marker.and_then(|(p, environ)| marker::shown(p, environ)).map(str::to_owned),
            profiles: judged.profiles.iter().map(|p| p.name.to_string()).collect(),
            verdict: judged.verdict,
            decided_by: judged.decided_by,
            findings: judged.findings,
            wrappers: wrappers.filter_map(|w| w.facts.as_ref().ok()).map(Wrapper::of).collect(),
            hosts: case.chain.into_iter().flat_map(Chain::hosts).collect(),
            held_by: case.chain.and_then(Chain::end).map(|ancestor| ancestor.pid),
            seen_for: case.past.seen_for,
            is_wrapper: orphan::may_be_marked_wrapper(facts, case.policy, case.own.scope),
            stat: facts.stat.clone(),
        }
    }

    fn slow_facts(&self, case: &Case<'_>, profiles: &[&Profile]) -> SlowFacts {
        let empty = Chain::default();
        let units = self.services.units(case.facts, case.chain.unwrap_or(&empty));
        SlowFacts {
            units,
            jobs: self.services.jobs(case.facts),
            holder: self.owner_values.holder(case.facts, profiles),
        }
    }

    /// The children of a process, read once per inspector.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn children_of(&self, pid: Pid) -> Fact<Vec<Pid>> {
        self.children.of(pid)
    }
}
