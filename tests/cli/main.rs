//! The texts of the command: what can be typed, what is printed and with which exit code, config files, and what the
//! documents promise.
//!
//! Which process is ended is tested in `tests/e2e`; a test here starts a process only to have something
//! to print.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod codes;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod completions;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod config_command;
#[cfg(test)]
mod config_files;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod documents;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod help;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod json;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod man;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod output;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod readme;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod service;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod terminal;
