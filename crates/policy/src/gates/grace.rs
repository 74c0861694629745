//! Gate `grace`: seen orphaned for at least the grace period.
//!
//! The time counts from the first sighting, not from the process's start: an agent that has run for days may have lost
//! its parent just now.

use crate::case::Case;
use crate::duration;
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Grace;

/// Evaluates the gate.
pub fn ask(case: &Case<'_>) -> Finding {
    let grace = case.policy.grace;
    let whole = std::time::Duration::from_secs(case.past.seen_for.as_secs());
    let (seen, of) = (duration::format(whole), duration::format(grace));
    if case.past.seen_for >= grace {
        Finding::yes(GATE, format!("orphaned for {seen} (grace {of})"))
    } else if case.past.seen_for.is_zero() {
        Finding::no(GATE, format!("first seen orphaned now (grace {of})"))
    } else {
        Finding::no(GATE, format!("seen orphaned for {seen} (grace {of})"))
    }
}
