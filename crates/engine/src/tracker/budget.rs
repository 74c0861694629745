//! How often work is repeated whose cost depends on the machine: as often as its share of the time allows.
//!
//! What takes 10 ms on a small machine and 300 ms on a large one is done often on the first and rarely on the second, and
//! costs the same on both.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The share of the time that some work may take, and when it is due again.
#[derive(Debug)]
pub struct Budget {
    /// It may take one of so many parts of the time.
    parts: u32,
    /// The shortest time until it is due again, however cheap it is, and the longest, however dear.
    wait: RangeInclusive<Duration>,
    next: Duration,
}

impl Budget {
    /// Due at once, and afterwards such that it takes one of `parts` of the time, after a `wait` within these bounds.
    #[must_use]
    pub const fn new(parts: u32, wait: RangeInclusive<Duration>) -> Self {
        Self { parts, wait, next: Duration::ZERO }
    }

    /// Whether the work is to be done.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// The work was done, from `began` until `now`.
    pub fn spent(&mut self, began: Duration, now: Duration) {
        let wait =
            now.saturating_sub(began).saturating_mul(self.parts).clamp(*self.wait.start(), *self.wait.end());
        self.next = now.saturating_add(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_more_is_done_less_often() {
        let at = Duration::from_millis;
        let mut budget = Budget::new(18_000, at(60_000)..=at(3_600_000));
        assert!(budget.is_due(Duration::ZERO));
        for (cost, wait_s) in [(0, 60), (2, 60), (10, 180), (100, 1800), (5_000, 3600)] {
            budget.spent(at(1_000), at(1_000 + cost));
            let next = at(1_000 + cost) + Duration::from_secs(wait_s);
            assert!(budget.is_due(next) && !budget.is_due(next - at(1)), "{cost} ms");
        }
    }
}
