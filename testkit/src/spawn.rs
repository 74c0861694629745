//! The forks: how a spawner (the test, or a stand-in on request) starts a process from its spec.
//!
//! A test has threads, so between fork and exec only async-signal-safe calls are made, on strings prepared before.

use std::ffi::{CString, OsStr, OsString};
use std::{io, ptr};

use libc::{c_char, c_int, pid_t};

use crate::spawn_spec::{Shape, SpawnSpec};
use crate::sys::{Held, c_string};

/// A spec with all its memory laid out for `execve`.
struct Prepared {
    exe: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    argv_pointers: Vec<*const c_char>,
    env_pointers: Vec<*const c_char>,
    ready: CString,
    go: CString,
    spec: SpawnSpec,
    big: bool,
}

/// Forks what the spec describes. Returns the pid of the caller's new child: the process itself for
/// [`Shape::Child`], else its launcher, which ends once its `go` FIFO has been opened and closed.
pub fn spawn(spec: &SpawnSpec) -> io::Result<pid_t> {
    let prepared = Prepared::new(spec)?;
    let set_tid = if spec.shape == Shape::Child { spec.pid } else { None };
    // Children and grandchildren inherit the mask: SIGTERM can at no time end the new process unrecorded.
    let _held = if spec.holds_term { Some(Held::new(&[libc::SIGTERM])?) } else { None };
    // SAFETY: the child only runs `Prepared::run`, which keeps to async-signal-safe calls and never returns.
    match unsafe { fork(set_tid) }? {
        // SAFETY: as above; this is the forked child.
        0 => unsafe { prepared.run() },
        child => Ok(child),
    }
}

impl Prepared {
    fn new(spec: &SpawnSpec) -> io::Result<Self> {
        let argv = spec.argv.iter().map(|text| c_string(text)).collect::<io::Result<Vec<_>>>()?;
        let env = spec.env.iter().map(|text| c_string(text)).collect::<io::Result<Vec<_>>>()?;
        let size: usize = argv.iter().chain(&env).map(|text| text.as_bytes().len() + 9).sum();
        Ok(Self {
            exe: c_string(&spec.exe)?,
            argv_pointers: pointers(&argv),
            env_pointers: pointers(&env),
            argv,
            env,
            ready: c_string(&spec.ready)?,
            go: c_string(&spec.go)?,
            spec: spec.clone(),
            big: size > 1 << 20,
        })
    }

    /// What the launcher does, or the process itself.
    ///
    /// # Safety
    /// Only in a forked child.
    unsafe fn run(&self) -> ! {
        // SAFETY: the caller is a forked child; all calls below are async-signal-safe.
        unsafe {
            match self.spec.shape {
                Shape::Child => self.become_it(),
                Shape::Orphan | Shape::OrphanInSession => self.fork_and_leave(),
                Shape::OrphanOfDeadLeader => {
                    libc::setsid();
                    self.fork_and_leave()
                }
                Shape::OrphanDoubleFork => match fork(None) {
                    Ok(0) => {
                        libc::setsid();
                        self.fork_and_leave()
                    }
                    Ok(_) => libc::_exit(0),
                    Err(error) => self.fail(&error),
                },
            }
        }
    }

