//! One simulated process.

use std::time::Duration;

use super::pid;
use crate::environ::{self, EnvironScan, Wanted};
use crate::sockets::{Folder, Listener, each_once};
use crate::types::{Ids, Image, Pid, RuntimeUnit, StartTime, Stat, State, Uid, Why};

/// The serial number of a process that exited long ago.
const LONG_DEAD: u64 = u64::MAX;

/// How a process reacts to a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// It exits at once.
    Exit,
    /// It exits this much later.
    ExitAfter(Duration),
    /// It runs on. For SIGKILL: it is stuck in the kernel.
    Ignore,
    /// It forks this child and exits; the child is reparented.
    LeaveChild(Box<Process>),
    /// Its main thread ends and the others run on.
    ExitMainThread,
}

/// One process. The fields are what the kernel would report; [`Process::new`] makes an ordinary orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: Pid,
    /// Its parent; `None` when that is outside our PID namespace.
    pub ppid: Option<Pid>,
    /// Its process group.
    pub group: Option<Pid>,
    /// Its session.
    pub session: Option<Pid>,
    /// When it started; processes that reuse a pid often have the same start time.
    pub start: StartTime,
    /// A number that is never reused, like the inode of a pidfd; assigned by the machine.
    pub serial: u64,
    /// Its user ids and PID namespace.
    pub ids: Ids,
    /// The kernel's short name of the program, at most 15 bytes.
    pub comm: Vec<u8>,
    /// The path of its program file.
    pub exe: Vec<u8>,
    /// Its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Its environment block as it is now.
    pub environ: Vec<u8>,
    /// The length of the block at `execve`, in bytes.
    pub environ_len: u64,
    /// The service manager's unit that it runs in.
    pub unit: Option<RuntimeUnit>,
    /// Its time namespace, a number as in [`HostInfo::time_namespace`](crate::types::HostInfo::time_namespace).
    pub time_namespace: u64,
    /// What it accepts connections on.
    pub listeners: Vec<Listener>,
    /// The directory of its sockets, if that exists.
    pub folder: Option<Folder>,
    /// Scheduler state; `Z` once it has ended and not been collected.
    pub state: State,
    /// How many threads are left. With state `Z` and more than one, only its main thread has ended.
    pub threads: u64,
    /// Whether it was sent SIGTERM while it was stopped.
    pub has_term_pending: bool,
    /// How many programs it has executed.
    pub images: u64,
    /// Where its last execve(2) put its arguments: the machine gives each process a place of its own, and a child that
    /// it forks while it runs keeps its parent's.
    pub place: u64,
    /// Whether its memory is released while its exit is not finished.
    pub exiting: bool,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Whether orphans below it become its children (`PR_SET_CHILD_SUBREAPER`).
    pub adopts: bool,
    /// Whether it reaps its children when they exit.
    pub collects: bool,
    /// On a Mac, the serial number of the process that started it; `None` where that is unknown.
    pub starter: Option<u64>,
    /// On a Mac, whether the system withholds its environment.
    pub is_withheld: bool,
    /// Why its environment, program file and descriptors cannot be read even by its own user.
    pub closed: Option<Why>,
    /// What it does on SIGTERM.
    pub on_term: Reaction,
    /// What it does on SIGKILL.
    pub on_kill: Reaction,
}

impl Process {
    /// An orphan of user 1000 that runs `/usr/bin/PROGRAM`, in a session whose leader is dead, with an
    /// environment without a marker.
    #[must_use]
    pub fn new(number: i32, program: &str) -> Self {
        let user = Uid(1000);
        Self {
            pid: pid(number),
            ppid: Some(Pid::INIT),
            group: Some(pid(90_000)),
            session: Some(pid(90_000)),
            start: StartTime(1_000 + u64::from(number.unsigned_abs())),
            serial: 0,
            ids: Ids { real: user, effective: user, saved: user, same_pid_namespace: true },
            comm: program.bytes().take(15).collect(),
            exe: format!("/usr/bin/{program}").into_bytes(),
            argv: vec![program.as_bytes().to_vec()],
            environ: Vec::new(),
            environ_len: 0,
            unit: None,
            time_namespace: super::TIME_NAMESPACE,
            listeners: Vec::new(),
            folder: None,
            state: State(b'S'),
            threads: 1,
            has_term_pending: false,
            images: 1,
            place: 0,
            exiting: false,
            rss_bytes: 1 << 20,
            adopts: false,
            collects: true,
            starter: Some(LONG_DEAD),
            is_withheld: false,
            closed: None,
            on_term: Reaction::Exit,
            on_kill: Reaction::Exit,
        }
        .env("PATH", "/usr/bin")
    }

    /// Gives it a parent; 0 for one outside the PID namespace.
    #[must_use]
    pub fn child_of(mut self, parent: i32) -> Self {
        self.ppid = Pid::new(parent);
        self
    }

    /// Puts it into a session.
    #[must_use]
    pub const fn session(mut self, leader: i32) -> Self {
        self.session = Pid::new(leader);
        self
    }

    /// Puts it into a process group.
    #[must_use]
    pub const fn group(mut self, leader: i32) -> Self {
        self.group = Pid::new(leader);
        self
    }

    /// Makes it the leader of a session and a group.
    #[must_use]
    pub const fn leader(mut self) -> Self {
        self.session = Some(self.pid);
        self.group = Some(self.pid);
        self
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environ.extend_from_slice(format!("{name}={value}\0").as_bytes());
        self.environ_len = self.environ.len() as u64;
        self
    }

