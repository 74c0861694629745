//! The service with real processes: `reaper run` on private stages, watched from outside.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod churn;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod latency;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod life;
#[cfg(test)]
mod log;
#[cfg(test)]
mod many;
#[cfg(test)]
mod names;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod reuse;
#[cfg(test)]
mod running;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod trouble;
