//! A cache of facts for the lifetime of one inspector.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a cache. A poisoned lock is fine: no update leaves it half done.
pub(super) fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
