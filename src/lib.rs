//! Ends AI-agent processes that outlived whatever launched them, and provably nothing else.
#![forbid(unsafe_code)]

pub mod config;
pub mod program;
