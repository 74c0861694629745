//! reaper
fn main() {}
