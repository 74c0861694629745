//! Settings: the values, their origins, and what is refused.
//!
//! [`load`] reads the files and variables (`sources.rs`); `resolve.rs` merges and checks them into [`Settings`], which
//! are immutable afterwards. Each setting is one row of the table in `keys.rs`; the keys of a profile are the table in
//! `profile_file.rs`. Nothing here reads the real environment: all inputs arrive in [`Sources`].

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

/// Reads all sources and merges them.
///
/// # Errors
/// When a source cannot be read, trusted or understood: settings are never guessed.
pub fn load(sources: &Sources, overrides: &Overrides) -> Result<Settings, ConfigError> {
    resolve::resolve(&sources::read(sources)?, overrides)
}
