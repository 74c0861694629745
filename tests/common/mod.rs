//! What the tests of all three binaries share: how to run the command, files and directories, marked agents, and
//! assertions about a run's output.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part of this")]

#[cfg(target_os = "linux")]
mod agents;
#[cfg(target_os = "linux")]
mod assertions;
#[cfg(target_os = "linux")]
mod background;
mod command;
mod files;
mod load;
pub mod readme;
#[cfg(target_os = "linux")]
mod state;
mod wait;

#[cfg(target_os = "linux")]
pub use agents::*;
#[cfg(target_os = "linux")]
pub use assertions::*;
#[cfg(target_os = "linux")]
pub use background::Running;
pub use command::{Ran, Reaper};
pub use files::{scratch, set_mode, state_dir, write};
pub use load::one_heavy_test;
#[cfg(target_os = "linux")]
pub use state::{records, wait_for_intent, wait_for_sighting};
pub use wait::{LONG, poll, until};
