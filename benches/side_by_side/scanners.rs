//! The compared ways to find marked orphans, each one complete: they return the same set of pids.
//!
//! All of them look for agents of the own user whose parent is PID 1 or the user manager and whose environment has
//! the marker. The others get the manager's pid; only `ours` has to find it.

use super::common::doing;
use memchr::memmem;
use reaper::config;
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::inspect::Inspector;
use reaper_engine::sightings::Sightings;
use reaper_engine::tracker::Tracker;
use reaper_platform::{Host as _, NativeHost, Pid, Scope};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

/// Pids of the marked orphans.
pub type Found = BTreeSet<u32>;

const AGENTS: [&[u8]; 3] = [b"claude", b"codex", b"goose"];
const MARKER: &[u8] = b"SPROUT_MANAGED_AGENT=1";

/// One way to scan.
pub struct Scanner {
    pub name: &'static str,
    pub scan: Box<dyn FnMut() -> Result<Found, String>>,
    /// Whether it finds orphans; the floor only reads the lists that every way has to read.
    pub answers: bool,
}

/// All of them, ours first and the floor last. What a library caches between scans is kept: this measures its
/// steady state.
pub fn all(manager: u32) -> Result<Vec<Scanner>, String> {
    let uid = rustix::process::getuid().as_raw();
    let who = Who { uid, adopters: [1, manager] };
    let context = context()?;
    let mut system = doing("set up sysinfo", sysinfo::System::new())?;
    let mut buffer = Buffer::default();
    let scanner = |name, scan, answers| Scanner { name, scan, answers };
    Ok(vec![
        scanner(
            "reaper census",
            Box::new({
                let context = context.clone();
                move || census(&context)
            }),
            true,
        ),
        scanner("reaper survey", Box::new(move || survey(&context)), true),
        scanner("sweep", Box::new(move || sweep(who)), true),
        scanner("stat walk", Box::new(move || stat_walk(who, &mut buffer)), true),
        scanner("procfs", Box::new(move || procfs(who)), true),
        scanner("sysinfo", Box::new(move || sysinfo(who, &mut system)), true),
        scanner("list read", Box::new(move || list_read(manager)), false),
    ])
}

/// The user of the agents, and the parents that make them orphans.
#[derive(Clone, Copy)]
pub struct Who {
    uid: u32,
    adopters: [u32; 2],
}

/// Reaper's own sweep up to the verdicts: census, environments, every gate of every orphan.
fn survey(context: &Context<NativeHost>) -> Result<Found, String> {
    let survey = Tracker::survey(context, &Sightings::default(), false, deadline::LIMIT);
    let survey = doing("take a survey", survey)?;
    Ok(survey.orphans().filter_map(|j| u32::try_from(j.id.pid.get()).ok()).collect())
}

/// The same without the gates: which children of the adopters are marked, as the others do it.
fn census(context: &Context<NativeHost>) -> Result<Found, String> {
    let census = doing(
        "take a census",
        reaper_engine::discover::take(&context.host, &context.policy, context.own.scope),
    )?;
    let inspector = Inspector::new(context);
    let marked = |pid: &Pid| inspector.is_interesting(&context.host.environ_of(*pid, &context.wanted));
    let named =
        |pid: &Pid| context.host.stat_of(*pid).is_ok_and(|stat| AGENTS.contains(&stat.comm.as_slice()));
    let found = census.candidates.into_iter().filter(|pid| marked(pid) && named(pid));
    Ok(found.filter_map(|pid| u32::try_from(pid.get()).ok()).collect())
}

fn context() -> Result<Context<NativeHost>, String> {
    let host = Arc::new(doing("look around", NativeHost::new())?);
    let policy =
        doing("load the defaults", config::load(&config::Sources::default(), &config::Overrides::default()))?;
    let scope = Scope::User(host.info().uid);
    Ok(Context::new(host, policy.policy(), scope))
}

/// The floor: reads the lists of children of PID 1 and of the manager, and none of the children.
fn list_read(manager: u32) -> Result<Found, String> {
    Ok(children_of(1)?.into_iter().chain(children_of(manager)?).collect())
}

