//! What a machine and our rights on it allow us to do, as plain facts.
//!
//! Everything is tried where that is possible: a version number, a mount option or a capability set is only read
//! to say *why* something does not work.

use crate::types::{Pid, Why};

/// What this machine allows us, as found at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's name and release, for showing.
    pub kernel: String,
    /// How a signal is bound to the process that was judged, for showing.
    pub signals: &'static str,
    /// Whether the kernel has a never-reused number for each process ([`crate::Generation`]).
    pub has_generations: bool,
    /// Whether lists of children can be read at all: tried on ourselves.
    pub own_children: Result<(), Why>,
    /// Whether PID 1's list of children can be read: tried.
    pub init_children: Result<(), Why>,
    /// How other users' processes are shown to us, in the system's own words: the options of the mount at `/proc`
    /// that hide something (`hidepid=invisible`). Empty when nothing is hidden, or when that is unknown.
    pub hiding: Vec<String>,
    /// Whether we run in a user namespace below the machine's first one; `None` when that is unknown.
    pub is_in_user_namespace: Option<bool>,
    /// The capabilities that we can use; `None` when that is unknown.
    pub capabilities: Option<Capabilities>,
    /// The soft and the hard limit of open files; `None` for unlimited.
    pub open_files: (Option<u64>, Option<u64>),
    /// Our parent; `None` where it is outside our PID namespace.
    pub parent: Option<Pid>,
}

/// A set of capabilities, as the kernel numbers them (capabilities(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// `CAP_DAC_OVERRIDE`: may read and write any file.
    pub const DAC_OVERRIDE: u32 = 1;
    /// `CAP_DAC_READ_SEARCH`: may read any file.
    pub const DAC_READ_SEARCH: u32 = 2;
    /// `CAP_KILL`: may signal any process.
    pub const KILL: u32 = 5;
    /// `CAP_SYS_PTRACE`: may read any process's memory.
    pub const SYS_PTRACE: u32 = 19;
    /// `CAP_WAKE_ALARM`: may set timers that wake the machine up.
    pub const WAKE_ALARM: u32 = 35;

    /// Whether the capability with this number is in the set.
    #[must_use]
    pub const fn has(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }
}

/// The free space of the file system that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free bytes for unprivileged users.
    pub bytes: u64,
    /// Free inodes; `None` where the file system does not count them.
    pub files: Option<u64>,
}
