//! The settings in force, each with where it came from: merged, checked, and never changed afterwards.
//!
//! [`Settings`] are made by [`super::load`] only, so whoever holds them knows that every rule in them holds.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reaper_policy::policy::{Policy, Reach};
use reaper_policy::profile::{KeepArgs, Marker, Profile, ProgramRule};

use super::error::Warning;
use super::outputs::Outputs;

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

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
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
    pub(super) agents: Vec<ProgramRule>,
    pub(super) keep_args: Vec<KeepArgs>,
    pub(super) keep_env: Vec<Marker>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

impl Settings {
    /// What of them has a say in a decision.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::new(Policy {
            interval: self.interval.value,
            grace: self.grace.value,
            term_timeout: self.term_timeout.value,
            kill_timeout: self.kill_timeout.value,
            reach: self.reach.value,
            max_targets: self.max_targets.value,
            keep_listeners: self.keep_listeners.value,
            profiles: self.profiles.clone(),
            protect: self.protect.iter().map(|entry| entry.value.clone()).collect(),
            adopters: self.adopters.value.clone(),
            wrappers: self.wrappers.value.clone(),
            agents: self.agents.clone(),
            keep_args: self.keep_args.clone(),
            keep_env: self.keep_env.clone(),
        })
    }

    /// What the service tells, and where.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        &self.outputs
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
