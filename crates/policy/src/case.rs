//! The input of the gates for one process: what was read of it and of the processes around it.
//!
//! Facts come in stages, cheap ones first; a stage that was not read is `None`.

use std::collections::HashSet;
use std::sync::Arc;

use reaper_platform::{Pid, ProcId, Scope, Uid, UnitMain, Why};

use crate::facts::{Fact, Facts};
use crate::past::Past;
use crate::policy::Policy;

/// Reaper's own process and scope: never among the targets, and what "ours" is measured by.
#[derive(Debug, Clone)]
pub struct SelfProcess {
    /// The users whose processes may be ended.
    pub scope: Scope,
    /// Reaper and all its ancestors, as far as they are visible.
    pub lineage: HashSet<Pid>,
    /// Whether the line of ancestors was followed to its end. With `hidepid` it can end early at another user's
    /// process.
    pub lineage_complete: bool,
    /// Whether the machine was booted with systemd: PID 1 is then known even where it cannot be read.
    pub systemd_booted: bool,
}

/// One process above the candidate.
#[derive(Debug, Clone)]
pub struct Ancestor {
    /// The process.
    pub pid: Pid,
    /// What could be read of the process.
    pub facts: Fact<Facts>,
    /// For a container init that runs a single command: the pid of that command.
    pub main_child: Option<Fact<Pid>>,
    /// For a marked wrapper: whether it runs, or once ran, several marked children at once. It is then the host of
    /// several programs rather than the wrapper of one.
    pub is_host: Fact<bool>,
}

/// The candidate's ancestors: its parent and on upwards through marked wrappers, up to the first process that is not
/// one.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// The parent first. Empty when the parent is outside our PID namespace.
    pub ancestors: Vec<Ancestor>,
    /// Whether the candidate has a child that cannot be seen; read only when our own line of ancestors is incomplete.
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

/// Whether the process named by a lease or by an owner pid is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is alive.
    Alive,
    /// No process has its pid, another process has it, or none of its threads is left.
    Dead,
}

/// What is known of the leader of the candidate's session or process group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// The leader has exited.
    Gone,
    /// Alive, without any of the candidate's markers.
    Unmarked,
    /// Alive and marked, but would not stay either.
    Goes,
    /// Alive, marked and staying, for this reason: it owns the candidate.
    Stays(String),
}

/// One indication of an owner, with what was found.
#[derive(Debug, Clone)]
pub enum Claim {
    /// The lease in `REAPER_OWNER`.
    Lease(Pid, Fact<Liveness>),
    /// The pid in the profile's `owner-pid-env`.
    OwnerPid(String, Pid, Fact<Liveness>),
    /// An owner variable that is set but cannot be parsed.
    Unreadable(String),
    /// The leader of the candidate's session or process group.
    Leader(&'static str, Pid, Fact<Leader>),
    /// PID 1 as the adopter, which may itself be an agent of the candidate's profile.
    Init(Fact<Leader>),
    /// The agent that was its nearest ancestor before it was orphaned.
    Agent(Pid, Fact<Leader>),
}

/// Facts that are expensive to read; read only when nothing else spares the candidate.
#[derive(Debug, Clone)]
pub struct SlowFacts {
    /// For each service of the candidate or a wrapper above it: the service's main processes.
    pub units: Vec<Fact<UnitMain>>,
    /// The jobs of a service manager that identifies them by pid alone.
    pub jobs: Fact<Arc<Vec<UnitMain>>>,
    /// A live process that has the same `owner-env` value and would stay, with the reason. The outer `None`: the
    /// profile names no such variable, or the candidate does not have it.
    pub holder: Option<Fact<Option<(Pid, String)>>>,
}

/// What protects a process beside its own name and environment. It is the most expensive stage, so it is read last.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// The systemd scope that the desktop made for this process, if there is one.
    pub own_scope: Option<String>,
    /// An address that others can connect to, in words; the outer `None` where listening does not protect.
    pub listens: Option<Fact<Option<String>>>,
    /// A descendant that protects it, in words; the outer `None` where descendants do not protect.
    pub below: Option<Fact<Option<String>>>,
}

/// Everything that the gates may use to judge one process.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The settings.
    pub policy: &'a Policy,
    /// Who asks.
    pub own: &'a SelfProcess,
    /// The process.
    pub facts: &'a Facts,
    /// Second stage: the ancestors.
    pub chain: Option<&'a Chain>,
    /// Third stage: possible owners.
    pub claims: Option<&'a [Claim]>,
    /// Fourth stage: services and holders of the owner value.
    pub slow_facts: Option<&'a SlowFacts>,
    /// Last stage: desktop scope, listening sockets, descendants.
    pub guards: Option<&'a Guards>,
    /// What earlier sweeps recorded about it.
    pub past: Past,
    /// The capacity in which it is judged.
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
    /// By itself, stopping as soon as the verdict is known.
    Candidate,
    /// By itself, with as many gates answered as possible.
    Explained,
    /// As an orphan in the process group of another, whatever its program.
    GroupMember(TreeContext<'a>),
    /// As a wrapper or a descendant of an orphan.
    Member(TreeContext<'a>),
}

impl<'a> Capacity<'a> {
    /// The orphan's context, for a member of its tree.
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

/// Words for a fact that could not be read.
pub(crate) fn could_not(what: &str, why: &Why) -> String {
    format!("{what} cannot be read: {why}")
}
