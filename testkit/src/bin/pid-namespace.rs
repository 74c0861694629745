//! Creates a private PID namespace and runs one command in it, with an init of the caller's choice.
//!
//! ```text
//! pid-namespace [--init NAME] [--init-arg ARG]... [--init-behaviour WORDS] [--hidepid MODE]
//!     [--user-ns root|self] [--uid UID] [--timeout S] -- CMD…
//! ```
//!
//! The command is a child of PID 1 and leads a session. Everything ends with it. Exit codes: those of the command;
//! 124 after the time limit; 125 where the machine does not allow this, with the reason on standard error.

use std::ffi::{CStr, CString, OsString};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, ptr};

use reaper_testkit::behaviour::VARIABLE;
use reaper_testkit::pid_namespace::INIT_IS_READY;
use reaper_testkit::sys;

fn main() {
    let outcome = Options::parse(std::env::args_os().skip(1)).and_then(|options| raise(&options));
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("pid-namespace: unavailable: {error}");
            std::process::exit(reaper_testkit::pid_namespace::UNAVAILABLE);
        }
    }
}

struct Options {
    init: OsString,
    init_argv: Vec<OsString>,
    /// Further `STAND_IN` words for PID 1.
    init_behaviour: String,
    hidepid: Option<String>,
    /// `root` or `self`: a user namespace that maps this user to root or to itself.
    user_ns: Option<String>,
    uid: Option<u32>,
    timeout: Duration,
    command: Vec<OsString>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = OsString>) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let mut it = Self {
            init: "tini".into(),
            init_argv: Vec::new(),
            init_behaviour: String::new(),
            hidepid: None,
            user_ns: None,
            uid: None,
            timeout: Duration::from_secs(60),
            command: Vec::new(),
        };
        while let Some(flag) = args.next() {
            if flag == "--" {
                it.command = args.collect();
                break;
            }
            let value = args.next().ok_or_else(|| wrong("an option without its value"))?;
            let text = value.to_str().map(str::to_owned);
            match flag.to_str() {
                Some("--init") => it.init = value,
                Some("--init-arg") => it.init_argv.push(value),
                Some("--init-behaviour") => {
                    it.init_behaviour.push_str(text.as_deref().unwrap_or_default());
                    it.init_behaviour.push(';');
                }
                Some("--hidepid") => it.hidepid = text,
                Some("--user-ns") => it.user_ns = text,
                Some("--uid") => it.uid = text.and_then(|text| text.parse().ok()),
                Some("--timeout") => {
                    let seconds =
                        text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong("--timeout"))?;
                    it.timeout = Duration::from_secs_f64(seconds);
                }
                _ => return Err(wrong("an unknown option")),
            }
        }
        if it.command.is_empty() { Err(wrong("no command")) } else { Ok(it) }
    }
}

/// Creates the namespace, waits for its end and returns the exit code of the command.
fn raise(options: &Options) -> io::Result<i32> {
    // Found before the view of the file system changes.
    let stand_in = std::env::current_exe()?.with_file_name("stand-in");
    become_user(options)?;
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)?;
    enter_namespaces(options)?;
    let (mut report, failed) = io::pipe()?;
    // SAFETY: this process has one thread, so the child may do what it likes.
    let init = sys::check(unsafe { libc::fork() })?;
    if init == 0 {
        drop(report);
        let error = be_init(options, &stand_in);
        drop(io::Write::write_all(&mut { failed }, error.to_string().as_bytes()));
        std::process::exit(1);
    }
    drop(failed);
    let pidfd = sys::pidfd_open(init)?;
    let mut reason = String::new();
    report.read_to_string(&mut reason)?;
    let code = wait_for(init, &pidfd, options.timeout)?;
    if reason.is_empty() { Ok(code) } else { Err(io::Error::other(reason)) }
}

fn become_user(options: &Options) -> io::Result<()> {
    let Some(uid) = options.uid else { return Ok(()) };
    // SAFETY: no groups are passed; this process has one thread.
    sys::check(unsafe { libc::setgroups(0, ptr::null()) })?;
    // SAFETY: as above.
    sys::check(unsafe { libc::setresgid(uid, uid, uid) })?;
    // SAFETY: as above.
    sys::check(unsafe { libc::setresuid(uid, uid, uid) })?;
    // The change made us undumpable: the files under /proc/self would belong to root.
    sys::prctl(libc::PR_SET_DUMPABLE, 1)
}

