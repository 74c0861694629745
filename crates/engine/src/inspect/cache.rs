//! What was read once for a look and is asked for again.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was read before; a thread that panicked while it held the lock left nothing half done.
pub(super) fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
