//! The methods that a test host answers, and the record of one call.

use crate::types::Pid;

/// The methods of [`Host`](crate::Host), [`ProcessHandle`](crate::ProcessHandle) and
/// [`ExitWatcher`](crate::ExitWatcher).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of that name of Host, ProcessHandle or ExitWatcher")]
pub enum Method {
    Clock,
    Sleep,
    Children,
    List,
    PidMark,
    StartedSince,
    Owner,
    Exists,
    StatOf,
    Group,
    Session,
    EnvironOf,
    ArgvOf,
    Open,
    TimeNamespace,
    ManagerHint,
    UnitMains,
    Jobs,
    ExitWatcher,
    HandleLimit,
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
    /// Whether it waits for a process's memory map, so that a stuck process can block it for ever.
    #[must_use]
    pub const fn can_hang(self) -> bool {
        matches!(self, Self::EnvironOf | Self::ArgvOf | Self::Environ | Self::Argv)
    }
}

/// One call of a method, as logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The number of the call, counted from 1.
    pub step: usize,
    /// The method that was called.
    pub method: Method,
    /// The process that it is about, if any.
    pub pid: Option<Pid>,
    /// The process handle it was made through: the handle's number and the process's serial number.
    pub handle: Option<(u64, u64)>,
    /// Whether it returned `Ok`.
    pub ok: bool,
}
