//! What keeps targets from being ended.

use reaper_platform::HostError;

use crate::failure::Failure;

/// What kept the work from being done to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No account could be written.
    #[error(transparent)]
    Account(#[from] Failure),
    /// The ends of the targets cannot be waited for.
    #[error(transparent)]
    Wait(#[from] HostError),
}
