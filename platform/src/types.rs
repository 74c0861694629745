//! Newtypes and plain values, so that a pid can never be passed where a uid is meant.

use std::fmt;
use std::time::Duration;

/// A process id that exists in our PID namespace: always positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// The first process of a PID namespace.
    pub const INIT: Self = Self(1);

    /// `None` for zero and for negative numbers: `kill(2)` gives those another meaning, and 0 stands
    /// for a parent outside our PID namespace.
    #[must_use]
    pub const fn new(raw: i32) -> Option<Self> {
        if raw > 0 { Some(Self(raw)) } else { None }
    }

    /// Reads a pid from decimal digits and nothing else.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok().and_then(Self::new)
    }

    /// The number, always positive.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(pub u32);

/// When a process started, in the kernel's own unit and never rounded: see [`StartClock`]. It stays the same
/// until the process exits, also across `exec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartTime(pub u64);

/// A number that the kernel never reuses within one boot: the inode of a pidfd (pidfs,
/// Linux 6.9 and later), the unique id of macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation(pub u64);

/// The identity of a process, by which processes that share a reused pid are told apart.
///
/// Pid and start time alone are *not* an identity within one clock tick: a recycled pid usually has the
/// same tick when it is reused at once. The generation closes that gap where the kernel offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcId {
    /// The pid, which the kernel reuses.
    pub pid: Pid,
    /// When it started.
    pub start: StartTime,
    /// The kernel's never-reused number for it, where there is one.
    pub generation: Option<Generation>,
}

/// The scheduler's state letter (proc_pid_stat(5), field 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State(pub u8);

impl State {
    /// The main thread has exited. On Linux others may still run: see [`Stat::is_dead`].
    #[must_use]
    pub const fn has_exited(self) -> bool {
        matches!(self.0, b'Z' | b'X' | b'x')
    }

    /// Stopped by a signal or by a tracer.
    #[must_use]
    pub const fn is_stopped(self) -> bool {
        matches!(self.0, b'T' | b't')
    }
}

/// The facts of a process that are cheapest to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Its pid.
    pub pid: Pid,
    /// The kernel's short name of it: at most 15 bytes, of any value.
    pub comm: Vec<u8>,
    /// Scheduler state of its main thread.
    pub state: State,
    /// How many threads are left, an exited main thread included (proc_pid_stat(5), field 20); 0 once the last one has
    /// been reaped. Where the system does not count an exited main thread: 1.
    pub threads: u64,
    /// Its parent; `None` when that is outside our PID namespace.
    pub ppid: Option<Pid>,
    /// Its process group; `None` when the leader is outside our namespace.
    pub pgrp: Option<Pid>,
    /// Its session; `None` when the leader is outside our namespace.
    pub session: Option<Pid>,
    /// When it started.
    pub start: StartTime,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Whether it still has an address space: false for a kernel thread and while it is exiting.
    pub has_memory: bool,
    /// How many bytes its environment block had when the process was started; `None` when withheld.
    pub environ_len: Option<u64>,
    /// Where its arguments and its environment begin in its memory (proc_pid_stat(5), fields 48 and 50): other places
    /// after each execve(2). `None` when withheld, or where the system does not report it.
    pub layout: Option<(u64, u64)>,
}

impl Stat {
    /// No thread of it runs any more, and only its parent's `wait(2)` is missing. A main thread that has exited while
    /// others run is a zombie by its state alone, and its process is alive.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        self.state.has_exited() && self.threads <= 1
    }

    /// Whether its main thread has exited while others run.
    #[must_use]
    pub const fn lost_its_main_thread(&self) -> bool {
        self.state.has_exited() && self.threads > 1
    }
}

/// Which program image a process runs. Two readings are equal unless the process executed another program in between
/// (execve(2) moves the arguments and the environment, and opens the program file anew).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Image {
    /// The program file: device and inode; zeros where it is hidden. On macOS the number that the kernel gives
    /// to each image, and zero.
    pub file: (u64, u64),
    /// [`Stat::layout`], or zeros.
    pub layout: (u64, u64),
}

