//! Finds orphaned agent processes, keeps track of them and ends them.
//!
//! The route of a process through this crate: [`discover`] lists the processes whose parent may have exited,
//! [`inspect`] reads the facts of each and has the policy crate judge it, [`sightings`] records since when it has been
//! an orphan, [`tree`] reads its descendants, and [`terminate`], the only module that sends signals, ends the planned
//! targets. [`tracker`] combines the first steps, tick by tick for the service and with its first tick alone for a
//! scan; [`sweep`] records and ends what a scan found. Every signal is recorded by [`audit`] before it is sent. Nothing
//! here logs, parses arguments or runs an event loop: callers get values and events.

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