fn enter_namespaces(options: &Options) -> io::Result<()> {
    // SAFETY: these calls only report ids.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let user_ns = options.user_ns.as_deref().or((uid != 0).then_some("root"));
    if let Some(map) = user_ns {
        unshare(libc::CLONE_NEWUSER, "a user namespace")?;
        let inside = |id: u32| if map == "self" { id } else { 0 };
        fs::write("/proc/self/setgroups", "deny").map_err(|error| because("setgroups", &error))?;
        fs::write("/proc/self/uid_map", format!("{} {uid} 1", inside(uid)))
            .map_err(|error| because("uid_map", &error))?;
        fs::write("/proc/self/gid_map", format!("{} {gid} 1", inside(gid)))
            .map_err(|error| because("gid_map", &error))?;
    }
    unshare(libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP | libc::CLONE_NEWPID, "PID and mount namespaces")
}

fn unshare(flags: i32, what: &str) -> io::Result<()> {
    // SAFETY: this process has one thread; unshare touches no memory.
    sys::check(unsafe { libc::unshare(flags) }).map(drop).map_err(|error| because(what, &error))
}

fn because(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

/// What PID 1 does until it executes the requested init. Returns only an error.
fn be_init(options: &Options, stand_in: &Path) -> io::Error {
    let prepared = sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)
        .and_then(|()| mount_all(options))
        .and_then(|()| install_init(options, stand_in))
        .and_then(|init| Ok((init, fork_command(options)?)));
    match prepared {
        Ok((init, command_pid)) => {
            let argv0 = options.init_argv.first().unwrap_or(&options.init);
            let mut command = Command::new(init);
            command.arg0(argv0).args(options.init_argv.iter().skip(1)).env_clear();
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
            command.env(
                VARIABLE,
                format!(
                    "exit-with={command_pid};request-dir=/run/testkit/requests;ready={INIT_IS_READY};{}",
                    options.init_behaviour
                ),
            );
            command.stdin(Stdio::null()).exec()
        }
        Err(error) => error,
    }
}

fn mount_all(options: &Options) -> io::Result<()> {
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, None)?;
    let hidepid = options.hidepid.as_ref().map(|mode| format!("hidepid={mode}"));
    let quiet = libc::MS_NOSUID | libc::MS_NODEV;
    mount(c"proc", c"/proc", c"proc", quiet | libc::MS_NOEXEC, hidepid.as_deref())?;
    mount(c"tmpfs", c"/run", c"tmpfs", quiet, Some("mode=0755"))?;
    fs::create_dir_all("/run/testkit/requests")?;
    fs::create_dir_all("/run/testkit/init")
}

fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: libc::c_ulong,
    options: Option<&str>,
) -> io::Result<()> {
    let data = options.map(CString::new).transpose()?;
    let data = data.as_ref().map_or(ptr::null(), |data| data.as_ptr().cast());
    // SAFETY: all strings are valid and outlive the call.
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data) };
    sys::check(done)
        .map(drop)
        .map_err(|error| because(&format!("mount {}", target.to_string_lossy()), &error))
}

/// A copy of the stand-in under the init's name.
fn install_init(options: &Options, stand_in: &Path) -> io::Result<PathBuf> {
    let init = Path::new("/run/testkit/init").join(&options.init);
    fs::copy(stand_in, &init).map_err(|error| because("stand-in", &error))?;
    Ok(init)
}

/// Forks the process that runs the command once PID 1 has become the init.
fn fork_command(options: &Options) -> io::Result<i32> {
    let (mut ready, held) = io::pipe()?;
    // SAFETY: this process has one thread, so the child may do what it likes.
    let pid = sys::check(unsafe { libc::fork() })?;
    if pid != 0 {
        // Closed by the exec of the init, which is what the child waits for.
        std::mem::forget((ready, held));
        return Ok(pid);
    }
    drop(held);
    drop(ready.read(&mut [0]));
    // SAFETY: setsid has no preconditions.
    unsafe { libc::setsid() };
    sys::dispose(libc::SIGPIPE, false);
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]).env_remove(VARIABLE).stdin(Stdio::null());
    let error = command.exec();
    eprintln!("pid-namespace: {}: {error}", options.command[0].display());
    std::process::exit(127);
}

/// Waits for PID 1, and ends it (and so everything) when time is up.
fn wait_for(init: i32, pidfd: &OwnedFd, timeout: Duration) -> io::Result<i32> {
    let late = !sys::readable_within(pidfd, timeout.as_millis().try_into().unwrap_or(i32::MAX))?;
    if late {
        eprintln!("pid-namespace: not done after {timeout:?}: everything in it is ended");
        sys::pidfd_signal(pidfd, libc::SIGKILL)?;
    }
    let status = sys::wait(init, 0)?.map_or(0, |(_, status)| status);
    Ok(if late { reaper_testkit::pid_namespace::TIMED_OUT } else { sys::exit_code(status) })
}
