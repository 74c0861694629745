//! For tests and benchmarks: real processes with the parentage of real orphans, in a private PID namespace that ends
//! with them.
//!
//! * [`PidNamespace`] makes the namespace and runs a command in it; [`in_namespace`](in_namespace::in_namespace) runs the
//!   body of a test there.
//! * [`ProcessSet`] is used inside: it starts stand-ins under any name, and ends them.

pub mod behaviour;
pub mod churn;
mod fifo;
mod fuse;
pub mod hanging_reads;
pub mod helper_binaries;
pub mod in_namespace;
pub mod memory;
pub mod mounts;
pub mod pid_namespace;
pub mod pid_reuse;
pub mod process_ref;
pub mod process_set;
pub mod process_spec;
mod pty;
pub mod spawn;
pub mod spawn_spec;
pub mod sys;
mod workspace;

pub use hanging_reads::HangingMount;
pub use in_namespace::{in_namespace, measured, skip};
pub use pid_namespace::{Hidepid, IdMap, PidNamespace, Unavailable};
pub use pid_reuse::recycle_pid;
pub use process_ref::ProcessRef;
pub use process_set::ProcessSet;
pub use process_spec::ProcessSpec;
pub use pty::Terminal;
pub use spawn_spec::Shape;
