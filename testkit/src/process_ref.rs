//! A process, held by a pidfd, so that it cannot be confused with a later one that has the same pid.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sys;

/// A process that was started, and may have ended since.
#[derive(Clone, Debug)]
pub struct ProcessRef {
    /// Its process id.
    pub pid: i32,
    pidfd: Arc<OwnedFd>,
}

impl ProcessRef {
    /// Opens the running process `pid`.
    pub fn open(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, pidfd: Arc::new(sys::pidfd_open(pid)?) })
    }

    /// Whether it runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.wait_exit(Duration::ZERO)
    }

    /// Waits until it has exited (a zombie or reaped); returns whether it has.
    #[must_use]
    pub fn wait_exit(&self, timeout: Duration) -> bool {
        let ms = timeout.as_millis().try_into().unwrap_or(i32::MAX);
        sys::readable_within(&self.pidfd, ms).unwrap_or(false)
    }

    /// Waits until its pid is free again: exited and reaped. A child of the caller is reaped here.
    #[must_use]
    pub fn wait_reaped(&self, timeout: Duration) -> bool {
        self.wait_exit(timeout)
            && poll(timeout, || {
                drop(sys::wait(self.pid, libc::WNOHANG));
                // An error: the process is gone. (Its pid may already be in use again.)
                sys::pidfd_signal(&self.pidfd, 0).is_err()
            })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        sys::pidfd_signal(&self.pidfd, signal)
    }

    /// Ends it with SIGKILL and waits for the end.
    pub fn kill(&self) {
        drop(self.signal(libc::SIGKILL));
        assert!(self.wait_exit(Duration::from_secs(10)), "{} does not exit", self.pid);
    }

    /// Waits until `condition` holds for it, at most five seconds; returns whether it does.
    #[must_use]
    pub fn wait_until(&self, condition: impl Fn(&Self) -> bool) -> bool {
        poll(Duration::from_secs(5), || condition(self))
    }

    /// A field of `/proc/PID/stat` by its number in proc(5), from 3 on.
    #[must_use]
    pub fn stat(&self, field: usize) -> Option<String> {
        let stat = self.read("stat").ok()?;
        let tail = &stat[stat.iter().rposition(|&byte| byte == b')')? + 1..];
        let tail = String::from_utf8_lossy(tail);
        tail.split_whitespace().nth(field - 3).map(str::to_owned)
    }

    fn number(&self, field: usize) -> i32 {
        self.stat(field).and_then(|text| text.parse().ok()).unwrap_or(-1)
    }

    /// `S`, `T`, `Z`…; `X` when there is no such process.
    #[must_use]
    pub fn state(&self) -> char {
        self.stat(3).and_then(|text| text.chars().next()).unwrap_or('X')
    }

    /// Its parent; `-1` when it is gone.
    #[must_use]
    pub fn ppid(&self) -> i32 {
        self.number(4)
    }

    /// Its process group; `-1` when it is gone.
    #[must_use]
    pub fn pgid(&self) -> i32 {
        self.number(5)
    }

    /// Its session; `-1` when it is gone.
    #[must_use]
    pub fn sid(&self) -> i32 {
        self.number(6)
    }

    /// Its start time in ticks since boot; `0` when it is gone.
    #[must_use]
    pub fn start_ticks(&self) -> u64 {
        self.stat(22).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Its user; `None` when it is gone.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        let status = String::from_utf8_lossy(&self.read("status").ok()?).into_owned();
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok())
    }

    /// The kernel's short name of it.
    #[must_use]
    pub fn comm(&self) -> OsString {
        let mut comm = self.read("comm").unwrap_or_default();
        comm.pop();
        OsString::from_vec(comm)
    }

    /// The path of its program file.
    pub fn exe(&self) -> io::Result<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid))
    }

    /// Its argument area, as it is now.
    #[must_use]
    pub fn cmdline(&self) -> Vec<u8> {
        self.read("cmdline").unwrap_or_default()
    }

    /// Its environment block, as it is now.
    pub fn environ(&self) -> io::Result<Vec<u8>> {
        self.read("environ")
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        fs::read(format!("/proc/{}/{file}", self.pid))
    }
}

/// Polls `condition` every quarter of a millisecond; returns whether it held before the timeout.
pub(crate) fn poll(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_micros(250));
    }
}
