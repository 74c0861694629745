//! From a pid to a judgement: reads facts stage by stage, and asks the gates after each.
//!
//! The gates are pure; this is where their questions meet the machine. A [`Looker`] keeps what it read of
//! parents, leaders and units for the length of one look around, so that a thousand orphans of one parent
//! do not read that parent a thousand times. Every new look, and every new judgement before a signal, is
//! made with a new one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reaper_platform::{
    EnvironScan, Host, Pid, Pinned, ProcId, RuntimeUnit, Scope, StartTime, Stat, Uid, UnitMain, Wanted, Why,
};

use crate::config::Policy;
use crate::facts::{Fact, Facts};
use crate::gates::{self, Case, Chain, Claim, Elder, Finalist, How, Leader, Life, Needs, Us, marker, orphan};
use crate::owner::{KEEP, Lease, OWNER, SYSTEMD_EXEC_PID};
use crate::program::Names;
use crate::verdict::{Answer, Finding, Gate, Verdict};

mod holders;

/// Longest line of wrappers that is followed.
const MAX_CLIMB: usize = 16;
/// How long a service manager may take to answer.
const UNIT_LIMIT: Duration = Duration::from_secs(3);

/// What became of one process under the gates; owned, so that it can outlive the look.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Which process.
    pub id: ProcId,
    /// Its cheap facts when it was judged.
    pub stat: Stat,
    /// Its real user.
    pub uid: Option<Uid>,
    /// The name it is reported under, as the kernel gave it.
    pub program: Vec<u8>,
    /// Its program file, where that could be read.
    pub exe: Option<Vec<u8>>,
    /// The profiles whose program and marker matched.
    pub profiles: Vec<String>,
    /// The marker's name.
    pub marker: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The gate that decided.
    pub decided_by: Gate,
    /// Every gate's finding.
    pub findings: Vec<Finding>,
    /// The wrappers above it that go with it, innermost first.
    pub wrappers: Vec<Wrapper>,
    /// How long it has been seen orphaned.
    pub seen_for: Duration,
    /// Whether it is a marked wrapper, so that what it wraps must be looked at too.
    pub is_wrapper: bool,
}

/// A wrapper above an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// Which process.
    pub id: ProcId,
    /// The name it is reported under.
    pub program: Vec<u8>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// Its process group.
    pub group: Option<Pid>,
}

impl Judgement {
    /// The deciding gate's evidence.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.findings.iter().find(|f| f.gate == self.decided_by).map_or("", |f| f.evidence.as_str())
    }

    /// The answer of one gate.
    #[must_use]
    pub fn answer(&self, gate: Gate) -> Answer {
        self.findings.iter().find(|f| f.gate == gate).map_or(Answer::NotAsked, |f| f.answer)
    }

    /// Whether everything but time and doubt says orphan: these are the ones whose sightings count.
    #[must_use]
    pub const fn is_orphan(&self) -> bool {
        matches!(self.verdict, Verdict::Reap | Verdict::Wait(_))
    }
}

impl Wrapper {
    fn of(facts: &Facts) -> Self {
        Self {
            id: facts.id,
            program: facts.stat.comm.clone(),
            rss_bytes: facts.stat.rss_bytes,
            group: facts.stat.pgrp,
        }
    }
}

/// The variables that any gate asks about.
#[must_use]
pub fn wanted(policy: &Policy) -> Wanted {
    let mut names: Vec<String> = Vec::new();
    for profile in policy.profiles() {
        names.extend(profile.markers.iter().chain(&profile.require).map(|m| m.name.clone()));
        names.extend(profile.owner_env.clone());
        names.extend(profile.owner_pid_env.clone());
    }
    names.extend(policy.keep_env().iter().map(|m| m.name.clone()));
    names.extend([OWNER, KEEP, SYSTEMD_EXEC_PID].map(str::to_owned));
    Wanted::new(names)
}

/// Follows our own line upwards.
#[must_use]
pub fn us<H: Host>(host: &H, scope: Scope) -> Us {
    let mut lineage = HashSet::new();
    let mut at = Some(host.here().pid);
    let mut lineage_complete = true;
    while let Some(pid) = at.filter(|pid| lineage.insert(*pid)) {
        at = match host.glance(pid) {
            Ok(stat) => stat.ppid,
            Err(_) => {
                lineage_complete = pid == Pid::INIT;
                None
            }
        };
    }
    Us { scope, lineage, lineage_complete, systemd_booted: host.here().systemd_booted }
}

