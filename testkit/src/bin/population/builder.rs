//! Builds the population. Each helper is this executable started again with other arguments, so that its children
//! are orphaned by a real exit and every process has been through exec.

use crate::images::{doing, helper, here, image, images, manager_image, turn_into, turned, until_turned};
use crate::options::{HANDED_DOWN, Options, USAGE};
use crate::sleeper::Part;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, Pid, fork, setsid};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const AGENTS: [&str; 3] = ["claude", "codex", "goose"];
const PLAIN: [&str; 3] = ["node", "bash", "python3"];
const HELPERS: [&str; 2] = ["systemd", "launcher"];
/// Exit status when the population could not be built, as `timeout` and `env` have it.
pub const FAILED: u8 = 125;
const USER: u32 = 1000;
const OTHER_USER: u32 = 1001;

/// Runs the part that the arguments select; returns the exit status.
pub fn dispatch(args: &[String]) -> Result<u8, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["usage", "--", ..] => crate::usage::measure(args.get(2..).unwrap_or_default()),
        ["--system", "--", ..] => be_pid_1(args.get(2..).unwrap_or_default()),
        ["manager"] => be_manager(),
        ["launch", kind, from, count] => launch(kind, number(from)?, number(count)?),
        ["session"] => be_session(),
        ["parent", kids, marked] => be_parent(number(kids)?, number(marked)?),
        ["churn", rate] => churn(number(rate)?),
        _ => make(args),
    }
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number"))
}

/// The outermost process: makes the namespaces, starts PID 1 in them and waits for it.
fn make(args: &[String]) -> Result<u8, String> {
    let (options, command) = Options::parse(args)?;
    if command.is_empty() {
        return Err(USAGE.into());
    }
    // Every name is a hard link to one copy of this executable, so that comm and exe look like real agents'.
    let dir = doing("make a directory", tempfile::Builder::new().prefix("population.").tempdir())?;
    doing(
        "open the directory to all",
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)),
    )?;
    let first = dir.path().join("claude");
    doing("copy this executable", std::fs::copy("/proc/self/exe", &first))?;
    for name in AGENTS.iter().chain(&PLAIN).chain(&HELPERS).filter(|n| **n != "claude") {
        doing("link this executable", std::fs::hard_link(&first, dir.path().join(name)))?;
    }
    let spaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP;
    doing("make namespaces (root is needed)", unshare(spaces))?;
    let mut pid_1 = Command::new(dir.path().join("systemd"));
    pid_1.arg0("/usr/lib/systemd/systemd").args(["--system", "--"]).args(command);
    let mut child = doing("start PID 1", pid_1.env(HANDED_DOWN, options.to_words()).spawn())?;
    // An interrupt ends COMMAND, and with it everything else; this process stays to clean up.
    // SAFETY: SIG_IGN installs no handler, so no code of ours can run in signal context.
    let _ = unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) };
    let status = doing("wait for PID 1", child.wait())?;
    Ok(exit_status(status.code(), status.signal()))
}

/// PID 1 of the namespace: has everything built, runs COMMAND, and reaps until that exits.
fn be_pid_1(command: &[String]) -> Result<u8, String> {
    doing("die with the parent", prctl::set_pdeathsig(Signal::SIGKILL))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    doing("keep mounts private", mount(None::<&str>, "/", None::<&str>, private, None::<&str>))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    doing("mount /proc", mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>))?;
    let options = Options::handed_down()?;

    let mut manager = helper("systemd", &["manager"])?;
    let manager = until_turned(manager.uid(USER).gid(USER).stdout(Stdio::piped()))?;
    run_launch(USER, "agents", options.managed, options.orphans - options.managed)?;
    run_launch(USER, "daemons", 0, options.daemons / 2)?;
    run_launch(OTHER_USER, "daemons", 0, options.daemons.div_ceil(2))?;
    run_launch(USER, "unmarked-agents", 0, options.decoys)?;
    run_launch(USER, "marked-others", 0, options.decoys)?;
    run_launch(OTHER_USER, "quiet-agents", 0, options.decoys)?;
    until_turned(helper("launcher", &["session"])?.stdout(Stdio::piped()))?;
    // All have executed; this gives the last ones time to set their SIGTERM action and to sleep.
    std::thread::sleep(Duration::from_millis(200));
    if options.churn > 0 {
        let rate = options.churn.to_string();
        doing("start the churn", helper("launcher", &["churn", &rate])?.spawn())?;
    }

    let (program, args) = command.split_first().ok_or("no COMMAND")?;
    let mut run = Command::new(program);
    run.args(args).env_remove(HANDED_DOWN);
    run.env("POPULATION_EXPECT", options.orphans.to_string());
    run.env("POPULATION_MANAGER", manager.to_string()).env("POPULATION_UID", USER.to_string());
    if let Ok(uid @ 1..) = u32::try_from(options.command_uid) {
        run.uid(uid).gid(uid);
    }
    let command = doing(&format!("run `{program}`"), run.spawn())?.id();
    let command = Pid::from_raw(command.cast_signed());
    loop {
        match doing("wait", wait())? {
            WaitStatus::Exited(pid, code) if pid == command => return Ok(exit_status(Some(code), None)),
            WaitStatus::Signaled(pid, signal, _) if pid == command => {
                return Ok(exit_status(None, Some(signal as i32)));
            }
            _ => {}
        }
    }
}