    /// # Safety
    /// Only in a forked child.
    unsafe fn fork_and_leave(&self) -> ! {
        // SAFETY: the caller is a forked child; all calls below are async-signal-safe.
        unsafe {
            match fork(self.spec.pid) {
                Ok(0) => self.become_it(),
                Ok(_) => {
                    let go = libc::open(self.go.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
                    let mut byte = 0_u8;
                    libc::read(go, (&raw mut byte).cast(), 1);
                    libc::_exit(0)
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// # Safety
    /// Only in a forked child.
    unsafe fn become_it(&self) -> ! {
        debug_assert!(self.argv.len() < self.argv_pointers.len() && self.env.len() < self.env_pointers.len());
        // SAFETY: the caller is a forked child; all calls below are async-signal-safe; the pointer arrays end
        // with null and point into strings that `self` owns.
        unsafe {
            if self.spec.own_session || self.spec.shape == Shape::OrphanInSession {
                libc::setsid();
            }
            if self.spec.own_group {
                libc::setpgid(0, 0);
            }
            reset_signals(self.spec.holds_term);
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            for fd in 0..3 {
                libc::dup2(null, fd);
            }
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if self.big {
                let limit = libc::rlimit { rlim_cur: 64 << 20, rlim_max: libc::RLIM_INFINITY };
                libc::setrlimit(libc::RLIMIT_STACK, &raw const limit);
            }
            if let Some(uid) = self.spec.uid.filter(|&uid| uid != libc::geteuid()) {
                // The raw calls: libc's would try to change all threads, which do not exist after the fork.
                let none = ptr::null::<libc::gid_t>();
                let changed = libc::syscall(libc::SYS_setgroups, 0, none) == 0
                    && libc::syscall(libc::SYS_setresgid, uid, uid, uid) == 0
                    && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0;
                if !changed {
                    self.fail(&io::Error::last_os_error());
                }
            }
            if self.spec.foreign {
                self.report(b' ', libc::getpid());
            }
            // A sibling's fork may hold the freshly copied program open for writing for a moment.
            for _ in 0..200 {
                libc::execve(self.exe.as_ptr(), self.argv_pointers.as_ptr(), self.env_pointers.as_ptr());
                if io::Error::last_os_error().raw_os_error() != Some(libc::ETXTBSY) {
                    break;
                }
                libc::usleep(1000);
            }
            self.fail(&io::Error::last_os_error())
        }
    }

    /// # Safety
    /// Only in a forked child.
    unsafe fn fail(&self, error: &io::Error) -> ! {
        // SAFETY: the caller is a forked child; these calls are async-signal-safe.
        unsafe {
            self.report(b'!', error.raw_os_error().unwrap_or(libc::EIO));
            libc::_exit(127)
        }
    }

    /// Writes `mark` and `number` into the ready FIFO, without allocating.
    ///
    /// # Safety
    /// Only in a forked child.
    unsafe fn report(&self, mark: u8, number: c_int) {
        let mut line = [b' '; 13];
        line[0] = mark;
        line[12] = b'\n';
        let mut rest = number;
        for place in (1..12).rev() {
            line[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // SAFETY: the strings and the buffer are valid; the calls are async-signal-safe.
        unsafe {
            let fd = libc::open(self.ready.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
            libc::write(fd, line.as_ptr().cast(), line.len());
            libc::close(fd);
        }
    }
}

/// A fork that skips libc's own handlers (they take locks) and can ask for a pid.
///
/// # Safety
/// The child must keep to async-signal-safe calls until it execs or exits.
unsafe fn fork(pid: Option<pid_t>) -> io::Result<pid_t> {
    // SAFETY: clone_args is plain data; zero means "not asked for".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(pid) = &pid {
        args.set_tid = ptr::from_ref(pid) as u64;
        args.set_tid_size = 1;
    }
    // SAFETY: without CLONE_VM the child has its own copy of all memory; `args` outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as pid_t) }
}

/// Executes `exe`, with default signals and just this environment. Returns only when that fails.
pub fn exec(exe: &OsStr, argv: &[OsString], env: &[OsString]) -> io::Error {
    let strings = |list: &[OsString]| list.iter().map(|text| c_string(text)).collect::<io::Result<Vec<_>>>();
    let (exe, argv, env) = match (c_string(exe), strings(argv), strings(env)) {
        (Ok(exe), Ok(argv), Ok(env)) => (exe, argv, env),
        _ => return io::ErrorKind::InvalidInput.into(),
    };
    let (argv, env) = (pointers(&argv), pointers(&env));
    // SAFETY: this process is about to exec; the arrays end with null and point into strings that are alive.
    unsafe {
        reset_signals(false);
        libc::execve(exe.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    io::Error::last_os_error()
}

/// What `execve` wants: pointers to the strings, and a null.
fn pointers(list: &[CString]) -> Vec<*const c_char> {
    list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// Resets all dispositions, and the mask to empty or to SIGTERM alone.
///
/// # Safety
/// Only in a process about to exec: it forgets the handlers of this one.
unsafe fn reset_signals(holds_term: bool) {
    // SAFETY: the calls are async-signal-safe, and `set` is initialised by sigemptyset before its use.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        if holds_term {
            libc::sigaddset(&raw mut set, libc::SIGTERM);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
    }
}
