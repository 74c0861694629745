//! The eight questions, asked in a fixed order; every answer is kept, so that any verdict can be explained.
//!
//! Everything here is pure: a [`Case`] holds what was read of one process and of those around it, and the
//! same case always gives the same findings. Facts come in stages, cheap ones first; a gate whose stage
//! has not been read answers `not-asked`, which never lets anything through.

pub mod grace;
pub mod marker;
pub mod orphan;
pub mod program;
pub mod unclaimed;
pub mod unprotected;
pub mod unsupervised;
pub mod user;

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Pid, ProcId, Scope, Uid, UnitMain, Why};

use crate::config::{Policy, Profile};
use crate::facts::{Fact, Facts};
use crate::sightings::Past;
use crate::verdict::{Answer, Finding, Gate, Verdict, add_up};

/// Who asks: never among the targets, and the measure of "ours".
#[derive(Debug, Clone)]
pub struct Us {
    /// Whose processes may be ended.
    pub scope: Scope,
    /// We and all our ancestors, as far as they can be seen.
    pub lineage: HashSet<Pid>,
    /// Whether that line was followed to its end. With `hidepid` it can break at another user's process.
    pub lineage_complete: bool,
    /// Whether the machine was booted with systemd: then PID 1 is known even where it cannot be seen.
    pub systemd_booted: bool,
}

/// One process above the candidate.
#[derive(Debug, Clone)]
pub struct Elder {
    /// Its number.
    pub pid: Pid,
    /// What could be read of it.
    pub facts: Fact<Facts>,
    /// For an init that runs one command: the child that is that command.
    pub main_child: Option<Fact<Pid>>,
    /// For a marked wrapper: whether it runs, or once ran, several marked children at once. Then it is no wrapper of one
    /// program but the host of several.
    pub is_host: Fact<bool>,
}

/// The line from the candidate's parent upwards, through marked wrappers, to the first other process.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// The parent first. Empty when the parent is outside our PID namespace.
    pub elders: Vec<Elder>,
    /// Whether the candidate has a child that cannot be seen; asked only when our own line is incomplete.
    pub hidden_child: bool,
}

impl Chain {
    /// The wrappers between the candidate and the process that the climb ended at.
    pub fn wrappers(&self) -> impl Iterator<Item = &Elder> {
        self.elders.iter().take(self.elders.len().saturating_sub(1))
    }

    /// The wrappers above the candidate that run several marked programs.
    pub fn hosts(&self) -> impl Iterator<Item = ProcId> {
        let hosts = self.elders.iter().filter(|elder| elder.is_host == Ok(true));
        hosts.filter_map(|elder| elder.facts.as_ref().ok()).map(|facts| facts.id)
    }

    /// The process that the climb ended at.
    #[must_use]
    pub fn end(&self) -> Option<&Elder> {
        self.elders.last()
    }
}

/// Whether a process that a lease or an owner's pid names is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is there.
    Alive,
    /// It is not: no process has its number, or another one, or no thread of it is left.
    Dead,
}

/// What a session or group leader says about the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// There is none any more.
    Gone,
    /// It lives and has none of the candidate's markers.
    Unmarked,
    /// It lives and is marked, and would go as the candidate would.
    Goes,
    /// It lives, is marked, and would stay, for this reason: the candidate is its.
    Stays(String),
}

/// One sign that somebody may own the candidate, with what was found.
#[derive(Debug, Clone)]
pub enum Claim {
    /// The lease in `REAPER_OWNER`.
    Lease(Pid, Fact<Life>),
    /// The pid in the profile's `owner-pid-env`.
    OwnerPid(String, Pid, Fact<Life>),
    /// An owner variable that is there and cannot be understood.
    Unreadable(String),
    /// The leader of its session or of its process group.
    Leader(&'static str, Pid, Fact<Leader>),
    /// PID 1, which adopted it and may be an agent of its profile.
    Init(Fact<Leader>),
    /// The agent that it was last seen below, when it still was in its place.
    Agent(Pid, Fact<Leader>),
}

/// What takes longest to ask, and is asked only when nothing else spares the candidate.
#[derive(Debug, Clone)]
pub struct Finalist {
    /// For each service that it or a wrapper above it is in: the processes that the service calls its own.
    pub units: Vec<Fact<UnitMain>>,
    /// The jobs of a service manager that knows them by their pids alone.
    pub jobs: Fact<Arc<Vec<UnitMain>>>,
    /// A live process that holds the same `owner-env` value and would stay, with the reason; the outer `None` when its
    /// profile names no such variable or it has none.
    pub holder: Option<Fact<Option<(Pid, String)>>>,
}

/// What protects a process beside its own name and environment. It takes longest to read, and so is read last.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// The desktop scope that was made for it, if it is in one.
    pub own_scope: Option<String>,
    /// What it accepts connections on that others can know, in words; the outer `None` where that protects nothing.
    pub listens: Option<Fact<Option<String>>>,
    /// What spares it from below, in words; the outer `None` where nothing below it can.
    pub below: Option<Fact<Option<String>>>,
}

