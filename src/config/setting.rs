//! The settings in force, each with its origin: merged, checked, and immutable afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use reaper_policy::policy::Policy;

use super::diagnostics::Warning;
use super::outputs::Outputs;

/// The origin of a value.
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

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// The settings in force. [`super::load`] makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(super) policy: Arc<Policy>,
    pub(super) outputs: Outputs,
    /// The names of the profiles of `use`; the policy has the profiles themselves.
    pub(super) selected: Vec<String>,
    /// The programs of `protect`; the policy has them after the built-in ones.
    pub(super) protected: Vec<Setting<String>>,
    /// The origins of values that are not the default, by the setting's environment variable.
    pub(super) origins: BTreeMap<&'static str, Origin>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

impl Default for Settings {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            outputs: Outputs::default(),
            selected: policy.profiles.iter().map(|profile| profile.name.to_string()).collect(),
            protected: Vec::new(),
            origins: BTreeMap::new(),
            files: Vec::new(),
            warnings: Vec::new(),
            policy: Arc::new(policy),
        }
    }
}

impl Settings {
    /// The settings that affect decisions.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// The settings of the service's outputs.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The files that were read, in increasing precedence.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Warnings about settings that are allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The origin of the value of the setting with this environment variable.
    pub(super) fn origin(&self, variable: &str) -> &Origin {
        self.origins.get(variable).unwrap_or(&Origin::Default)
    }

    /// The policy while it is built; afterwards it is shared.
    pub(super) fn policy_mut(&mut self) -> &mut Policy {
        Arc::make_mut(&mut self.policy)
    }

    /// Protects more programs. No layer can remove a protection.
    pub(super) fn protect(&mut self, names: Vec<String>, origin: &Origin) {
        for name in names {
            let all = &mut self.policy_mut().protect;
            if !all.contains(&name) {
                all.push(name.clone());
                self.protected.push(Setting { value: name, origin: origin.clone() });
            }
        }
    }
}
