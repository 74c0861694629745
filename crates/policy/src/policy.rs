//! The settings that decisions depend on: merged and validated by the config, immutable afterwards.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::browser::is_throw_away_browser;
use crate::builtin_profiles::{AGENTS, BUILT_IN, KEEP_ARGS, KEEP_ENV};
use crate::profile::{KeepArgs, List, Marker, Profile, ProgramRule};
use crate::program::{self, Identity, Match, Names};
use crate::protected::{self, PROTECTED, WRAPPERS};

/// How far a verdict about one process reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The process and its wrappers.
    Process,
    /// Its descendants and group members too, each judged by itself.
    Tree,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Tree => "tree",
        })
    }
}

/// The settings that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Time between two sweeps of the service.
    pub interval: Duration,
    /// How long a process must have been seen orphaned.
    pub grace: Duration,
    /// Time from SIGTERM to SIGKILL.
    pub term_timeout: Duration,
    /// Time to wait for the end after SIGKILL.
    pub kill_timeout: Duration,
    /// How far a verdict reaches.
    pub reach: Reach,
    /// Most processes ended in one sweep.
    pub max_targets: NonZeroUsize,
    /// Whether helpers that accept connections are kept, for a profile that does not say so itself.
    pub keep_listeners: bool,
    /// The profiles in force, in the order they are asked.
    pub profiles: Vec<Profile>,
    /// Programs that are never touched: the built-in ones, then the user's.
    pub protect: Vec<String>,
    /// Subreaper programs named by the user.
    pub adopters: Vec<String>,
    /// Programs that only start another and wait for it.
    pub wrappers: Vec<String>,
    /// Agents and adapters by name, also those of profiles that are not in force.
    pub agents: List<ProgramRule>,
    /// Arguments by which agents mark daemons they started on purpose; they hold for every profile.
    pub keep_args: List<KeepArgs>,
    /// Variables by which agents mark daemons they started on purpose; they hold for every profile.
    pub keep_env: List<Marker>,
}

const MAX_TARGETS: NonZeroUsize = match NonZeroUsize::new(256) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// The defaults, without any file, variable or flag.
impl Default for Policy {
    fn default() -> Self {
        let on = BUILT_IN.iter().filter(|built_in| built_in.default);
        Self {
            interval: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            term_timeout: Duration::from_secs(10),
            kill_timeout: Duration::from_secs(5),
            reach: Reach::Tree,
            max_targets: MAX_TARGETS,
            keep_listeners: true,
            profiles: on.map(|built_in| built_in.profile.clone()).collect(),
            protect: PROTECTED.iter().map(|(name, _)| (*name).to_owned()).collect(),
            adopters: Vec::new(),
            wrappers: WRAPPERS.map(str::to_owned).to_vec(),
            agents: List::Borrowed(AGENTS),
            keep_args: List::Borrowed(KEEP_ARGS),
            keep_env: List::Borrowed(KEEP_ENV),
        }
    }
}

impl Policy {
    /// The protected program a process is, if it is one.
    #[must_use]
    pub fn protected<'a>(&self, identity: &Identity<'a>) -> Option<Match<'_, 'a>> {
        program::find_protected(identity, self.protect.iter().map(String::as_str))
    }

    /// The program that is protected under a profile for any program, if a process is one. Never an agent, nor an MCP
    /// server that is named after what it speaks to (`postgres-mcp`), nor a browser that no person can be using.
    #[must_use]
    pub fn protected_in_any<'a>(
        &self,
        identity: &Identity<'a>,
        argv: &[Vec<u8>],
    ) -> Option<Match<'static, 'a>> {
        let named = |rules: &'static [(&str, &str)]| rules.iter().map(|(name, _)| *name);
        let found = program::find_protected(identity, named(protected::PROTECTED_IN_ANY))
            .or_else(|| program::find_protected(identity, protected::BROWSERS))?;
        let names = Names::of(identity);
        let is_ended_for_its_own_sake = self.is_agent(&names, argv)
            || names.iter().any(|name| program::has_word_mcp(name.bytes))
            || is_throw_away_browser(identity, argv);
        (!is_ended_for_its_own_sake).then_some(found)
    }

    /// Whether a process is an agent, its adapter or its harness, not one of their helpers.
    #[must_use]
    pub fn is_agent(&self, names: &Names<'_>, argv: &[Vec<u8>]) -> bool {
        let named = self.agents.iter().chain(self.profiles.iter().flat_map(|p| p.programs.rules()));
        let mut agents = named.filter(|rule| !rule.is_helper && rule.accepts_args(argv));
        agents.any(|rule| program::find(names, [&*rule.name]).is_some())
    }

    /// Whether a process only starts another program and waits for it.
    #[must_use]
    pub fn is_wrapper(&self, identity: &Identity<'_>) -> bool {
        program::find_word(identity, self.wrappers.iter().map(String::as_str)).is_some()
    }
}
