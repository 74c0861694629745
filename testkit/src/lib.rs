//! Stages for tests and benchmarks: real processes in real shapes, in a private PID namespace that ends with them.
//!
//! * [`Stage`] brings the namespace up and runs a director in it; [`play`] makes a test its own director.
//! * [`Troupe`] is the director's side: stand-ins under any name, spawned in the shapes that orphans really have.

pub mod actors;
pub mod alive;
pub mod behaviour;
pub mod churn;
mod fifo;
mod fuse;
pub mod hang;
pub mod launch;
pub mod memory;
pub mod mounts;
pub mod programs;
mod pty;
pub mod recipe;
pub mod reuse;
pub mod scene;
pub mod stage;
pub mod sys;
pub mod troupe;

pub use actors::Actor;
pub use alive::Alive;
pub use hang::Swamp;
pub use pty::Terminal;
pub use recipe::Shape;
pub use reuse::recycle_pid;
pub use scene::{measured, play, skip};
pub use stage::{Hidepid, IdMap, Stage, Unavailable};
pub use troupe::Troupe;
