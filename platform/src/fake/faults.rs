//! Faults that a simulated machine injects, and the script that says when.

use std::time::Duration;

use super::call::Method;
use super::process::Process;
use crate::types::{Pid, RuntimeUnit, Uid, Why};

/// The call before which a fault happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The call with this number, counted from 1.
    Step(usize),
    /// The n-th call (from 1) of a method about a process; `None` for about any or none.
    Call(Method, Option<Pid>, usize),
    /// Every call of a method about a process; `None` for about any or none.
    Every(Method, Option<Pid>),
}

/// A fault. It happens to the process that the script names, or else to the one that the call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This call fails.
    Fail(Why),
    /// This call does not return until [`super::FakeHost::release`], if it reads a process's memory: no
    /// other read can hang. Any other call fails.
    Hang,
    /// This process is missing from the list of children, or of new processes, that the call returns.
    Miss(Pid),
    /// It exits and stays a zombie.
    Zombie,
    /// It exits and is reaped: its pid is free.
    Collected,
    /// It exits and is reaped, and this process gets its pid.
    Reuse(Box<Process>),
    /// Its main thread ends and the others run on.
    ExitMainThread,
    /// It has released its memory and not finished its exit.
    Exiting,
    /// From now on its environment, program file and descriptors cannot be read.
    Close(Why),
    /// It executes the program of this process, with the arguments and environment of this process.
    Exec(Box<Process>),
    /// It executes the same program again, with this environment block.
    Environ(Vec<u8>),
    /// It overwrites its environment with zeros (setproctitle).
    Wipe,
    /// Its environment is truncated to this many bytes.
    Cut(usize),
    /// It gets another parent.
    Reparent(Pid),
    /// It forks this child.
    Fork(Box<Process>),
    /// It changes its effective user.
    Setuid(Uid),
    /// It starts a session of its own.
    Setsid,
    /// It becomes the main process of this unit.
    Supervise(RuntimeUnit),
    /// An unrelated process starts; it may be the new owner of an agent.
    Start(Box<Process>),
    /// The machine is suspended for this long.
    Suspend(Duration),
    /// The time of day is set to this.
    SetWall(Duration),
    /// The call takes this long to return.
    Delay(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    when: When,
    target: Option<Pid>,
    what: Fault,
    seen: usize,
}

/// A list of faults, each of which happens once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultScript {
    lines: Vec<Line>,
}

impl FaultScript {
    /// A script without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault of the process that the call is about.
    #[must_use]
    pub fn at(mut self, when: When, what: Fault) -> Self {
        self.lines.push(Line { when, target: None, what, seen: 0 });
        self
    }

    /// Adds a fault of the process `target`.
    #[must_use]
    pub fn to(mut self, when: When, target: Pid, what: Fault) -> Self {
        self.lines.push(Line { when, target: Some(target), what, seen: 0 });
        self
    }

    /// The faults that are due before a call, each with its process.
    pub(super) fn due(&mut self, step: usize, method: Method, about: Option<Pid>) -> Vec<(Pid, Fault)> {
        let mut due = Vec::new();
        for line in &mut self.lines {
            let this = match &line.when {
                When::Step(number) => *number == step,
                When::Call(wanted, process, nth) => {
                    let counts = *wanted == method && (process.is_none() || *process == about);
                    line.seen += usize::from(counts);
                    counts && line.seen == *nth
                }
                When::Every(wanted, process) => *wanted == method && (process.is_none() || *process == about),
            };
            if this {
                due.push((line.target.or(about).unwrap_or(Pid::INIT), line.what.clone()));
            }
        }
        due
    }
}
