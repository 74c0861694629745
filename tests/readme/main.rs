//! The README says only what is true: its transcript is played, its scripts are run, its examples are read.

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod page;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod snippets;
#[cfg(test)]
mod transcript;
