//! Finds orphaned agent processes, keeps track of them and ends them.
//!
//! The way of a process through this crate: [`discover`] lists those whose parent may have exited, [`inspect`] reads what
//! is known of each and has it judged by the policy crate, [`sightings`] keeps since when it has been an orphan,
//! [`tree`] reads what hangs below it, and [`terminate`], the only place that sends a signal, ends what was planned.
//! [`tracker`] finds and judges, tick by tick for the service and with its first tick alone for a scan; [`sweep`] remembers
//! what a scan found and ends what was planned. Every signal is recorded by [`audit`]
//! before it is sent. Nothing here logs, parses arguments or runs an event loop: callers get values and events.

#![forbid(unsafe_code)]

pub mod audit;
pub mod context;
pub mod deadline;
pub mod discover;
pub mod failure;
pub mod format;
pub mod inspect;
mod isolation;
pub mod sightings;
pub mod state_dir;
pub mod sweep;
pub mod terminate;
pub mod tracker;
pub mod tree;
pub mod trusted_file;
pub mod visibility;
