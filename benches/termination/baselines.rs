//! The two common ways to end processes. They signal by pid, as most programs do; that is one of
//! their defects, and safe only where every process is the benchmark's own.

use super::common::{USER, doing};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

/// The marked orphans of the population; an error anywhere else than inside one.
pub fn marked_orphans() -> Result<Vec<Pid>, String> {
    // PID 1 of a population is recognised by its arguments, which no real PID 1 has.
    let init = doing("read PID 1's arguments", fs::read("/proc/1/cmdline"))?;
    if !init.starts_with(b"/usr/lib/systemd/systemd\0--system\0--\0") {
        return Err("not inside a population".into());
    }
    let manager = doing("read POPULATION_MANAGER", std::env::var("POPULATION_MANAGER"))?;
    let expected = doing("read POPULATION_EXPECT", std::env::var("POPULATION_EXPECT"))?;
    let mut found = Vec::new();
    for adopter in ["1", &manager] {
        let path = format!("/proc/{adopter}/task/{adopter}/children");
        for pid in doing("read children", fs::read_to_string(path))?.split_whitespace() {
            let owned = fs::metadata(format!("/proc/{pid}")).is_ok_and(|m| m.uid() == USER);
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let marked = environ.split(|b| *b == 0).any(|v| v == b"SPROUT_MANAGED_AGENT=1");
            if owned && marked && ["claude", "codex", "goose"].contains(&comm.trim_end()) {
                found.extend(pid.parse().ok().and_then(Pid::from_raw));
            }
        }
    }
    match found.len().to_string() == expected {
        true => Ok(found),
        false => Err(format!("{} marked orphans where {expected} are", found.len())),
    }
}

/// SIGTERM to all, a poll every 100 ms, SIGKILL to those that are left at the deadline.
pub fn polling(targets: &[Pid], term_timeout: Duration) {
    let deadline = Instant::now() + term_timeout;
    signal_all(targets, Signal::TERM);
    let left = poll_until(targets, deadline);
    signal_all(&left, Signal::KILL);
    poll_until(&left, Instant::now() + Duration::from_secs(5));
}

/// The same for one process after another.
pub fn one_by_one(targets: &[Pid], term_timeout: Duration) {
    for target in targets {
        polling(std::slice::from_ref(target), term_timeout);
    }
}

fn signal_all(targets: &[Pid], signal: Signal) {
    for &pid in targets {
        // An error means that it is gone already.
        let _ = kill_process(pid, signal);
    }
}

/// The processes that are alive at the deadline; returns early when there are none.
fn poll_until(targets: &[Pid], deadline: Instant) -> Vec<Pid> {
    let mut left = targets.to_vec();
    loop {
        left.retain(|&pid| test_kill_process(pid).is_ok());
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(POLL.min(deadline.saturating_duration_since(Instant::now())));
    }
}