/// Everything known about one process.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The settings.
    pub policy: &'a Policy,
    /// Who asks.
    pub us: &'a Us,
    /// The process.
    pub facts: &'a Facts,
    /// Second stage.
    pub chain: Option<&'a Chain>,
    /// Third stage.
    pub claims: Option<&'a [Claim]>,
    /// Fourth stage.
    pub finalist: Option<&'a Finalist>,
    /// Last stage.
    pub guards: Option<&'a Guards>,
    /// What earlier looks saw of it.
    pub past: Past,
    /// In which capacity it is judged.
    pub how: How<'a>,
}

/// What every member of a tree must have in common with the orphan that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kin<'a> {
    /// The profiles that the orphan was judged under; one of them must have marked the member too.
    pub profiles: &'a [String],
    /// The orphan's user.
    pub uid: Option<Uid>,
}

/// In which capacity a process is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How<'a> {
    /// By itself, and only as far as it takes to decide.
    Candidate,
    /// By itself, with as many gates answered as can be.
    Explained,
    /// As an orphan in the process group of another, whatever its program.
    GroupMember(Kin<'a>),
    /// As a wrapper or a descendant of an orphan.
    Member(Kin<'a>),
}

impl<'a> How<'a> {
    /// Whom a member of a tree is judged with.
    #[must_use]
    pub const fn kin(self) -> Option<Kin<'a>> {
        match self {
            Self::Candidate | Self::Explained => None,
            Self::GroupMember(kin) | Self::Member(kin) => Some(kin),
        }
    }
}

/// The next stage of facts that a judgement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// [`Case::chain`].
    Chain,
    /// [`Case::claims`].
    Claims,
    /// [`Case::finalist`].
    Finalist,
    /// [`Case::guards`].
    Guards,
}

/// What the gates made of a case.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// One finding for each gate, in order.
    pub findings: Vec<Finding>,
    /// Their sum.
    pub verdict: Verdict,
    /// The gate that decided.
    pub decided_by: Gate,
    /// The profiles whose program and marker both match; the first one is named in reports.
    pub profiles: Vec<&'a Profile>,
    /// Facts that could still change the verdict.
    pub needs: Option<Needs>,
}

/// Asks every gate that the case has facts for.
#[must_use]
pub fn judge<'a>(case: &Case<'a>) -> Judged<'a> {
    let (program, named) = program::ask(case);
    let (marker, profiles) = match named.as_slice() {
        [] if case.how == How::Explained => {
            let all: Vec<&Profile> = case.policy.profiles().iter().collect();
            (marker::ask(case, &all).0, Vec::new())
        }
        named => marker::ask(case, named),
    };
    let orphan = orphan::ask(case);
    // Time counts for an orphan only; of any other process it would say something odd.
    let grace = if orphan.answer == Answer::Yes { grace::ask(case) } else { Finding::not_asked(Gate::Grace) };
    let findings = vec![
        user::ask(case),
        program,
        orphan,
        marker,
        unsupervised::ask(case, &profiles),
        unclaimed::ask(case),
        unprotected::ask(case, &profiles),
        grace,
    ];
    let left = case.policy.grace().saturating_sub(case.past.seen_for);
    let (verdict, decided_by) = add_up(&findings, left);
    let needs = if verdict == Verdict::Spare && case.how != How::Explained {
        None
    } else if case.chain.is_none() {
        Some(Needs::Chain)
    } else if case.claims.is_none() {
        Some(Needs::Claims)
    } else if case.finalist.is_none() {
        Some(Needs::Finalist)
    } else if case.guards.is_none() {
        Some(Needs::Guards)
    } else {
        None
    };
    let findings = if case.how == How::Explained { findings } else { short(findings, verdict) };
    Judged { findings, verdict, decided_by, profiles, needs }
}

/// The gates that a descendant of an orphan must pass by itself: its parent is alive, so it is no orphan,
/// and it is ended as part of the tree or not at all.
#[must_use]
pub fn judge_member<'a>(case: &Case<'a>) -> Vec<Finding> {
    let profiles = case.how.kin().map_or(&[][..], |kin| kin.profiles);
    let candidates: Vec<&'a Profile> =
        case.policy.profiles().iter().filter(|p| profiles.contains(&p.name)).collect();
    let (marker, _) = marker::ask(case, &candidates);
    // What these profiles protect and keep, they do whether or not the member carries their marker.
    vec![
        user::ask(case),
        marker,
        unsupervised::keeps(case.policy, case.facts, &candidates),
        unprotected::ask(case, &candidates),
    ]
}

/// Whether every one of a member's findings is `yes`.
#[must_use]
pub fn all_pass(findings: &[Finding]) -> bool {
    !findings.is_empty() && findings.iter().all(|f| f.answer == Answer::Yes)
}

/// A reading of somebody else's facts, in words.
fn could_not(what: &str, why: &Why) -> String {
    format!("{what} cannot be read: {why}")
}

/// Once something spares a process, later questions are idle: they are reported as not asked, so that
/// the report does not depend on how far the facts happened to be read.
fn short(mut findings: Vec<Finding>, verdict: Verdict) -> Vec<Finding> {
    if verdict == Verdict::Spare {
        let deciding = findings.iter().position(|f| f.answer == Answer::No).unwrap_or(findings.len());
        for later in findings.iter_mut().skip(deciding + 1) {
            if later.answer != Answer::No {
                *later = Finding::not_asked(later.gate);
            }
        }
    }
    findings
}
