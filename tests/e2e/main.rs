//! Real processes in private PID namespaces, and the real command. What cannot run on this machine prints `skipped: …`.
//!
//! The folders say what is tested: `never_kills` what must not be signalled, `finds` what must be found, the others the
//! part of the program.

#![cfg(target_os = "linux")]

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod finds;
#[cfg(test)]
mod history;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod never_kills;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod service;
