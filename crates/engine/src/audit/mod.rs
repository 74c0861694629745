//! The audit log: an intent, written before each signal, and the outcome afterwards.
//!
//! [`history`] writes it; [`join`] reads it and makes one entry for each target. [`record`] defines a line, [`entries`]
//! the report, and [`words`] the vocabulary of both.

pub mod entries;
pub mod history;
pub mod join;
mod lines;
pub mod record;
pub mod words;
