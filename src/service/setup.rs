//! The inputs of the service.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::Scope;

use crate::config::{ConfigError, Settings};
use crate::report::check::Check;
use reaper_engine::state_dir::StateDir;

/// Loads the config.
pub type Load = Box<dyn Fn() -> Result<Arc<Settings>, ConfigError>>;

/// The inputs of the service.
pub struct Setup<H> {
    /// The host.
    pub host: Arc<H>,
    /// Which users' processes are covered.
    pub scope: Scope,
    /// The settings at the start.
    pub settings: Arc<Settings>,
    /// Loads the settings for a reload.
    pub load: Load,
    /// The directory of sightings and history; `None` in a dry run, which writes nothing.
    pub state: Option<StateDir>,
    /// The directory of the pause; `None` in a dry run.
    pub runtime: Option<StateDir>,
    /// Whether each sweep is compared with a stateless one.
    pub is_paranoid: bool,
    /// The time limit for reading one process.
    pub limit: Duration,
    /// The results of the checks of the machine, our rights and our sandbox.
    pub checks: Vec<Check>,
}
