//! All processes of a simulated machine, kept as the kernel keeps them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::Fault;
use super::process::{Process, Reaction};
use crate::host::NO_ORDER;
use crate::types::UnitMain;
use crate::types::{Clock, Pid, RuntimeUnit, Scope, Signal, State, Uid, Why};

/// A simulated machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// All processes by pid, zombies included.
    pub processes: BTreeMap<Pid, Process>,
    /// What the service managers report for their units.
    pub units: BTreeMap<RuntimeUnit, UnitMain>,
    /// The clocks now.
    pub clock: Clock,
    /// How far each call advances the clocks.
    pub step: Duration,
    /// Whether the kernel keeps lists of children.
    pub lists: bool,
    /// Whether new processes can be told by their pids; on a Mac they never can.
    pub orders_pids: bool,
    /// The last pid that was handed out: that of the process added last. As in the kernel, a lower one than the one
    /// before means that the pids began again. A test may set it, for threads, for processes that are gone, or back
    /// after a process whose pid was chosen by its starter.
    pub last_pid: Pid,
    /// Whether it has a never-repeated number for each process (Linux 6.9).
    pub generations: bool,
    /// Whether other users' processes cannot be seen (`hidepid=2`).
    pub hides_others: bool,
    /// Where the user's own service manager can be found without a search.
    pub manager: Option<Pid>,
    /// How many process handles can be open at once.
    pub handle_limit: usize,
    /// Whether it is a Mac: see [`super::macos`].
    pub is_mac: bool,
    /// What launchd reports of its jobs, or why that is unknown.
    pub jobs: Result<Vec<UnitMain>, Why>,
    /// Scheduled exits: the monotonic time and the serial number.
    exits: Vec<(Duration, u64)>,
    serials: u64,
    /// Counts changes of anything but the clocks.
    version: u64,
}

impl Default for Machine {
    /// One hour after boot, without processes.
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            processes: BTreeMap::new(),
            units: BTreeMap::new(),
            clock: Clock { monotonic: hour, boottime: hour, realtime: Duration::from_secs(1_767_323_045) },
            step: Duration::from_micros(10),
            lists: true,
            orders_pids: true,
            last_pid: Pid::INIT,
            generations: true,
            hides_others: false,
            manager: None,
            handle_limit: 1000,
            is_mac: false,
            jobs: Ok(Vec::new()),
            exits: Vec::new(),
            serials: 0,
            version: 0,
        }
    }
}

impl Machine {
    /// A machine that runs these processes. The first is usually PID 1.
    #[must_use]
    pub fn of(processes: impl IntoIterator<Item = Process>) -> Self {
        let mut machine = Self::default();
        for process in processes {
            machine.add(process);
        }
        machine
    }

    /// Starts a process; it replaces the one that has its pid. Returns its serial number.
    pub fn add(&mut self, mut process: Process) -> u64 {
        self.version += 1;
        self.serials += 1;
        process.serial = self.serials;
        if process.place == 0 {
            process.place = self.serials;
        }
        if let Some(parent) = process.ppid.filter(|p| *p != Pid::INIT).and_then(|p| self.get(p)) {
            process.starter = Some(parent.serial);
        }
        self.last_pid = process.pid;
        self.processes.insert(process.pid, process);
        self.serials
    }

    /// Sets what a service manager reports for a unit.
    pub fn answer_for(&mut self, unit: RuntimeUnit, main: Option<Pid>, control: Option<Pid>) {
        self.version += 1;
        self.units.insert(unit.clone(), UnitMain { unit, main, control });
    }

    /// The last pid that was handed out; [`Why::Unsupported`] where the system does not report it.
    pub(super) fn newest(&self) -> Result<Pid, Why> {
        if self.orders_pids && !self.is_mac { Ok(self.last_pid) } else { Err(NO_ORDER) }
    }

    /// The process that has this pid now.
    #[must_use]
    pub fn get(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// Changes with every change of the state except the clocks.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The process with this serial number, until it is reaped.
    #[must_use]
    pub fn by_serial(&self, serial: u64) -> Option<&Process> {
        self.processes.values().find(|p| p.serial == serial)
    }

    /// The children of a process.
    pub fn children(&self, pid: Pid) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(move |p| p.ppid == Some(pid))
    }

    /// Whether a listing of `scope` contains this process.
    #[must_use]
    pub fn is_listed(&self, process: &Process, scope: Scope, to: Uid) -> bool {
        scope.holds(process.ids.effective) && self.is_visible(process, to)
    }

    /// Whether a process is visible to a user.
    #[must_use]
    pub fn is_visible(&self, process: &Process, to: Uid) -> bool {
        !self.hides_others || to.0 == 0 || process.ids.effective == to
    }

    /// Ends a process; its parent reaps it if [`Process::collects`] is set.
    pub fn exit(&mut self, pid: Pid) {
        let parent = self.get(pid).and_then(|p| p.ppid).and_then(|p| self.get(p));
        self.end(pid, parent.is_none_or(|p| p.collects));
    }