/// One look around with fresh eyes.
pub struct Looker<H: Host> {
    ground: Ground<H>,
    seen: Mutex<Seen>,
}

/// What every look stands on: the machine, the settings, and who we are.
pub struct Ground<H: Host> {
    /// The machine.
    pub host: Arc<H>,
    /// The settings.
    pub policy: Arc<Policy>,
    /// Who asks.
    pub us: Arc<Us>,
    /// The variables to look for.
    pub wanted: Arc<Wanted>,
}

impl<H: Host> Clone for Ground<H> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            policy: Arc::clone(&self.policy),
            us: Arc::clone(&self.us),
            wanted: Arc::clone(&self.wanted),
        }
    }
}

impl<H: Host> Ground<H> {
    /// Looks at ourselves and at the settings.
    #[must_use]
    pub fn new(host: Arc<H>, policy: Arc<Policy>, scope: Scope) -> Self {
        let (us, wanted) = (Arc::new(us(&*host, scope)), Arc::new(wanted(&policy)));
        Self { host, policy, us, wanted }
    }
}

impl<H: Host> std::ops::Deref for Looker<H> {
    type Target = Ground<H>;

    fn deref(&self) -> &Ground<H> {
        &self.ground
    }
}

#[derive(Default)]
struct Seen {
    elders: HashMap<Pid, Elder>,
    units: HashMap<RuntimeUnit, Fact<UnitMain>>,
    holders: HashMap<Uid, Fact<holders::Holders>>,
}

impl<H: Host> Looker<H> {
    /// Starts a look.
    #[must_use]
    pub fn new(ground: &Ground<H>) -> Self {
        Self { ground: ground.clone(), seen: Mutex::default() }
    }

    /// Whether a first look at a process's environment leaves anything to judge: a marker, or a block
    /// that could not be trusted. An unmarked process is of no interest, whatever else it is.
    #[must_use]
    pub fn is_interesting(&self, first: &Fact<EnvironScan>) -> bool {
        match first {
            Ok(scan) if scan.is_intact_and_empty() => false,
            Ok(scan) if scan.condition == reaper_platform::Condition::Intact => {
                let mut markers = self.policy.profiles().iter().flat_map(|p| &p.markers);
                markers.any(|m| scan.get(m.name.as_bytes()).is_some())
            }
            Ok(_) => true,
            Err(Why::Gone | Why::Exiting) => false,
            Err(_) => true,
        }
    }

