//! Simulated machines (`reaper_platform::fake`): whole sweeps without a process and without the binary.

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod random;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod support;
