//! What goes wrong on the machine, and when.

use std::time::Duration;

use super::call::Method;
use super::process::Process;
use crate::types::{Pid, RuntimeUnit, Uid, Why};

/// The call before which something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The call with this number, counted from 1.
    Step(usize),
    /// The n-th call (from 1) of a method about a process; `None` for about any or none.
    Call(Method, Option<Pid>, usize),
    /// Every call of a method about a process; `None` for about any or none.
    Every(Method, Option<Pid>),
}

/// What happens. It befalls the process that the script names, or else the one that the call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This call fails.
    Fail(Why),
    /// This call does not come back until [`super::FakeHost::release`], if it reads a process's memory: no
    /// other read can hang. Any other call fails.
    Hang,
    /// This list of children, or of new processes, lacks this one.
    Miss(Pid),
    /// It ends, and nobody collects it.
    Zombie,
    /// It ends, and its number is free.
    Collected,
    /// It ends, and this one has its number.
    Reuse(Box<Process>),
    /// Its main thread ends and the others run on.
    ExitMainThread,
    /// It has released its memory and not finished its exit.
    Exiting,
    /// Its environment, program file and descriptors can be read no more.
    Close(Why),
    /// It executes the program of this one, with its arguments and environment.
    Exec(Box<Process>),
    /// It executes the same program anew, with this environment block.
    Environ(Vec<u8>),
    /// It overwrites its environment with zeros (setproctitle).
    Wipe,
    /// Only so much of its environment can still be read.
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
    /// Somebody else starts this one, who may be a new owner of anything.
    Start(Box<Process>),
    /// The machine sleeps for a while.
    Suspend(Duration),
    /// Somebody sets the time of day.
    SetWall(Duration),
    /// The call takes this long.
    Delay(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    when: When,
    whom: Option<Pid>,
    what: Fault,
    seen: usize,
}

/// A list of faults, each of which happens once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultScript {
    lines: Vec<Line>,
}

impl FaultScript {
    /// Nothing goes wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something happens to whomever the call is about.
    #[must_use]
    pub fn at(mut self, when: When, what: Fault) -> Self {
        self.lines.push(Line { when, whom: None, what, seen: 0 });
        self
    }

    /// Something happens to a process that is named.
    #[must_use]
    pub fn to(mut self, when: When, whom: Pid, what: Fault) -> Self {
        self.lines.push(Line { when, whom: Some(whom), what, seen: 0 });
        self
    }

    /// What happens before a call, and to whom.
    pub(super) fn due(&mut self, step: usize, method: Method, about: Option<Pid>) -> Vec<(Pid, Fault)> {
        let mut due = Vec::new();
        for line in &mut self.lines {
            let this = match &line.when {
                When::Step(number) => *number == step,
                When::Call(wanted, whom, nth) => {
                    let counts = *wanted == method && (whom.is_none() || *whom == about);
                    line.seen += usize::from(counts);
                    counts && line.seen == *nth
                }
                When::Every(wanted, whom) => *wanted == method && (whom.is_none() || *whom == about),
            };
            if this {
                due.push((line.whom.or(about).unwrap_or(Pid::INIT), line.what.clone()));
            }
        }
        due
    }
}
