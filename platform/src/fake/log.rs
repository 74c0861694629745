//! What happened on the machine: every call, every signal, every state.

use super::machine::Machine;
use super::process::Process;
use crate::types::{Clock, Pid, Signal};

/// The methods of the seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of that name of Host, Pinned or Waiter")]
pub enum Method {
    Clock,
    Sleep,
    Children,
    Walk,
    PidMark,
    StartedSince,
    Owner,
    Exists,
    Glance,
    Group,
    Session,
    GlanceEnviron,
    GlanceArgv,
    Pin,
    TimeNamespace,
    ManagerHint,
    UnitMains,
    Jobs,
    Waiter,
    PinLimit,
    Stat,
    HasEnded,
    Image,
    Ids,
    Exe,
    Argv,
    Environ,
    Unit,
    Listeners,
    Folder,
    StartedByParent,
    Signal,
    Watch,
    Wait,
}

impl Method {
    /// Whether it waits for a process's memory map, so that a stuck process can hold it for ever.
    #[must_use]
    pub const fn can_hang(self) -> bool {
        matches!(self, Self::GlanceEnviron | Self::GlanceArgv | Self::Environ | Self::Argv)
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 1.
    pub step: usize,
    /// Of which method.
    pub method: Method,
    /// About which process.
    pub pid: Option<Pid>,
    /// Through which pinned handle, and which process that is.
    pub handle: Option<(u64, u64)>,
    /// Whether it gave what was asked for.
    pub ok: bool,
}

/// One signal that reached a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The step.
    pub step: usize,
    /// The time.
    pub clock: Clock,
    /// Which.
    pub signal: Signal,
    /// Through which pinned handle.
    pub handle: u64,
    /// Who received it, as it was at that moment.
    pub to: Process,
}

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Every call, in order.
    pub calls: Vec<Call>,
    /// Every signal, in order.
    pub sent: Vec<Sent>,
    /// The state that the machine was in from a step on. Only the clocks of the entries are out of date.
    pub states: Vec<(usize, Machine)>,
}

impl Log {
    /// Every state that the machine was in during these steps, ends included.
    pub fn states_within(&self, from: usize, to: usize) -> impl Iterator<Item = &Machine> {
        let first = self.states.iter().rposition(|(step, _)| *step <= from).unwrap_or(0);
        self.states.iter().skip(first).take_while(move |(step, _)| *step <= to).map(|(_, machine)| machine)
    }
}
