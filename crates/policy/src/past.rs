//! What earlier looks saw of a process that is judged now.

use std::time::Duration;

use reaper_platform::{Pid, ProcId};

/// Whose a process was before it became an orphan, as far as somebody watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ties {
    /// Its earlier parent, which was seen to die.
    pub dead_parent: Option<Pid>,
    /// The nearest agent above it when it was last seen in its place.
    pub agent: Option<ProcId>,
}

/// What the past says about a process that is judged now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// How long it has been seen orphaned; zero when never before.
    pub seen_for: Duration,
    /// Whose it was.
    pub ties: Ties,
    /// Whether it was seen to run several marked programs at once: such a wrapper is their host for its life.
    pub was_host: bool,
}
