//! Waiting for something to become true, with a limit that suits a busy machine.

use std::time::{Duration, Instant};

/// The time limit for anything that happens at once, generous enough for a busy machine.
pub const LONG: Duration = Duration::from_secs(20);

/// Waits until the condition holds; panics after the limit.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(poll(is_so), "not within {LONG:?}: {what}");
}

/// Waits until the condition holds; returns whether it does.
pub fn poll(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LONG;
    while !is_so() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
