//! Ends AI-agent processes that outlived whatever launched them, and provably nothing else.
//!
//! This package is the program around the engine: `cli` (arguments, exit codes), `service` (the daemon), `doctor` (can
//! this machine, user and sandbox do the job), `config` (files and variables to one policy), `install` (units for
//! systemd and launchd) and `report` (public JSON and tables). What is decided is in `crates/policy`, what is read and
//! done in `crates/engine`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod doctor;
pub mod install;
pub mod report;
pub mod service;
