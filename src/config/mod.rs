//! Settings: what the user asked for, where each value came from, and what is refused.
//!
//! Read top to bottom: [`load`] gathers the layers (`layers.rs`), `resolve.rs` merges and checks them into a
//! [`Policy`], which nothing changes afterwards. Nothing here reads the real environment: everything the outside
//! world has a say in arrives in [`Sources`].

mod build;
pub mod durations;
pub mod env;
pub mod error;
pub mod example;
mod file;
mod guard;
mod layers;
pub mod outputs;
pub mod paths;
pub mod policy;
pub mod profile;
pub mod profiles;
mod resolve;
pub mod rules;
pub mod show;
mod vet;

pub use error::{ConfigError, Warning};
pub use layers::{Overrides, SYSTEM as SYSTEM_FILE, Sources};
pub use outputs::{LogFormat, LogLevel, Outputs};
pub use policy::{Origin, Policy, Reach, Setting};
pub use profile::{KeepArgs, Marker, Profile, ProfileOrigin, ProgramRule, Programs};

/// Reads every layer and resolves them into one policy.
///
/// # Errors
/// Whatever cannot be read, trusted or understood is an error: settings are never guessed.
pub fn load(sources: &Sources, overrides: &Overrides) -> Result<Policy, ConfigError> {
    resolve::resolve(&layers::read(sources)?, overrides)
}
