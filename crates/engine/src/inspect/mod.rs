//! From a pid to a judgement: reads facts stage by stage, and asks the gates after each.
//!
//! The gates are pure; this is where their questions meet the machine. A [`Looker`] keeps what it read of
//! parents, leaders and units for the length of one look around, so that a thousand orphans of one parent
//! do not read that parent a thousand times. Every new look, and every new judgement before a signal, is
//! made with a new one.

use std::sync::Arc;

use reaper_platform::{Condition, EnvironScan, Host, Pid, ProcId, Uid, Why};

use crate::context::Ground;
use reaper_policy::case::{Case, Chain, Finalist, Guards, How, Kin, Needs};
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

/// One look around with fresh eyes.
pub struct Looker<H: Host> {
    /// The machine, the settings and who we are.
    pub ground: Ground<H>,
    children: Arc<Children<H>>,
    ancestry: Arc<Ancestry<H>>,
    services: Arc<Services<H>>,
    owners: Owners<H>,
    owner_values: OwnerValues<H>,
    guards: GuardReader<H>,
}

impl<H: Host> Looker<H> {
    /// Starts a look.
    #[must_use]
    pub fn new(ground: &Ground<H>) -> Self {
        let children = Arc::new(Children::new(ground));
        let ancestry = Arc::new(Ancestry::new(ground, &children));
        let services = Arc::new(Services::new(ground));
        let stays = Arc::new(Stays::new(ground, &ancestry, &services));
        Self {
            ground: ground.clone(),
            owners: Owners::new(ground, &ancestry, &stays),
            owner_values: OwnerValues::new(ground, &ancestry, &stays),
            guards: GuardReader::new(ground, &children, &ancestry),
            children,
            ancestry,
            services,
        }
    }

    /// Whether a first look at a process's environment leaves anything to judge: a marker, or a block
    /// that could not be trusted. An unmarked process is of no interest, whatever else it is.
    #[must_use]
    pub fn is_interesting(&self, first: &Fact<EnvironScan>) -> bool {
        match first {
            Ok(scan) if scan.is_intact_and_empty() => false,
            Ok(scan) if scan.condition == Condition::Intact => {
                let mut markers = self.ground.policy.profiles.iter().flat_map(|p| p.markers.iter());
                markers.any(|m| scan.get(m.name.as_bytes()).is_some())
            }
            Ok(_) => true,
            Err(Why::Gone | Why::Exiting) => false,
            Err(_) => true,
        }
    }

    /// Judges a pinned process. `past` tells what earlier looks saw of a process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge(
        &self,
        process: &H::Pinned,
        how: How<'_>,
        past: impl Fn(&ProcId) -> Past,
    ) -> Fact<Judgement> {
        let mut facts = read::facts(process, &self.ground.wanted)?;
        let remembered = |id: &ProcId| past(id);
        let past = past(&facts.id);
        let (mut chain, mut claims, mut finalist, mut guards) = (None, None, None, None);
        loop {
            let case = Case {
                policy: &self.ground.policy,
                us: &self.ground.us,
                facts: &facts,
                chain: chain.as_ref(),
                claims: claims.as_deref(),
                finalist: finalist.as_ref(),
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
                Some(Needs::Finalist) => finalist = Some(self.finalist(&case, &judged.profiles)),
                Some(Needs::Guards) => {
                    guards = Some(self.guards.read(process, &facts, chain.as_ref(), &judged.profiles));
                }
                None => return Ok(Self::conclude(&case, judged)),
            }
        }
    }

    /// Judges a process that cannot be looked at as others are, by what can be read without its memory and
    /// without anybody else's. The verdict is never `reap`.
    ///
    /// # Errors
    /// When not even that can be read, or the process is gone.
    pub fn judge_unread(&self, pid: Pid, why: &Why) -> Fact<Judgement> {
        let facts = read::without_memory(&self.ground.host.pin(pid)?, why)?;
        let case = Case {
            policy: &self.ground.policy,
            us: &self.ground.us,
            facts: &facts,
            chain: None,
            claims: None,
            finalist: None,
            guards: Some(&Guards::default()),
            past: Past::default(),
            how: How::Candidate,
        };
        Ok(Self::conclude(&case, gates::judge(&case)))
    }

    /// The findings of the gates that a member of a tree must pass by itself.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge_member(&self, process: &H::Pinned, kin: Kin<'_>) -> Fact<(Facts, Vec<Finding>)> {
        let facts = read::facts(process, &self.ground.wanted)?;
        let chain = Chain { elders: Vec::new(), hidden_child: self.children.has_hidden_child(facts.pid()) };
        let profiles: Vec<&Profile> = self
            .ground
            .policy
            .profiles
            .iter()
            .filter(|p| kin.profiles.iter().any(|name| *name == p.name))
            .collect();
        let guards = self.guards.read(process, &facts, None, &profiles);
        let case = Case {
            policy: &self.ground.policy,
            us: &self.ground.us,
            facts: &facts,
            chain: Some(&chain),
            claims: None,
            finalist: None,
            guards: Some(&guards),
            past: Past::default(),
            how: How::Member(kin),
        };
        let findings = gates::judge_member(&case);
        Ok((facts, findings))
    }

    /// How a process that may adopt is called, and what it is to an orphan of `uid`.
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
            held_by: case.chain.and_then(Chain::end).map(|elder| elder.pid),
            seen_for: case.past.seen_for,
            is_wrapper: orphan::may_be_marked_wrapper(facts, case.policy, case.us.scope),
            stat: facts.stat.clone(),
        }
    }

    fn finalist(&self, case: &Case<'_>, profiles: &[&Profile]) -> Finalist {
        let empty = Chain::default();
        let units = self.services.units(case.facts, case.chain.unwrap_or(&empty));
        Finalist {
            units,
            jobs: self.services.jobs(case.facts),
            holder: self.owner_values.holder(case.facts, profiles),
        }
    }

    /// The children of a process, read once for a look.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn children_of(&self, pid: Pid) -> Fact<Vec<Pid>> {
        self.children.of(pid)
    }
}
