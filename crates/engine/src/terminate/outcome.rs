//! The outcomes of the targets of one sweep.

use std::time::Duration;

use reaper_platform::{Image, Signal, StartTime};
use reaper_policy::escalation::Outcome;
use reaper_policy::plan::Target;

/// The outcome of one target.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The target.
    pub target: Target,
    /// The signals that were delivered.
    pub signals: Vec<Signal>,
    /// The outcome.
    pub outcome: Outcome,
    /// Time from the first signal to its end.
    pub took: Duration,
    /// Why it was spared, denied or survived.
    pub why: Option<String>,
    /// Whether it was spared because a fact is unknown, not because of a negative answer.
    pub unsure: bool,
    /// Whether it has ended and may not have been collected by its parent yet.
    pub zombie: bool,
    /// The times of its first signal and of its end, as start times of a process that starts then: what it started in
    /// between may be its successor. `None` unless both happened.
    pub fell: Option<(StartTime, StartTime)>,
    /// The image that it ran when it was opened; `None` where that could not be read.
    pub image: Option<Image>,
}
