//! The service: sees orphans the moment they become orphans, and ends them when their grace is over.

mod family;
pub mod keeper;
