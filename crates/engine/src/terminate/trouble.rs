//! Errors that stop the ending of targets.

use reaper_platform::HostError;

use crate::failure::Failure;

/// Why the work was stopped early.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A record could not be written.
    #[error(transparent)]
    Account(#[from] Failure),
    /// The exits of the targets cannot be waited for.
    #[error(transparent)]
    Wait(#[from] HostError),
}
