//! What the service tells others: metrics by command, file and HTTP, its status, its log, notes on the desktop.
//! Names, types and answers are pinned; the rest is played with real processes on a stage.

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod desktop;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod http;
#[cfg(test)]
mod log;
#[cfg(test)]
mod pinned;
#[cfg(test)]
mod service;
#[cfg(test)]
mod textfile;
