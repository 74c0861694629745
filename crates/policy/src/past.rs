//! What earlier sweeps recorded about a process.

use std::time::Duration;

use reaper_platform::{Pid, ProcId};

/// A process's parent and agent before it became an orphan, as far as they were observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ties {
    /// Its earlier parent, whose exit was observed.
    pub dead_parent: Option<Pid>,
    /// The nearest agent above it while its parent was still alive.
    pub agent: Option<ProcId>,
}

/// What earlier sweeps recorded about a process that is judged now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// How long it has been seen orphaned; zero when never before.
    pub seen_for: Duration,
    /// Its earlier parent and agent.
    pub ties: Ties,
    /// Whether it was seen running several marked programs at once: such a wrapper counts as their host until it exits.
    pub was_host: bool,
}
