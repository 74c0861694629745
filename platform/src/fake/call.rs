//! The calls that a test host answers.

use crate::types::Pid;

/// The methods of the seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of that name of Host, Pinned or Waiter")]
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
    /// Whether it waits for a process's memory map, so that a stuck process can hold it for ever.
    #[must_use]
    pub const fn can_hang(self) -> bool {
        matches!(self, Self::EnvironOf | Self::ArgvOf | Self::Environ | Self::Argv)
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