fn children_of(pid: u32) -> Result<Vec<u32>, String> {
    let mut children = Vec::new();
    for task in doing("list threads", fs::read_dir(format!("/proc/{pid}/task")))?.flatten() {
        let list = doing("read children", fs::read_to_string(task.path().join("children")))?;
        children.extend(list.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(children)
}

/// The sweep that desktop applications write for their own agents, with the standard library alone: owner, name and
/// environment of every process, its parent last.
fn sweep(who: Who) -> Result<Found, String> {
    let mut found = Found::new();
    for entry in doing("list /proc", fs::read_dir("/proc"))?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if entry.metadata().map_or(true, |m| m.uid() != who.uid) {
            continue;
        }
        let path = entry.path();
        let comm = fs::read(path.join("comm")).unwrap_or_default();
        let exe = fs::read_link(path.join("exe")).unwrap_or_default();
        let exe = exe.file_name().map(|name| name.as_encoded_bytes());
        if !AGENTS.contains(&comm.trim_ascii_end()) && !exe.is_some_and(|name| AGENTS.contains(&name)) {
            continue;
        }
        if !marked(&fs::read(path.join("environ")).unwrap_or_default()) {
            continue;
        }
        let stat = fs::read(path.join("stat")).unwrap_or_default();
        if Stat::parse(&stat).is_some_and(|stat| who.adopters.contains(&stat.ppid)) {
            found.insert(pid);
        }
    }
    Ok(found)
}

/// The leanest walk: raw directory entries, one `stat` of each process relative to /proc, one buffer.
fn stat_walk(who: Who, buffer: &mut Buffer) -> Result<Found, String> {
    let proc = open_proc()?;
    let mut space = Vec::with_capacity(64 * 1024);
    let mut entries = RawDir::new(&proc, space.spare_capacity_mut());
    let mut found = Found::new();
    let mut path = String::new();
    while let Some(entry) = entries.next() {
        let entry = doing("list /proc", entry)?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let Ok(pid) = name.parse::<u32>() else { continue };
        path.clear();
        path.push_str(name);
        path.push_str("/stat");
        let Some(stat) = buffer.read(&proc, &path).and_then(Stat::parse) else { continue };
        let orphan = who.adopters.contains(&stat.ppid) && AGENTS.contains(&stat.comm);
        if orphan && uid_of(&proc, pid) == Some(who.uid) && buffer.is_marked(&proc, pid) {
            found.insert(pid);
        }
    }
    Ok(found)
}

/// The procfs crate, cheap reads first.
fn procfs(who: Who) -> Result<Found, String> {
    let mut found = Found::new();
    for process in doing("list /proc", procfs::process::all_processes())?.flatten() {
        if process.uid().ok() != Some(who.uid) {
            continue;
        }
        let Ok(stat) = process.stat() else { continue };
        let adopted = u32::try_from(stat.ppid).is_ok_and(|ppid| who.adopters.contains(&ppid));
        if !adopted || !AGENTS.contains(&stat.comm.as_bytes()) {
            continue;
        }
        let Ok(environ) = process.environ() else { continue };
        if environ.get(OsStr::new("SPROUT_MANAGED_AGENT")).is_some_and(|value| value == "1") {
            found.insert(process.pid.cast_unsigned());
        }
    }
    Ok(found)
}

/// The sysinfo crate with the least data that it can read; the environments of the last few are read by hand.
fn sysinfo(who: Who, system: &mut sysinfo::System) -> Result<Found, String> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, UpdateKind};
    let kind = ProcessRefreshKind::nothing().without_tasks().with_user(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let mut found = Found::new();
    for (pid, process) in system.processes() {
        let adopted = process.parent().is_some_and(|ppid| who.adopters.contains(&ppid.as_u32()));
        let own = process.user_id().is_some_and(|uid| **uid == who.uid);
        let named = AGENTS.contains(&process.name().as_encoded_bytes());
        if adopted && own && named && marked(&fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()) {
            found.insert(pid.as_u32());
        }
    }
    Ok(found)
}

/// Whether an environment block has the marker as a variable of its own.
fn marked(environ: &[u8]) -> bool {
    memmem::find_iter(environ, MARKER).any(|at| {
        let (before, after) = (at.checked_sub(1).map(|i| environ.get(i)), environ.get(at + MARKER.len()));
        matches!(before, None | Some(Some(0))) && matches!(after, None | Some(0))
    })
}

fn open_proc() -> Result<OwnedFd, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    doing("open /proc", rustix::fs::open("/proc", flags, Mode::empty()))
}

fn uid_of(proc: &impl AsFd, pid: u32) -> Option<u32> {
    Some(statat(proc, pid.to_string(), AtFlags::empty()).ok()?.st_uid)
}

/// One buffer for everything that is read.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    /// A whole file under /proc, by as few reads as possible; `None` when the process is gone.
    fn read(&mut self, proc: &impl AsFd, path: &str) -> Option<&[u8]> {
        self.0.resize(self.0.len().max(8 * 1024), 0);
        let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut end = 0;
        loop {
            match rustix::io::read(&file, self.0.get_mut(end..)?) {
                Ok(0) => return self.0.get(..end),
                Ok(more) => end += more,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
            // `stat` comes in one piece and ends in a newline: no second read to see its end.
            if path.ends_with("/stat") {
                return self.0.get(..end);
            }
            if end == self.0.len() {
                self.0.resize(end * 2, 0);
            }
        }
    }

    fn is_marked(&mut self, proc: &impl AsFd, pid: u32) -> bool {
        self.read(proc, &format!("{pid}/environ")).is_some_and(marked)
    }
}

/// The two facts of `/proc/PID/stat` that are needed: `4242 (goose) S 1 …`. A name may contain `)` and spaces.
struct Stat<'a> {
    comm: &'a [u8],
    ppid: u32,
}

impl<'a> Stat<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (open, close) = (memchr::memchr(b'(', line)?, memchr::memrchr(b')', line)?);
        let mut rest = line.get(close + 2..)?.split(|b| *b == b' ');
        let ppid = std::str::from_utf8(rest.nth(1)?).ok()?.parse().ok()?;
        Some(Self { comm: line.get(open + 1..close)?, ppid })
    }
}
