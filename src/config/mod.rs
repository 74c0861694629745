//! Settings: what the user asked for, where each value came from, and what is refused.
//!
//! Read top to bottom: [`load`] gathers the layers (`layers.rs`), `resolve.rs` merges and checks them into a
//! [`Settings`], which nothing changes afterwards. Nothing here reads the real environment: everything the outside
//! world has a say in arrives in [`Sources`].

use std::time::Duration;

use reaper_policy::policy::Reach;

mod build;
pub mod env;
pub mod error;
pub mod example;
mod file;
mod generic;
mod layers;
pub mod outputs;
pub mod paths;
pub mod policy;
pub mod profiles;
pub mod reference;
mod resolve;
pub mod show;
mod vet;

pub use error::{ConfigError, Warning};
pub use layers::{Overrides, SYSTEM as SYSTEM_FILE, Sources};
pub use outputs::{LogFormat, LogLevel, Outputs};
pub use policy::{Origin, Setting, Settings};

/// Reads every layer and resolves them into one policy.
///
/// # Errors
/// Whatever cannot be read, trusted or understood is an error: settings are never guessed.
pub fn load(sources: &Sources, overrides: &Overrides) -> Result<Settings, ConfigError> {
    resolve::resolve(&layers::read(sources)?, overrides)
}

/// The settings for the self-test of `reaper doctor`, whatever the user's are: only the profile that its stand-in
/// is marked for, the shortest grace that is one, and no tree. Only the adopters are the user's, because they
/// describe the machine.
///
/// # Errors
/// When the built-in profiles are broken: a bug.
pub fn for_self_test(adopters: &[String]) -> Result<Settings, ConfigError> {
    let overrides = Overrides { grace: Some(SELF_TEST_GRACE), profiles: vec!["own".to_owned()] };
    let mut policy = resolve::resolve(&layers::Layers::default(), &overrides)?;
    policy.adopters.value = adopters.to_vec();
    policy.reach.value = Reach::Process;
    policy.term_timeout.value = Duration::from_secs(2);
    // The stand-in is this very program, which everybody else spares. No other process has a sighting in the
    // self-test, so that none can come so far as to need this protection; and we and our ancestors are spared anyway.
    policy.protect.retain(|entry| entry.value != "reaper");
    Ok(policy)
}

/// One tick of the clock by which the kernel counts starts: nobody is remembered as an orphan in its first.
const SELF_TEST_GRACE: Duration = Duration::from_millis(10);
