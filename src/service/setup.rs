//! What the service is to do, and where.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::Scope;

use crate::config::{ConfigError, Settings};
use crate::report::check::Check;
use reaper_engine::state_dir::StateDir;

/// Reads the config.
pub type Load = Box<dyn Fn() -> Result<Arc<Settings>, ConfigError>>;

/// What the service is to do, and where.
pub struct Setup<H> {
    /// The machine.
    pub host: Arc<H>,
    /// Whose processes.
    pub scope: Scope,
    /// The settings to begin with.
    pub settings: Arc<Settings>,
    /// Reads them again.
    pub load: Load,
    /// Where sightings and history are; `None` in a dry run, which writes nothing.
    pub state: Option<StateDir>,
    /// Where the pause is; `None` in a dry run.
    pub runtime: Option<StateDir>,
    /// Whether each sweep is compared with a stateless one.
    pub is_paranoid: bool,
    /// How long one process may take to be read.
    pub limit: Duration,
    /// What the checks of the machine, our rights and our sandbox found.
    pub checks: Vec<Check>,
}
