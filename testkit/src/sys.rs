//! The few system calls the testkit makes by hand, as safe functions that return `io::Result`.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use libc::{c_int, pid_t};

/// Turns the `-1` of a C call into the error it stands for.
pub fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A C string; an error when `text` holds a NUL.
pub fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL in a string"))
}

/// The signal that announces a spawn request to a stand-in.
#[must_use]
pub fn request_signal() -> c_int {
    libc::SIGRTMIN() + 5
}

/// Opens a pidfd of the process `pid`.
pub fn pidfd_open(pid: pid_t) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as c_int)?;
    // SAFETY: the kernel has just given us this descriptor; it is held nowhere else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal` to the process of a pidfd.
pub fn pidfd_signal(pidfd: &OwnedFd, signal: c_int) -> io::Result<()> {
    // SAFETY: a null siginfo asks for the plain kill(2) semantics.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(sent as c_int).map(drop)
}

/// Waits until `fd` is readable or `timeout_ms` have passed; returns whether it is.
pub fn readable_within(fd: &OwnedFd, timeout_ms: c_int) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: `poll` is one valid pollfd that outlives the call.
        match check(unsafe { libc::poll(&raw mut poll, 1, timeout_ms) }) {
            Ok(ready) => return Ok(ready > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the child `pid` (`-1`: any child) and gives its pid and status; `None` when nothing has ended yet.
pub fn wait(pid: pid_t, flags: c_int) -> io::Result<Option<(pid_t, c_int)>> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result.
        match check(unsafe { libc::waitpid(pid, &raw mut status, flags) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid, status))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The child among `pid` (`-1`: any child) that has exited, with the status that [`wait`] will return. It stays to be
/// reaped; `None` when none has exited yet.
pub fn ended(pid: pid_t) -> io::Result<Option<(pid_t, c_int)>> {
    let (kind, id) = if pid == -1 { (libc::P_ALL, 0) } else { (libc::P_PID, pid.cast_unsigned()) };
    // SAFETY: all zeroes are a siginfo, and one without a child.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is a valid place for the result.
    check(unsafe { libc::waitid(kind, id, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) })?;
    // SAFETY: `waitid` has filled in what it says of a child, or left the zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let status = match info.si_code {
        libc::CLD_EXITED => (status & 0xff) << 8,
        libc::CLD_DUMPED => status | 0x80,
        _ => status,
    };
    Ok((pid != 0).then_some((pid, status)))
}

/// The exit code a shell would report for this wait status.
#[must_use]
pub fn exit_code(status: c_int) -> c_int {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// The monotonic clock.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// `prctl` with one argument.
pub fn prctl(option: c_int, argument: u64) -> io::Result<()> {
    // SAFETY: only used with options that take integers.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }).map(drop)
}

/// Blocks or unblocks `signals` in this thread.
pub fn mask(how: c_int, signals: &[c_int]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(how, &raw const set, std::ptr::null_mut()) }).map(drop)
}

/// Blocks signals in this thread, and in its forks, until it is dropped.
pub struct Held {
    before: libc::sigset_t,
}

impl Held {
    /// Blocks `signals`.
    pub fn new(signals: &[c_int]) -> io::Result<Self> {
        let (set, mut before) = (signal_set(signals), signal_set(&[]));
        // SAFETY: both sets are initialised and outlive the call.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before) })?;
        Ok(Self { before })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: `before` is what the kernel gave us; the mask of now is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

/// A signal that was waited for.
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// The signal.
    pub signal: c_int,
    /// The pid of the sender; for SIGCHLD of the child.
    pub sender: pid_t,
}

/// Waits for one of the blocked `signals`, at most `timeout_ms` (`None`: for ever).
pub fn wait_signal(signals: &[c_int], timeout_ms: Option<u64>) -> io::Result<Option<Caught>> {
    let set = signal_set(signals);
    let limit = timeout_ms.map(|ms| libc::timespec {
        tv_sec: (ms / 1000) as libc::time_t,
        tv_nsec: ((ms % 1000) * 1_000_000) as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: all zeroes are a siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is initialised, `info` is a valid place, `limit` is null or points to a live timespec.
    match check(unsafe { libc::sigtimedwait(&raw const set, &raw mut info, limit) }) {
        // SAFETY: all signals that are waited for here come from a process, so `si_pid` is set.
        Ok(signal) => Ok(Some(Caught { signal, sender: unsafe { info.si_pid() } })),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Sets the soft and the hard limit of open files of a command.
pub fn limit_files(command: &mut Command, soft: u64, hard: u64) {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the closure makes one async-signal-safe call on memory of its own.
    unsafe {
        command.pre_exec(move || check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)).map(drop));
    }
}

/// Ends this thread alone, even the main one: libc's `exit` would end all threads.
pub fn exit_thread() -> ! {
    // SAFETY: the call does not return, and the caller needs nothing of this thread any more.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("exit(2) does not return")
}

/// Sets `signal` to its default disposition, or ignores it.
pub fn dispose(signal: c_int, ignore: bool) {
    // SAFETY: neither disposition runs code of ours.
    unsafe { libc::signal(signal, if ignore { libc::SIG_IGN } else { libc::SIG_DFL }) };
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain data; sigemptyset gives it a meaning before it is used.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place.
    unsafe { libc::sigemptyset(&raw mut set) };
    for &signal in signals {
        // SAFETY: `set` is initialised.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}
