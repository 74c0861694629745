//! Stages for tests and benchmarks: real processes in real shapes, in a private PID namespace that ends with them.
//!
//! * [`stage`] brings the namespace up and runs a director in it; [`scene`] makes a test its own director.
//! * [`actors`] is the director's side: stand-ins under any name, spawned in the shapes that orphans really have.

pub mod behaviour;
pub mod hang;
pub mod launch;
pub mod memory;
pub mod recipe;
pub mod sys;
