//! Ends AI-agent processes that outlived whatever launched them, and provably nothing else.
//!
//! The way of a process through the code: [`census`] finds those whose parent may have died, [`look`]
//! reads what is known of each, [`gates`] judge it, [`sightings`] remember since when, [`plan`] chooses the
//! targets, and [`terminate`], the only place that signals, ends them. [`sweep`] tells that story from top
//! to bottom. Gates, plan and escalation are pure functions: they see values, and neither clock nor files.

#![forbid(unsafe_code)]

pub mod census;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod escalation;
pub mod facts;
pub mod gates;
pub mod install;
pub mod look;
pub mod owner;
pub mod patience;
pub mod plan;
pub mod program;
pub mod report;
pub mod service;
pub mod sightings;
pub mod state;
pub mod sweep;
pub mod terminate;
pub mod tree;
pub mod verdict;
