//! A simulated machine for tests.
//!
//! A [`Machine`] holds processes as the kernel would, a [`FakeHost`] answers for it as the real host does.
//! Every call of every method is a numbered step, and a [`FaultScript`] says what goes wrong at which one. All
//! calls, all signals with the process that received each, and every state of the machine are recorded in a
//! [`Log`], so that a test can ask afterwards what was true when something was done.
//!
//! * [`process`]: one process, and how it reacts to signals.
//! * [`machine`]: all of them, as the kernel keeps them: parents, numbers, exits, time.
//! * [`faults`]: what goes wrong, and when.
//! * [`macos`]: what is different on a Mac.
//! * [`host`]: the implementation of the platform's traits.
//! * [`call`] and [`log`]: the calls that were made, and what happened.

pub mod call;
pub mod faults;
pub mod host;
pub mod log;
pub mod machine;
pub mod macos;
pub mod process;
mod state;
#[cfg(test)]
mod tests;

pub use call::{Call, Method};
pub use faults::{Fault, FaultScript, When};
pub use host::{FakeHandle, FakeHost, FakeWatcher};
pub use log::{Log, Sent};
pub use machine::Machine;
pub use process::{Process, Reaction};

use crate::types::{Gid, HostInfo, Pid, StartClock, Uid};

/// The time namespace of [`host_info`], and of every process that is not given another.
pub const TIME_NAMESPACE: u64 = crate::types::INITIAL_TIME_NAMESPACE;

/// What the host reports of itself: a Linux machine, no container, user 1000.
#[must_use]
pub fn host_info() -> HostInfo {
    HostInfo {
        pid: Pid::INIT,
        uid: Uid(1000),
        gid: Gid(1000),
        boot_id: "5d3f9b8e-1111-4222-8333-444455556666".to_owned(),
        pid_namespace: 4_026_531_836,
        time_namespace: TIME_NAMESPACE,
        clock_offsets: "monotonic 0 0 boottime 0 0".to_owned(),
        start_clock: StartClock::BootTicks { per_second: 100 },
        systemd_booted: false,
        cannot_signal: None,
    }
}

/// A pid written in a test.
///
/// # Panics
/// When the number is zero or negative.
#[must_use]
pub const fn pid(raw: i32) -> Pid {
    #[expect(clippy::panic, reason = "an error in the test itself")]
    match Pid::new(raw) {
        Some(pid) => pid,
        None => panic!("a pid is positive"),
    }
}
