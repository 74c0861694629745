//! A scripted host for tests.

use crate::types::{Gid, Here, Pid, StartClock, Uid};

/// A machine that exists only on paper.
#[must_use]
pub fn here() -> Here {
    Here {
        pid: Pid::INIT,
        uid: Uid(1000),
        gid: Gid(1000),
        boot_id: "5d3f9b8e-1111-4222-8333-444455556666".to_owned(),
        pid_namespace: 4_026_531_836,
        start_clock: StartClock::BootTicks { per_second: 100 },
        systemd_booted: false,
        cannot_signal: None,
    }
}
