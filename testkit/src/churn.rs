//! Thousands of short-lived processes.

use std::io;
use std::time::{Duration, Instant};

use crate::sys::check;

/// The longest time that one runs, in microseconds.
const LIFE_US: u64 = 40_000;

/// Adds `rate` children a second to this process's parent, until this process ends. Each sleeps for up to 40 ms and
/// exits.
pub fn churn(rate: u32) -> io::Result<()> {
    let gap = Duration::from_secs(1) / rate.max(1);
    let mut next = Instant::now();
    for n in 0_u64.. {
        // SAFETY: a plain fork, except for the child's parent; this process has one thread.
        let forked =
            unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
        if check(forked as i32)? == 0 {
            // Multiples of the golden ratio are spread evenly without being regular.
            std::thread::sleep(Duration::from_micros(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % LIFE_US));
            // SAFETY: the child shares nothing that would have to be put in order.
            unsafe { libc::_exit(0) }
        }
        next += gap;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
