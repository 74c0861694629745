//! What users read: the table, the public JSON, the history.

pub mod escape;
