//! Everything that the gates know of one process: what was read of it, and of the processes around it.
//!
//! Facts come in stages, cheap ones first; a stage that was not read is `None`.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Pid, ProcId, Scope, Uid, UnitMain, Why};

use crate::facts::{Fact, Facts};
use crate::past::Past;
use crate::policy::Policy;

/// Who asks: never among the targets, and the measure of "ours".
#[derive(Debug, Clone)]
pub struct SelfProcess {
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
pub struct Ancestor {
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
    pub ancestors: Vec<Ancestor>,
    /// Whether the candidate has a child that cannot be seen; asked only when our own line is incomplete.
    pub hidden_child: bool,
}

impl Chain {
    /// The wrappers between the candidate and the process that the climb ended at.
    pub fn wrappers(&self) -> impl Iterator<Item = &Ancestor> {
        self.ancestors.iter().take(self.ancestors.len().saturating_sub(1))
    }

    /// The wrappers above the candidate that run several marked programs.
    pub fn hosts(&self) -> impl Iterator<Item = ProcId> {
        let hosts = self.ancestors.iter().filter(|ancestor| ancestor.is_host == Ok(true));
        hosts.filter_map(|ancestor| ancestor.facts.as_ref().ok()).map(|facts| facts.id)
    }

    /// The process that the climb ended at.
    #[must_use]
    pub fn end(&self) -> Option<&Ancestor> {
        self.ancestors.last()
    }
}

/// Whether a process that a lease or an owner's pid names is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
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
    Lease(Pid, Fact<Liveness>),
    /// The pid in the profile's `owner-pid-env`.
    OwnerPid(String, Pid, Fact<Liveness>),
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
pub struct SlowFacts {
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
    pub own: &'a SelfProcess,
    /// The process.
    pub facts: &'a Facts,
    /// Second stage.
    pub chain: Option<&'a Chain>,
    /// Third stage.
    pub claims: Option<&'a [Claim]>,
    /// Fourth stage.
    pub slow_facts: Option<&'a SlowFacts>,
    /// Last stage.
    pub guards: Option<&'a Guards>,
    /// What earlier looks saw of it.
    pub past: Past,
    /// In which capacity it is judged.
    pub how: Capacity<'a>,
}

/// What every member of a tree must have in common with the orphan that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeContext<'a> {
    /// The profiles that the orphan was judged under; one of them must have marked the member too.
    pub profiles: &'a [String],
    /// The orphan's user.
    pub uid: Option<Uid>,
}

/// In which capacity a process is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity<'a> {
    /// By itself, and only as far as it takes to decide.
    Candidate,
    /// By itself, with as many gates answered as can be.
    Explained,
    /// As an orphan in the process group of another, whatever its program.
    GroupMember(TreeContext<'a>),
    /// As a wrapper or a descendant of an orphan.
    Member(TreeContext<'a>),
}

impl<'a> Capacity<'a> {
    /// Whom a member of a tree is judged with.
    #[must_use]
    pub const fn tree_context(self) -> Option<TreeContext<'a>> {
        match self {
            Self::Candidate | Self::Explained => None,
            Self::GroupMember(tree_context) | Self::Member(tree_context) => Some(tree_context),
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
    /// [`Case::slow_facts`].
    SlowFacts,
    /// [`Case::guards`].
    Guards,
}

/// A reading of somebody else's facts, in words.
pub(crate) fn could_not(what: &str, why: &Why) -> String {
    format!("{what} cannot be read: {why}")
}
