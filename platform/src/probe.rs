//! What a machine and our place on it allow us to do, as plain facts.
//!
//! Everything is tried where it can be tried: a version number, a mount option or a capability set is only read
//! to say *why* something does not work.

use crate::types::{Pid, Why};

/// What this machine allows us, as found at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's name and release, for showing.
    pub kernel: String,
    /// How a signal is kept from going to another process than the one that was judged, for showing.
    pub signals: &'static str,
    /// Whether the kernel gives each process a number that it never gives again ([`crate::Generation`]).
    pub has_generations: bool,
    /// Whether a list of children can be had at all: tried on ourselves.
    pub own_children: Result<(), Why>,
    /// Whether PID 1's list of children can be had: tried.
    pub init_children: Result<(), Why>,
    /// How other users' processes are shown to us, in the system's own words: the options of the mount at `/proc`
    /// that hide something (`hidepid=invisible`). Empty when nothing is hidden, or when that cannot be told.
    pub hiding: Vec<String>,
    /// Whether we run in a user namespace below the machine's first one; `None` when that cannot be told.
    pub is_in_user_namespace: Option<bool>,
    /// The capabilities that we can use; `None` when that cannot be told.
    pub capabilities: Option<Capabilities>,
    /// How many files we may have open, and how many we may allow ourselves; `None` for any number.
    pub open_files: (Option<u64>, Option<u64>),
    /// Our parent, where it is in our PID namespace.
    pub parent: Option<Pid>,
}

/// A set of capabilities, as the kernel numbers them (capabilities(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// May read any file.
    pub const DAC_OVERRIDE: u32 = 1;
    /// May read any file, too.
    pub const DAC_READ_SEARCH: u32 = 2;
    /// May signal any process.
    pub const KILL: u32 = 5;
    /// May look into any process.
    pub const SYS_PTRACE: u32 = 19;
    /// May wake the machine up.
    pub const WAKE_ALARM: u32 = 35;

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }
}

/// The room on the file system that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we may still use.
    pub bytes: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub files: Option<u64>,
}