    /// Ends a process, and its children go to the nearest adopter above it.
    pub fn end(&mut self, pid: Pid, collected: bool) {
        let Some(process) = self.processes.get(&pid) else { return };
        self.version += 1;
        let adopter = self.adopter_above(process.ppid);
        let adopter_collects = self.get(adopter).is_none_or(|p| p.collects);
        let children: Vec<Pid> = self.children(pid).map(|p| p.pid).collect();
        for child in children {
            match self.processes.get_mut(&child) {
                Some(p) if !p.is_dead() || !adopter_collects => p.ppid = Some(adopter),
                _ => drop(self.processes.remove(&child)),
            }
        }
        match self.processes.get_mut(&pid) {
            Some(process) if !collected => (process.state, process.threads) = (State(b'Z'), 1),
            _ => drop(self.processes.remove(&pid)),
        }
    }

    fn adopter_above(&self, parent: Option<Pid>) -> Pid {
        let mut at = parent;
        // A chain of parents is shorter than the table, unless a test made a ring.
        for _ in 0..=self.processes.len() {
            match at.and_then(|pid| self.get(pid)) {
                Some(p) if p.adopts && !p.is_dead() => return p.pid,
                Some(p) => at = p.ppid,
                None => break,
            }
        }
        Pid::INIT
    }

    /// Delivers a signal to a process.
    pub fn deliver(&mut self, serial: u64, signal: Signal) {
        let Some(process) = self.by_serial(serial).filter(|p| !p.is_dead()) else { return };
        let pid = process.pid;
        let reaction = match signal {
            // It stays pending until the process is continued.
            Signal::Term if process.state.is_stopped() => {
                return self.change(pid, |p| p.has_term_pending = true);
            }
            Signal::Term => process.on_term.clone(),
            Signal::Cont if !process.state.is_stopped() => return,
            Signal::Cont => {
                let is_asked = process.has_term_pending;
                self.change(pid, |p| (p.state, p.has_term_pending) = (State(b'S'), false));
                return if is_asked {
                    self.deliver(serial, Signal::Term)
                };
            }
            Signal::Kill => process.on_kill.clone(),
        };
        match reaction {
            Reaction::Exit => self.exit(pid),
            Reaction::ExitAfter(time) => self.exits.push((self.clock.monotonic + time, serial)),
            Reaction::Ignore => {}
            Reaction::ExitMainThread => self.change(pid, |p| {
                p.threads = p.threads.max(2);
                p.state = State(b'Z');
            }),
            Reaction::LeaveChild(child) => {
                let place = self.get(pid).map_or(0, |parent| parent.place);
                self.add(Process { ppid: Some(pid), place, ..*child });
                self.exit(pid);
            }
        }
    }

    /// Advances the clocks and runs the exits that were due by then.
    pub fn advance(&mut self, time: Duration) {
        self.clock.monotonic += time;
        self.clock.boottime += time;
        self.clock.realtime += time;
        let now = self.clock.monotonic;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.exits).into_iter().partition(|(at, _)| *at <= now);
        self.exits = later;
        for (_, serial) in &due {
            if let Some(pid) = self.by_serial(*serial).map(|p| p.pid) {
                self.exit(pid);
            }
        }
    }

    /// How long until the next scheduled exit.
    #[must_use]
    pub fn next_exit(&self) -> Option<Duration> {
        self.exits.iter().map(|(at, _)| at.saturating_sub(self.clock.monotonic)).min()
    }

    /// Applies a fault to a process, as far as it changes anything on the machine.
    pub fn apply(&mut self, pid: Pid, fault: &Fault) {
        match fault {
            Fault::Zombie => self.end(pid, false),
            Fault::Collected => self.end(pid, true),
            Fault::Reuse(by) => {
                self.end(pid, true);
                self.add(Process { pid, ..(**by).clone() });
            }
            Fault::Start(process) => {
                self.add((**process).clone());
            }
            Fault::Suspend(time) => {
                self.clock.boottime += *time;
                self.clock.realtime += *time;
            }
            Fault::SetWall(time) => self.clock.realtime = *time,
            Fault::Delay(time) => self.advance(*time),
            Fault::Supervise(unit) => {
                self.answer_for(unit.clone(), Some(pid), None);
                self.change(pid, |p| p.unit = Some(unit.clone()));
            }
            Fault::Fork(child) => {
                if self.get(pid).is_some_and(|p| !p.is_dead()) {
                    self.add(Process { ppid: Some(pid), ..(**child).clone() });
                }
            }
            Fault::ExitMainThread => self.change(pid, |p| {
                p.threads = p.threads.max(2);
                p.state = State(b'Z');
            }),
            Fault::Exiting => self.change(pid, |p| p.exiting = true),
            Fault::Close(why) => self.change(pid, |p| p.closed = Some(why.clone())),
            Fault::Exec(into) => self.change(pid, |p| p.exec(into)),
            Fault::Environ(block) => self.change(pid, |p| {
                p.environ.clone_from(block);
                p.environ_len = block.len() as u64;
            }),
            Fault::Wipe => self.change(pid, |p| p.environ.fill(0)),
            Fault::Cut(len) => self.change(pid, |p| p.environ.truncate(*len)),
            Fault::Reparent(to) => self.change(pid, |p| p.ppid = Some(*to)),
            Fault::Setuid(uid) => self.change(pid, |p| p.ids.effective = *uid),
            Fault::Setsid => self.change(pid, |p| {
                p.session = Some(p.pid);
                p.group = Some(p.pid);
            }),
            Fault::Fail(_) | Fault::Hang | Fault::Miss(_) => {}
        }
    }

    fn change(&mut self, pid: Pid, change: impl FnOnce(&mut Process)) {
        self.version += 1;
        if let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.is_dead()) {
            change(process);
        }
    }
}