/// The exit status that a shell would report.
fn exit_status(code: Option<i32>, signal: Option<i32>) -> u8 {
    u8::try_from(code.unwrap_or_else(|| 128 + signal.unwrap_or(0))).unwrap_or(FAILED)
}

/// Runs a launcher that starts sleepers of a kind and exits, and waits for its exit.
fn run_launch(uid: u32, kind: &str, from: usize, count: usize) -> Result<(), String> {
    let mut launcher = helper("launcher", &["launch", kind, &from.to_string(), &count.to_string()])?;
    launcher.uid(uid).gid(uid).stdin(Stdio::null()).stdout(Stdio::null());
    match doing("run a launcher", launcher.status())?.success() {
        true => Ok(()),
        false => Err(format!("the launcher of {count} {kind} failed")),
    }
}

/// The stand-in `systemd --user`: gets orphans and services as children, then only reaps.
fn be_manager() -> Result<u8, String> {
    doing("start a session", setsid())?;
    doing("become a subreaper", prctl::set_child_subreaper(true))?;
    let options = Options::handed_down()?;
    run_launch(USER, "agents", 0, options.managed)?;
    run_launch(USER, "daemons", 0, options.daemons)?;
    turn_into(&mut manager_image(&options)?)
}

/// Starts `count` sleepers in a session of its own and exits: they become orphans whose session leader is dead.
fn launch(kind: &str, from: usize, count: usize) -> Result<u8, String> {
    doing("start a session", setsid())?;
    let options = Options::handed_down()?;
    let (names, marked): (&[&str], bool) = match kind {
        "agents" | "quiet-agents" => (&AGENTS, true),
        "unmarked-agents" => (&AGENTS, false),
        "marked-others" => (&["node"], true),
        _ => (&PLAIN, false),
    };
    let drains = if options.delay_ms > 0 {
        Part::Drains(u32::try_from(options.delay_ms).unwrap_or(u32::MAX))
    } else {
        Part::Plain
    };
    let mut willing = images(&options, names, drains, marked)?;
    let mut deaf = images(&options, names, Part::Deaf, marked)?;
    for i in from..from + count {
        // Spread evenly over all agents, also if several launchers start them.
        let ignores = kind == "agents" && (i + 1) * options.ignoring / 100 > i * options.ignoring / 100;
        let images = if ignores { &mut deaf } else { &mut willing };
        if let Some(image) = images.get_mut(i % names.len()) {
            // As real launchers do, so that a signal to one agent's group reaches one agent.
            doing("start an agent", image.process_group(0).spawn())?;
        }
    }
    Ok(0)
}

/// One session that holds all the live parents, so that PID 1 has few children of its own.
fn be_session() -> Result<u8, String> {
    doing("start a session", setsid())?;
    let options = Options::handed_down()?;
    let (mut left, mut live) = (options.ordinary(), options.live);
    let mut starting: Option<Child> = None;
    for uid in [USER, OTHER_USER].into_iter().cycle() {
        if left == 0 {
            break;
        }
        let kids = options.fan.min(left - 1);
        let marked = if uid == USER { live.min(kids) } else { 0 };
        (left, live) = (left - kids - 1, live - marked);
        let mut parent = helper("launcher", &["parent", &kids.to_string(), &marked.to_string()])?;
        let next = doing("start a parent", parent.uid(uid).gid(uid).stdout(Stdio::piped()).spawn())?;
        // Two at a time: one is being started while the other starts its children.
        if let Some(before) = starting.replace(next) {
            turned(before)?;
        }
    }
    if let Some(last) = starting {
        turned(last)?;
    }
    become_shell(&options)
}

/// A live parent: starts its children, the first `marked` of them agents, and executes as a shell.
fn be_parent(kids: usize, marked: usize) -> Result<u8, String> {
    // The children stay in this session, whose leader lives: nothing suggests that an ancestor has died.
    doing("start a session", setsid())?;
    let options = Options::handed_down()?;
    let mut agents = images(&options, &AGENTS, Part::Plain, true)?;
    let mut plain = images(&options, &PLAIN, Part::Plain, false)?;
    for i in 0..kids {
        let images = if i < marked { &mut agents } else { &mut plain };
        if let Some(image) = images.get_mut(i % 3) {
            doing("start a child", image.spawn())?;
        }
    }
    become_shell(&options)
}

fn become_shell(options: &Options) -> Result<u8, String> {
    let mut shell = image(options, &here()?, "bash", Part::Collects, false);
    turn_into(&mut shell)
}

/// Leaves `rate` children a second to PID 1, each of which lives for 0 to 40 ms.
fn churn(rate: usize) -> Result<u8, String> {
    let gap = Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
    let mut next = Instant::now();
    for i in 0_u64.. {
        // SAFETY: this process has one thread, so the child may go on as if it were the parent.
        if let ForkResult::Child = doing("fork", unsafe { fork() })? {
            // SAFETY: as above.
            if let ForkResult::Child = doing("fork", unsafe { fork() })? {
                // Multiples of the golden ratio are spread evenly without being regular.
                std::thread::sleep(Duration::from_micros(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 40_000));
            }
            return Ok(0);
        }
        doing("wait", wait())?;
        next += gap;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(0)
}
