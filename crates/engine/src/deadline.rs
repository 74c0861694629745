//! Reads that may never return.
//!
//! Reading a process's environment or arguments takes the lock of its memory map, which a stuck process can hold for
//! ever. So such reads run on a thread of their own, one for a whole batch. When that makes no progress it is
//! abandoned, the process it is stuck at counts as unreadable, and another thread continues with the rest. The
//! abandoned thread ends when its read returns, or with reaper.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use reaper_platform::Why;

/// Time limit for reading one process.
pub const LIMIT: Duration = Duration::from_secs(1);

struct Progress<R> {
    done: Mutex<Vec<R>>,
    finished: Condvar,
}

/// Applies `f` to every item, in order. An item that takes longer than `limit` (at most twice that)
/// becomes [`Why::Slow`].
pub fn map<T, R, F>(items: Vec<T>, limit: Duration, f: F) -> Vec<Result<R, Why>>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
    F: Fn(&T) -> R + Send + Sync + 'static,
{
    let (items, f) = (Arc::new(items), Arc::new(f));
    let mut results: Vec<Result<R, Why>> = Vec::with_capacity(items.len());
    while results.len() < items.len() {
        let start = results.len();
        let progress = Arc::new(Progress { done: Mutex::new(Vec::new()), finished: Condvar::new() });
        let worker = {
            let (items, f, progress) = (Arc::clone(&items), Arc::clone(&f), Arc::clone(&progress));
            move || {
                for item in items.iter().skip(start) {
                    let result = f(item);
                    progress.done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
                progress.finished.notify_one();
            }
        };
        if let Err(e) = std::thread::Builder::new().name("reader".into()).spawn(worker) {
            results.extend(
                items.iter().skip(start).map(|_| Err(Why::Failed(format!("no thread to read with: {e}")))),
            );
            return results;
        }
        let (done, stuck) = wait(&progress, items.len() - start, limit);
        results.extend(done.into_iter().map(Ok));
        if stuck {
            results.push(Err(Why::Slow(limit)));
        }
    }
    results
}

/// Waits until all are done, or until there was no progress for the time limit.
fn wait<R>(progress: &Progress<R>, wanted: usize, limit: Duration) -> (Vec<R>, bool) {
    let mut done = progress.done.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let before = done.len();
        if before == wanted {
            return (std::mem::take(&mut *done), false);
        }
        let (guard, timeout) =
            progress.finished.wait_timeout(done, limit).unwrap_or_else(PoisonError::into_inner);
        done = guard;
        if timeout.timed_out() && done.len() == before && before < wanted {
            return (std::mem::take(&mut *done), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        let results = map((0..1000).collect(), LIMIT, |n: &u32| n * 2);
        assert_eq!(results, (0..1000).map(|n| Ok(n * 2)).collect::<Vec<_>>());
        assert_eq!(map(Vec::<u32>::new(), LIMIT, |n| *n), Vec::new());
    }

    #[test]
    fn r06_a_hanging_read_costs_only_its_own_result() {
        let limit = Duration::from_millis(300);
        let results = map((0..6).collect(), limit, |n: &u32| {
            if *n == 2 || *n == 5 {
                loop {
                    std::thread::park();
                }
            }
            *n
        });
        let slow = Err(Why::Slow(limit));
        assert_eq!(results, [Ok(0), Ok(1), slow.clone(), Ok(3), Ok(4), slow]);
    }
}
