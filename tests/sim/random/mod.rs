//! Random process trees, judged by the gates and by an oracle that knows only the rules.

mod generator;
mod properties;
