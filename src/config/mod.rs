//! Settings: what the user asked for, where each value came from, and what is refused.
//!
//! [`load`] reads the files and variables (`sources.rs`); `resolve.rs` merges and checks them into [`Settings`], which
//! nothing changes afterwards. What there is to set is the table in `keys.rs`: a setting is one row of it. The keys of a
//! profile are the table in `profile_file.rs`. Nothing here reads the real environment: everything the outside world has
//! a say in arrives in [`Sources`].

#[cfg(test)]
mod builtin_table;
pub mod diagnostics;
mod document;
pub mod example;
mod generic;
mod given;
pub(crate) mod keys;
pub mod outputs;
pub mod paths;
pub(crate) mod profile_file;
mod resolve;
pub mod setting;
pub mod show;
pub(crate) mod sources;
mod validate;
mod warnings;

pub use diagnostics::{ConfigError, Warning};
pub use outputs::{LogFormat, LogLevel, Outputs};
pub use setting::{Origin, Setting, Settings};
pub use sources::{Overrides, SYSTEM as SYSTEM_FILE, Sources};

/// Reads every layer and resolves them.
///
/// # Errors
/// Whatever cannot be read, trusted or understood is an error: settings are never guessed.
pub fn load(sources: &Sources, overrides: &Overrides) -> Result<Settings, ConfigError> {
    resolve::resolve(&sources::read(sources)?, overrides)
}
