//! The public contract of the command line: what can be typed, what comes back, and with which exit code.
//!
//! What is decided about which process is the matter of `tests/scenes`; here processes are only props.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod codes;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod config;
#[cfg(test)]
mod help;
#[cfg(test)]
mod json;
#[cfg(test)]
mod man;
#[cfg(test)]
mod output;
#[cfg(test)]
mod place;
#[cfg(test)]
mod service;
#[cfg(test)]
mod terminal;
