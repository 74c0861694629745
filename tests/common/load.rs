//! All tests of a binary run in one process, several at a time: a lock for those that would disturb one another.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by tests that load the machine, or measure times on it: one at a time.
pub fn one_heavy_test() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed while it held the lock is no reason to fail the next one.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
