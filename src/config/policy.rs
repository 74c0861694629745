//! The settings in force: merged, checked, and never changed afterwards.
//!
//! A [`Policy`] is made by [`super::load`] only, so whoever holds one knows that every rule in it holds.

use super::error::Warning;
use super::outputs::Outputs;
use super::profile::{KeepArgs, Marker, Profile, ProgramRule};
use super::rules;
use crate::program::{self, Identity, Match, Names};
use serde::Deserialize;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A config file.
    File(PathBuf),
    /// An environment variable.
    Env(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.to_string_lossy().escape_debug()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// How far a verdict about one process reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) interval: Setting<Duration>,
    pub(super) grace: Setting<Duration>,
    pub(super) term_timeout: Setting<Duration>,
    pub(super) kill_timeout: Setting<Duration>,
    pub(super) reach: Setting<Reach>,
    pub(super) max_targets: Setting<NonZeroUsize>,
    pub(super) keep_listeners: Setting<bool>,
    pub(super) selected: Setting<Vec<String>>,
    pub(super) profiles: Vec<Profile>,
    pub(super) protect: Vec<Setting<String>>,
    pub(super) adopters: Setting<Vec<String>>,
    pub(super) wrappers: Setting<Vec<String>>,
    pub(super) outputs: Outputs,
    /// Agents and adapters by name, also those of profiles that are not in force.
    pub(super) agents: Vec<ProgramRule>,
    pub(super) keep_args: Vec<KeepArgs>,
    pub(super) keep_env: Vec<Marker>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

/// Whether a process is a browser that shows nothing to anybody, or whose profile is made anew each time.
#[must_use]
pub fn is_throw_away_browser(identity: &Identity<'_>, argv: &[Vec<u8>]) -> bool {
    let names = Names::of(identity);
    if program::find(&names, rules::HEADLESS_PROGRAMS).is_some() {
        return true;
    }
    if program::find(&names, rules::BROWSERS).is_none() {
        return false;
    }
    let args = argv.get(1..).unwrap_or_default();
    let is_headless = |arg: &Vec<u8>| rules::HEADLESS.iter().any(|option| option_of(arg, option).is_some());
    args.iter().any(is_headless) || profile_folders(args).any(is_thrown_away)
}

/// What stands behind `=` in an argument that is this option; empty where it stands alone.
fn option_of<'a>(arg: &'a [u8], option: &str) -> Option<&'a [u8]> {
    let rest = arg.strip_prefix(option.as_bytes())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"=") }
}

/// The folders that a browser is told to keep its profile in. Other arguments are pages, whatever they look like.
fn profile_folders(args: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    args.iter().enumerate().filter_map(|(at, arg)| {
        let value = rules::PROFILE_OPTIONS.iter().find_map(|option| option_of(arg, option))?;
        if value.is_empty() { args.get(at + 1).map(Vec::as_slice) } else { Some(value) }
    })
}

fn is_thrown_away(folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    let name = folder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    rules::THROW_AWAY_PROFILES.iter().any(|beginning| name.starts_with(beginning.as_bytes()))
}

impl Policy {
    /// Time between two sweeps of the service.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval.value
    }

    /// How long a process must have been seen orphaned.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.grace.value
    }

    /// Time from SIGTERM to SIGKILL.
    #[must_use]
    pub const fn term_timeout(&self) -> Duration {
        self.term_timeout.value
    }

    /// Time to wait for the end after SIGKILL.
    #[must_use]
    pub const fn kill_timeout(&self) -> Duration {
        self.kill_timeout.value
    }

    /// How far a verdict reaches.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach.value
    }

    /// Most processes ended in one sweep.
    #[must_use]
    pub const fn max_targets(&self) -> NonZeroUsize {
        self.max_targets.value
    }

    /// Whether helpers that accept connections are kept, for a profile that does not say so itself.
    #[must_use]
    pub const fn keep_listeners(&self) -> bool {
        self.keep_listeners.value
    }

    /// The profiles in force, in the order they are asked.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Programs that are never touched: the built-in ones, then the user's.
    pub fn protect(&self) -> impl Iterator<Item = &str> + Clone {
        self.protect.iter().map(|entry| entry.value.as_str())
    }

    /// The protected program a process is, if it is one.
    #[must_use]
    pub fn protected<'a>(&self, identity: &Identity<'a>) -> Option<Match<'_, 'a>> {
        program::find_protected(identity, self.protect())
    }

    /// The program that is protected under a profile for any program, if a process is one. Never an agent, nor an MCP
    /// server that is named after what it speaks to (`postgres-mcp`), nor a browser that no person can be looking at.
    #[must_use]
    pub fn protected_in_any<'a>(
        &self,
        identity: &Identity<'a>,
        argv: &[Vec<u8>],
    ) -> Option<Match<'static, 'a>> {
        let named = |rules: &'static [(&str, &str)]| rules.iter().map(|(name, _)| *name);
        let found = program::find_protected(identity, named(rules::PROTECTED_IN_ANY))
            .or_else(|| program::find_protected(identity, rules::BROWSERS))?;
        let names = Names::of(identity);
        let is_ended_for_its_own_sake = self.is_agent(&names, argv)
            || names.iter().any(|name| program::has_word_mcp(name.bytes))
            || is_throw_away_browser(identity, argv);
        (!is_ended_for_its_own_sake).then_some(found)
    }

    /// Whether a process is a program that a profile means to end for its own sake: an agent, its adapter or its
    /// harness, not one of their helpers.
    #[must_use]
    pub fn is_agent(&self, names: &Names<'_>, argv: &[Vec<u8>]) -> bool {
        let named = self.agents.iter().chain(self.profiles.iter().flat_map(|p| p.programs.rules()));
        let mut agents = named.filter(|rule| !rule.is_helper && rule.accepts_args(argv));
        agents.any(|rule| program::find(names, [rule.name.as_str()]).is_some())
    }

    /// Whether a process only starts another program and waits for it.
    #[must_use]
    pub fn is_wrapper(&self, identity: &Identity<'_>) -> bool {
        program::find_word(identity, self.wrappers().iter().map(String::as_str)).is_some()
    }

    /// Subreaper programs named by the user.
    #[must_use]
    pub fn adopters(&self) -> &[String] {
        &self.adopters.value
    }

    /// Programs that only start another and wait for it.
    #[must_use]
    pub fn wrappers(&self) -> &[String] {
        &self.wrappers.value
    }

    /// What the service tells, and where.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Arguments by which agents mark daemons they started on purpose; they hold for every profile.
    #[must_use]
    pub fn keep_args(&self) -> &[KeepArgs] {
        &self.keep_args
    }

    /// Variables by which agents mark daemons they started on purpose; they hold for every profile.
    #[must_use]
    pub fn keep_env(&self) -> &[Marker] {
        &self.keep_env
    }

    /// The files that were read, weakest first.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
