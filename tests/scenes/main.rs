//! Scenes with real processes: what must never be signalled. Each test is named after what went wrong in a real tool.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod adopters;
#[cfg(test)]
mod booted;
#[cfg(test)]
mod bystanders;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod clocks;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod configs;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod flips;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod init;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod late;
#[cfg(test)]
mod markers;
#[cfg(test)]
mod moments;
#[cfg(test)]
mod names;
#[cfg(test)]
mod ourselves;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod real;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod supervised;
#[cfg(test)]
mod support;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod trees;
#[cfg(test)]
mod units;
