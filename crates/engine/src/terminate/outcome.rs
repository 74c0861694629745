//! What became of the targets of one sweep.

use std::time::Duration;

use reaper_platform::{Image, Signal, StartTime};
use reaper_policy::escalation::Outcome;
use reaper_policy::plan::Target;

/// What became of one target.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The target.
    pub target: Target,
    /// The signals that it got.
    pub signals: Vec<Signal>,
    /// What became of it.
    pub outcome: Outcome,
    /// From the first signal to the end.
    pub took: Duration,
    /// Why it was spared, denied or survived.
    pub why: Option<String>,
    /// Whether it was spared because something could not be told, not because something spoke against its end.
    pub unsure: bool,
    /// Whether it has ended and may not have been collected by its parent yet.
    pub zombie: bool,
    /// When it got its first signal and when it had ended, as the start of a process that starts then: what it started in
    /// between may be what it became. `None` unless both happened.
    pub fell: Option<(StartTime, StartTime)>,
    /// The image that it ran when it was pinned; `None` where that could not be read.
    pub image: Option<Image>,
}
