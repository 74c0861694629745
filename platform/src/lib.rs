//! Facts about processes, and the operations that act on them.
//!
//! This crate exists so that the rest of `reaper` cannot make a system call by accident: everything
//! that touches the operating system passes through [`Host`] and [`ProcessHandle`]. It has facts and operations,
//! and no policy: which process is an agent, an orphan or worth ending is decided elsewhere.
//!
//! * [`types`]: newtypes and plain values.
//! * [`started`]: new processes, by the order of pids.
//! * [`sockets`]: what a process accepts connections on.
//! * [`probe`]: what the machine allows us, for the diagnosis.
//! * [`open_flags`]: flags for opening files that may have been replaced by something else.
//! * [`environ`]: the streaming search of an environment block.
//! * [`host`]: the traits, implemented by [`linux`], by [`macos`] and by the [`fake`] host of the tests.

#![cfg_attr(target_os = "linux", forbid(unsafe_code))]

mod command;
pub mod environ;
#[cfg(feature = "fake")]
pub mod fake;
pub mod host;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod macos;
pub mod open_flags;
pub mod probe;
pub mod socket_tables;
pub mod sockets;
pub mod started;
pub mod types;

pub use environ::{Condition, EnvironScan, Found, Secret, Wanted};
pub use host::{ExitWatcher, Host, HostError, ProcessEntry, ProcessHandle, ProcessList};
pub use probe::{Capabilities, Machine, Room};
pub use socket_tables::SocketTables;
pub use sockets::{Folder, Listener};
pub use started::{Listed, PidMark, Started};
pub use types::{
    Clock, Generation, Gid, HostInfo, Ids, Image, Pid, ProcId, RuntimeUnit, Scope, Signal, StartClock,
    StartTime, Stat, State, Uid, UnitMain, Why,
};

/// The host of the machine that this program was built for.
#[cfg(target_os = "linux")]
pub type NativeHost = linux::LinuxHost;
/// The host of the machine that this program was built for.
#[cfg(target_os = "macos")]
pub type NativeHost = macos::MacHost;
