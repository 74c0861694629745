//! Waiting for something to become true, with a limit that suits a busy machine.

use std::time::{Duration, Instant};

/// Long for anything that happens at once, on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(20);

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(poll(is_so), "not within {LONG:?}: {what}");
}

/// Waits until it is so, and says whether it is.
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