/// The user ids of a process, and whether it is in our PID namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ids {
    /// Real user id.
    pub real: Uid,
    /// Effective user id.
    pub effective: Uid,
    /// Saved user id.
    pub saved: Uid,
    /// Whether it is in our PID namespace.
    pub same_pid_namespace: bool,
}

/// Which users' processes a listing contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one user.
    User(Uid),
    /// Those of all users.
    Everyone,
}

impl Scope {
    /// Whether it contains the processes of `uid`.
    #[must_use]
    pub fn holds(self, uid: Uid) -> bool {
        match self {
            Self::User(only) => only == uid,
            Self::Everyone => true,
        }
    }
}

/// Our own pid and user, and the machine we run on. Fixed until we exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    /// Our own pid.
    pub pid: Pid,
    /// Our effective user.
    pub uid: Uid,
    /// Our effective group.
    pub gid: Gid,
    /// Names this boot of this kernel: a UUID in small letters (`/proc/sys/kernel/random/boot_id`,
    /// `kern.bootsessionuuid`).
    pub boot_id: String,
    /// Names our PID namespace (the inode of `/proc/self/ns/pid`); always the same where there are none.
    pub pid_namespace: u64,
    /// Names our time namespace (the inode of `/proc/self/ns/time`, Linux 5.6 and later): start times and clocks of
    /// two of them cannot be compared. Always the same where there are none.
    pub time_namespace: u64,
    /// By how much the clocks of our time namespace differ from the machine's (`/proc/self/timens_offsets`), in words;
    /// empty where they cannot. The kernel reuses the number of a namespace that is gone: clocks can be
    /// compared over time only where these are the same.
    pub clock_offsets: String,
    /// What [`StartTime`] is counted in.
    pub start_clock: StartClock,
    /// Whether the machine was booted with systemd (`/run/systemd/system`, sd_booted(3)).
    pub systemd_booted: bool,
    /// Why no process can be signalled without a race on this kernel; `None` when one can.
    pub cannot_signal: Option<String>,
}

/// The number of the PID namespace outside containers (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
/// The number of the time namespace of every process that was not put in another (`PROC_TIME_INIT_INO`, the same file).
pub(crate) const INITIAL_TIME_NAMESPACE: u64 = 0xEFFF_FFFA;

impl HostInfo {
    /// Whether there is nothing outside our PID namespace; also where the system has none.
    #[must_use]
    pub const fn sees_the_whole_machine(&self) -> bool {
        matches!(self.pid_namespace, 0 | INITIAL_PID_NAMESPACE)
    }

    /// Our time namespace where it is not the initial one.
    #[must_use]
    pub const fn other_time_namespace(&self) -> Option<u64> {
        match self.time_namespace {
            0 | INITIAL_TIME_NAMESPACE => None,
            other => Some(other),
        }
    }
}

/// The clock that the kernel takes start times from, and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartClock {
    /// Linux: clock ticks since boot, sleep included (proc_pid_stat(5), field 22).
    BootTicks {
        /// Ticks per second.
        per_second: u64,
    },
    /// macOS: microseconds of the time of day. Setting that clock also changes the age of running processes.
    DayMicros,
}

impl StartClock {
    /// The start time of a process that would start now.
    #[must_use]
    pub fn now(self, clock: &Clock) -> StartTime {
        let units = match self {
            Self::BootTicks { per_second } => {
                clock.boottime.as_nanos() * u128::from(per_second) / 1_000_000_000
            }
            Self::DayMicros => clock.realtime.as_micros(),
        };
        StartTime(u64::try_from(units).unwrap_or(u64::MAX))
    }

    /// The resolution: two processes with equal start times started at most this far apart.
    #[must_use]
    pub const fn unit(self) -> Duration {
        match self {
            Self::BootTicks { per_second } => {
                Duration::from_nanos(1_000_000_000 / if per_second == 0 { 1 } else { per_second })
            }
            Self::DayMicros => Duration::from_micros(1),
        }
    }

