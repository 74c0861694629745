//! What users read: tables and the public JSON.

pub mod check;
pub mod doctor;
pub mod findings;
pub mod scan;
pub mod status;
pub mod table;
pub mod types;
