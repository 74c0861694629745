//! What reaper decides, as pure functions: facts about processes in, verdicts and plans out.
//!
//! [`facts`] is what was read of one process, [`case`] adds what was read of the processes around it. [`gates`]
//! evaluates the eight gates for a case, [`verdict`] combines the answers, [`plan`] chooses the targets among the
//! orphans that are due, and [`escalation`] is one target's state machine from SIGTERM to SIGKILL. [`policy`] holds the
//! settings that decisions depend on. Nothing here reads a file, a clock or an environment variable; `clippy.toml`
//! beside this crate's manifest forbids it.

#![forbid(unsafe_code)]

pub mod browser;
pub mod builtin_profiles;
pub mod case;
pub mod duration;
pub mod escalation;
pub mod escape;
pub mod facts;
pub mod gates;
pub mod judgement;
pub mod past;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod program;
pub mod protected;
pub mod variables;
pub mod verdict;
