//! Scenes with real processes: what must never be signalled. Each test is named after what went wrong in a real tool.

#![cfg(target_os = "linux")]

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod names;
