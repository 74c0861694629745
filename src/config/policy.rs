//! The settings in force: merged, checked, and never changed afterwards.
//!
//! A [`Policy`] is made by [`super::load`] only, so whoever holds one knows that every rule in it holds.

use super::error::Warning;
use super::outputs::Outputs;
use super::profile::{KeepArgs, Marker, Profile};
use crate::program::{self, Identity, Match};
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
    pub(super) selected: Setting<Vec<String>>,
    pub(super) profiles: Vec<Profile>,
    pub(super) protect: Vec<Setting<String>>,
    pub(super) adopters: Setting<Vec<String>>,
    pub(super) wrappers: Setting<Vec<String>>,
    pub(super) outputs: Outputs,
    pub(super) keep_args: Vec<KeepArgs>,
    pub(super) keep_env: Vec<Marker>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
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
        program::find_by_any_word(identity, self.protect())
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
