//! What can keep a sweep from being carried out to its end.

use reaper_platform::HostError;

use crate::state_dir::StateError;

/// What kept the work from being done to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No account could be written.
    #[error(transparent)]
    Account(#[from] StateError),
    /// Nobody could be waited for.
    #[error(transparent)]
    Wait(#[from] HostError),
}