    /// How long ago a start time was; zero for one in the future.
    #[must_use]
    pub fn age(self, start: StartTime, clock: &Clock) -> Duration {
        let units = u128::from(start.0);
        let (nanos, now) = match self {
            Self::BootTicks { per_second } => {
                (units * 1_000_000_000 / u128::from(per_second.max(1)), clock.boottime)
            }
            Self::DayMicros => (units * 1_000, clock.realtime),
        };
        now.saturating_sub(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// One reading of the three clocks that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Stands still while the machine sleeps and never jumps: `CLOCK_MONOTONIC`, on macOS
    /// `CLOCK_UPTIME_RAW`. Grace is counted in it.
    pub monotonic: Duration,
    /// Since boot, sleep included: `CLOCK_BOOTTIME`, on macOS `CLOCK_MONOTONIC_RAW`.
    pub boottime: Duration,
    /// `CLOCK_REALTIME`: since 1970. It can be set, so it is for showing, and for [`StartClock::DayMicros`].
    pub realtime: Duration,
}

/// The signals that we ever send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGTERM`: a request to exit.
    Term,
    /// `SIGCONT`, after `SIGTERM`: a stopped process acts on no other signal but `SIGKILL` before it.
    Cont,
    /// `SIGKILL`: cannot be ignored.
    Kill,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Term => "TERM",
            Self::Cont => "CONT",
            Self::Kill => "KILL",
        })
    }
}

/// A unit of the service manager: the innermost unit of a cgroup path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeUnit {
    /// The unit's name, `foo.service`.
    pub name: String,
    /// The user whose manager runs it; `None` for the system's.
    pub user: Option<Uid>,
}

/// The main and control process of a unit, by its service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitMain {
    /// The unit.
    pub unit: RuntimeUnit,
    /// `MainPID=`, `None` when the unit has none.
    pub main: Option<Pid>,
    /// `ControlPID=`, `None` when the unit has none.
    pub control: Option<Pid>,
}

/// Why a fact is unknown. Never to be read as "no".
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Why {
    /// The process no longer exists, or is hidden.
    #[error("it is gone")]
    Gone,
    /// It is exiting: its memory is released, its exit not finished.
    #[error("it is exiting")]
    Exiting,
    /// The kernel refused.
    #[error("permission denied")]
    Denied,
    /// The system lets us read this process, but withholds this part of it: on macOS, the environment of
    /// programs that are protected by the system.
    #[error("the system withholds it")]
    Withheld,
    /// The read did not return in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// What was read cannot be trusted.
    #[error("{0}")]
    Garbled(&'static str),
    /// The kernel lacks the feature.
    #[error("this kernel has no {0}")]
    Unsupported(&'static str),
    /// Any other error, with the system's message.
    #[error("{0}")]
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_positive_decimal_digits() {
        assert_eq!(Pid::parse(b"4242"), Pid::new(4242));
        for bad in ["", "0", "-1", "+1", " 1", "1 ", "1a", "99999999999"] {
            assert_eq!(Pid::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn ages_are_told_in_the_unit_of_each_system() {
        let clock = Clock {
            monotonic: Duration::from_secs(5),
            boottime: Duration::from_secs(1000),
            realtime: Duration::from_secs(1_767_323_045),
        };
        let linux = StartClock::BootTicks { per_second: 100 };
        assert_eq!(linux.now(&clock), StartTime(100_000));
        assert_eq!(linux.age(StartTime(99_950), &clock), Duration::from_millis(500));
        let mac = StartClock::DayMicros;
        assert_eq!(mac.now(&clock), StartTime(1_767_323_045_000_000));
        assert_eq!(mac.age(StartTime(1_767_323_044_999_999), &clock), Duration::from_micros(1));
        assert_eq!((linux.unit(), mac.unit()), (Duration::from_millis(10), Duration::from_micros(1)));
        for start_clock in [linux, mac] {
            assert_eq!(start_clock.age(StartTime(u64::MAX), &clock), Duration::ZERO, "not born yet");
            assert_eq!(start_clock.age(start_clock.now(&clock), &clock), Duration::ZERO);
        }
    }

    #[test]
    fn states_are_told_by_their_letter() {
        assert!(State(b'Z').has_exited() && State(b'X').has_exited());
        assert!(!State(b'D').has_exited() && !State(b'T').has_exited());
        assert!(State(b'T').is_stopped() && State(b't').is_stopped() && !State(b'S').is_stopped());
    }
}
