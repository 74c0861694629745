//! The audit log: every signal's account, written before it is sent, and its outcome after.
//!
//! [`history`] writes it, [`join`] reads it and puts together what happened to each target. What stands in a line is in
//! [`record`], what a reader gets in [`entries`], and the words of both in [`words`].

pub mod entries;
pub mod history;
pub mod join;
mod lines;
pub mod record;
pub mod words;