    /// Judges a pinned process. `seen_for` tells how long a process has been seen orphaned.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge(
        &self,
        process: &H::Pinned,
        how: How<'_>,
        seen_for: impl Fn(&ProcId) -> Duration,
    ) -> Fact<Judgement> {
        let mut facts = Facts::read(process, &self.wanted)?;
        let seen_for = seen_for(&facts.id);
        let (mut chain, mut claims, mut finalist) = (None, None, None);
        loop {
            let case = Case {
                policy: &self.policy,
                us: &self.us,
                facts: &facts,
                chain: chain.as_ref(),
                claims: claims.as_deref(),
                finalist: finalist.as_ref(),
                seen_for,
                how,
            };
            let judged = gates::judge(&case);
            match judged.needs {
                Some(Needs::Chain) => {
                    let (climbed, stat) = self.climb_afresh(process, &facts)?;
                    facts.stat = stat;
                    chain = Some(climbed);
                }
                Some(Needs::Claims) => claims = Some(self.claims(&case, &judged.profiles)),
                Some(Needs::Finalist) => finalist = Some(self.finalist(&case, &judged.profiles)),
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
        let facts = Facts::without_memory(&self.host.pin(pid)?, why)?;
        let case = Case {
            policy: &self.policy,
            us: &self.us,
            facts: &facts,
            chain: None,
            claims: None,
            finalist: None,
            seen_for: Duration::ZERO,
            how: How::Candidate,
        };
        Ok(Self::conclude(&case, gates::judge(&case)))
    }

    /// The findings of the gates that a member of a tree must pass by itself.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn judge_member(&self, process: &H::Pinned, root_profiles: &[String]) -> Fact<(Facts, Vec<Finding>)> {
        let facts = Facts::read(process, &self.wanted)?;
        let chain = Chain { elders: Vec::new(), hidden_child: self.hidden_child(facts.pid()) };
        let case = Case {
            policy: &self.policy,
            us: &self.us,
            facts: &facts,
            chain: Some(&chain),
            claims: None,
            finalist: None,
            seen_for: Duration::ZERO,
            how: How::Candidate,
        };
        let findings = gates::judge_member(&case, root_profiles);
        Ok((facts, findings))
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
            profiles: judged.profiles.iter().map(|p| p.name.clone()).collect(),
            verdict: judged.verdict,
            decided_by: judged.decided_by,
            findings: judged.findings,
            wrappers: wrappers.filter_map(|w| w.facts.as_ref().ok()).map(Wrapper::of).collect(),
            seen_for: case.seen_for,
            is_wrapper: orphan::is_marked_wrapper(facts, case.policy),
            stat: facts.stat.clone(),
        }
    }

    /// Climbs, and starts again when the parent died on the way.
    fn climb_afresh(&self, process: &H::Pinned, facts: &Facts) -> Fact<(Chain, Stat)> {
        let mut stat = facts.stat.clone();
        let uid = facts.ids.as_ref().ok().map(|ids| ids.real);
        for _ in 0..3 {
            let mut chain = self.climb(&stat, uid);
            let now = process.stat()?;
            let same = now.ppid == stat.ppid;
            stat = now;
            if same {
                chain.hidden_child = self.hidden_child(facts.pid());
                return Ok((chain, stat));
            }
        }
        Err(Why::Garbled("its parent changed again and again"))
    }

    fn climb(&self, stat: &Stat, uid: Option<Uid>) -> Chain {
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

    fn elder(&self, pid: Pid) -> Elder {
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
    fn oldest_child(&self, init: Pid) -> Fact<Pid> {
        let children = match self.host.children(init) {
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

    fn hidden_child(&self, pid: Pid) -> bool {
        !self.us.lineage_complete
            && self.host.children(pid).map_or(true, |children| {
                children.iter().any(|c| self.host.owner(*c).is_err() && self.host.exists(*c) != Ok(false))
            })
    }

    fn claims(&self, case: &Case<'_>, profiles: &[&crate::config::Profile]) -> Vec<Claim> {
        let mut claims = Vec::new();
        let facts = case.facts;
        if let Ok(environ) = &facts.environ {
            if environ.get(OWNER.as_bytes()).is_some() {
                let lease = environ.value(OWNER.as_bytes()).and_then(Lease::parse);
                claims.push(match lease.filter(|l| l.boot_id == self.host.here().boot_id) {
                    Some(lease) => {
                        Claim::Lease(lease.pid, self.life(lease.pid, |start| start == lease.start))
                    }
                    None => Claim::Unreadable(OWNER.to_owned()),
                });
            }
            for name in profiles.iter().filter_map(|p| p.owner_pid_env.as_ref()) {
                if environ.get(name.as_bytes()).is_none() {
                    continue;
                }
                claims.push(match environ.value(name.as_bytes()).and_then(Pid::parse) {
                    // Whoever has the number now was there before this process, so it is the one that was meant.
                    Some(pid) if pid != facts.pid() => {
                        let life = self.life(pid, |start| start <= facts.stat.start);
                        Claim::OwnerPid(name.clone(), pid, life)
                    }
                    Some(_) => continue,
                    None => Claim::Unreadable(name.clone()),
                });
            }
        }
        let own: HashSet<Pid> =
            case.chain.into_iter().flat_map(Chain::wrappers).map(|w| w.pid).chain([facts.pid()]).collect();
        let mut leaders = vec![("session", facts.stat.session)];
        if facts.stat.pgrp != facts.stat.session {
            leaders.push(("process group", facts.stat.pgrp));
        }
        for (what, leader) in leaders {
            if let Some(pid) = leader.filter(|pid| !own.contains(pid)) {
                claims.push(Claim::Leader(what, pid, self.leader(pid, facts, profiles)));
            }
        }
        claims
    }

    fn life(&self, pid: Pid, is_it: impl Fn(StartTime) -> bool) -> Fact<Life> {
        match self.host.glance(pid) {
            Ok(stat) if stat.state.is_dead() || !is_it(stat.start) => Ok(Life::Dead),
            Ok(_) => Ok(Life::Alive),
            Err(Why::Gone) if !self.host.exists(pid)? => Ok(Life::Dead),
            Err(Why::Gone) => Err(Why::Denied),
            Err(why) => Err(why),
        }
    }

    fn leader(&self, pid: Pid, of: &Facts, profiles: &[&crate::config::Profile]) -> Fact<Leader> {
        let facts = match self.elder(pid).facts {
            Ok(facts) if facts.stat.state.is_dead() => return Ok(Leader::Gone),
            Ok(facts) => facts,
            Err(Why::Gone) if !self.host.exists(pid)? => return Ok(Leader::Gone),
            // An owner is one of the user's own processes; those are never hidden from the user.
            Err(Why::Gone | Why::Denied) => return Ok(Leader::Unmarked),
            Err(why) => return Err(why),
        };
        let uid = |f: &Facts| f.ids.as_ref().map(|ids| ids.real).map_err(Clone::clone);
        if uid(&facts)? != uid(of)? {
            return Ok(Leader::Unmarked);
        }
        match &facts.environ {
            Ok(environ) => match environ.condition {
                reaper_platform::Condition::Garbled(how) => return Err(Why::Garbled(how)),
                reaper_platform::Condition::Intact => {
                    if !profiles.iter().any(|p| marker::carries(p, environ)) {
                        return Ok(Leader::Unmarked);
                    }
                }
            },
            Err(Why::Gone | Why::Exiting) => return Ok(Leader::Gone),
            Err(why) => return Err(why.clone()),
        }
        self.is_rooted(&facts).map(|rooted| if rooted { Leader::Owner } else { Leader::Orphan })
    }

    /// Whether a process is in its place: its parent lives, or a service manager runs it.
    fn is_rooted(&self, facts: &Facts) -> Fact<bool> {
        let chain = self.climb(&facts.stat, facts.ids.as_ref().ok().map(|ids| ids.real));
        let finalist = Finalist { units: self.units(facts, &chain), holders: None };
        let case = Case {
            policy: &self.policy,
            us: &self.us,
            facts,
            chain: Some(&chain),
            claims: Some(&[]),
            finalist: Some(&finalist),
            seen_for: Duration::ZERO,
            how: How::Candidate,
        };
        match (orphan::ask(&case).answer, gates::unsupervised::ask(&case, &[]).answer) {
            (Answer::No, _) | (Answer::Yes, Answer::No) => Ok(true),
            (Answer::Yes, Answer::Yes) => Ok(false),
            // A parent that may have started it is taken for one that did: that spares.
            (Answer::Unknown, _) => Ok(true),
            _ => Err(Why::Garbled("whether a service manager runs it cannot be told")),
        }
    }

    fn finalist(&self, case: &Case<'_>, profiles: &[&crate::config::Profile]) -> Finalist {
        let empty = Chain::default();
        let units = self.units(case.facts, case.chain.unwrap_or(&empty));
        Finalist { units, holders: self.holders(case.facts, profiles) }
    }

    fn units(&self, facts: &Facts, chain: &Chain) -> Vec<Fact<UnitMain>> {
        let line = std::iter::once(facts).chain(chain.wrappers().filter_map(|w| w.facts.as_ref().ok()));
        let services: HashSet<RuntimeUnit> = line
            .filter_map(|f| f.unit.as_ref().ok()?.clone())
            .filter(|unit| unit.name.ends_with(".service"))
            .collect();
        services.into_iter().map(|unit| self.unit_main(unit)).collect()
    }

    fn unit_main(&self, unit: RuntimeUnit) -> Fact<UnitMain> {
        if let Some(known) = self.lock().units.get(&unit) {
            return known.clone();
        }
        let asked = self.host.unit_mains(std::slice::from_ref(&unit), UNIT_LIMIT);
        let answer = match asked {
            Ok(mains) => mains.into_iter().next().ok_or(Why::Garbled("the service manager did not answer")),
            Err(e) => Err(e.why),
        };
        self.lock().units.insert(unit, answer.clone());
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
