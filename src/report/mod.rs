//! What users read: the table, the public JSON, the history.

pub mod build;
pub mod check;
pub mod doctor;
pub mod status;
pub mod table;
pub mod types;