    /// Replaces its environment block.
    #[must_use]
    pub fn block(mut self, block: &[u8]) -> Self {
        self.environ = block.to_vec();
        self.environ_len = block.len() as u64;
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.argv.extend(args.iter().map(|arg| arg.as_bytes().to_vec()));
        self
    }

    /// Makes it run another program file, with the arguments as they are.
    #[must_use]
    pub fn exe(mut self, path: &str) -> Self {
        self.exe = path.as_bytes().to_vec();
        self
    }

    /// Sets its three user ids.
    #[must_use]
    pub const fn uid(mut self, uid: u32) -> Self {
        let uid = Uid(uid);
        self.ids = Ids { real: uid, effective: uid, saved: uid, ..self.ids };
        self
    }

    /// Sets its start time in clock ticks since boot.
    #[must_use]
    pub const fn started(mut self, ticks: u64) -> Self {
        self.start = StartTime(ticks);
        self
    }

    /// Puts it into a unit of the system's manager, or of a user's.
    #[must_use]
    pub fn unit(mut self, name: &str, user: Option<u32>) -> Self {
        self.unit = Some(RuntimeUnit { name: name.to_owned(), user: user.map(Uid) });
        self
    }

    /// Adds places where it accepts connections.
    #[must_use]
    pub fn listening(mut self, on: impl IntoIterator<Item = Listener>) -> Self {
        self.listeners.extend(on);
        self
    }

    /// Makes it a child subreaper.
    #[must_use]
    pub const fn adopts(mut self) -> Self {
        self.adopts = true;
        self
    }

    /// Makes it leave its dead children as zombies.
    #[must_use]
    pub const fn never_waits(mut self) -> Self {
        self.collects = false;
        self
    }

    /// Hides its environment, program file and descriptors.
    #[must_use]
    pub fn closed(mut self, why: Why) -> Self {
        self.closed = Some(why);
        self
    }

    /// Makes it a process that PID 1 itself started.
    #[must_use]
    pub const fn started_by_init(mut self) -> Self {
        // The first process of a machine has the first number, as launchd has on every Mac.
        self.starter = Some(1);
        self
    }

    /// Makes the system withhold its environment.
    #[must_use]
    pub const fn withheld(mut self) -> Self {
        self.is_withheld = true;
        self
    }

    /// Sets what it does on SIGTERM.
    #[must_use]
    pub fn on_term(mut self, reaction: Reaction) -> Self {
        self.on_term = reaction;
        self
    }

    /// Sets what it does on SIGKILL.
    #[must_use]
    pub fn on_kill(mut self, reaction: Reaction) -> Self {
        self.on_kill = reaction;
        self
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        self.state.has_exited() && self.threads <= 1
    }

    /// Whether it still has an address space.
    #[must_use]
    pub const fn has_memory(&self) -> bool {
        !self.is_dead() && !self.exiting
    }

    /// Executes another process's program with that process's arguments and environment. Its own sockets are closed
    /// (`SOCK_CLOEXEC`), and it accepts connections where the other does.
    pub fn exec(&mut self, as_in: &Self) {
        self.comm.clone_from(&as_in.comm);
        self.exe.clone_from(&as_in.exe);
        self.argv.clone_from(&as_in.argv);
        self.environ.clone_from(&as_in.environ);
        self.environ_len = as_in.environ_len;
        self.listeners.clone_from(&as_in.listeners);
        self.images += 1;
        // The thread that executes is the main thread afterwards, and the only one.
        (self.state, self.threads) = (State(b'S'), 1);
    }

    /// Programs at one path are one file; a process that executes again has its arguments in other places.
    pub(super) fn image(&self) -> Image {
        // FNV-1a: one number for each path.
        let hash = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let file = self.exe.iter().fold(0xcbf2_9ce4_8422_2325, hash);
        Image { file: (1, file), layout: (self.images, self.place) }
    }

    pub(super) fn seen_as_stat(&self, by: Uid) -> Stat {
        let readable = self.has_memory() && self.memory(by).is_ok();
        Stat {
            pid: self.pid,
            comm: self.comm.clone(),
            state: self.state,
            threads: self.threads,
            ppid: self.ppid,
            pgrp: self.group,
            session: self.session,
            start: self.start,
            rss_bytes: if self.has_memory() { self.rss_bytes } else { 0 },
            has_memory: self.has_memory(),
            environ_len: readable.then_some(self.environ_len),
            layout: None,
        }
    }

    /// Whether a user may read its memory: `ptrace` access.
    pub(super) fn memory(&self, by: Uid) -> Result<(), Why> {
        let ids = [self.ids.real, self.ids.effective, self.ids.saved];
        match &self.closed {
            Some(why) => Err(why.clone()),
            None if by.0 == 0 || ids.iter().all(|id| *id == by) => Ok(()),
            None => Err(Why::Denied),
        }
    }

    pub(super) fn seen_environ(&self, by: Uid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        // A process without memory has an empty block: the file opens and holds nothing.
        if !self.has_memory() {
            return Ok(environ::scan(b"", wanted));
        }
        self.memory(by).map(|()| environ::scan(&self.environ, wanted))
    }

    pub(super) fn seen_listeners(&self, by: Uid) -> Result<Vec<Listener>, Why> {
        if self.is_dead() {
            return Err(Why::Gone);
        }
        if self.exiting {
            return Err(Why::Exiting);
        }
        self.memory(by).map(|()| each_once(self.listeners.clone()))
    }

    pub(super) fn seen_argv(&self) -> Vec<Vec<u8>> {
        if self.has_memory() { self.argv.clone() } else { Vec::new() }
    }
}
