//! A time budget for repeated work whose cost depends on the machine.
//!
//! Work that takes 10 ms on a small machine and 300 ms on a large one is done often on the first and rarely on the
//! second, so that its share of the time is the same.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The share of time that some work may take, and when it is due again.
#[derive(Debug)]
pub struct Budget {
    /// The work may take 1/`parts` of the time.
    parts: u32,
    /// The shortest and the longest time until it is due again, whatever it costs.
    wait: RangeInclusive<Duration>,
    next: Duration,
}

impl Budget {
    /// Due at once, and afterwards so that it takes 1/`parts` of the time, with intervals within `wait`.
    #[must_use]
    pub const fn new(parts: u32, wait: RangeInclusive<Duration>) -> Self {
        Self { parts, wait, next: Duration::ZERO }
    }

    /// Whether the work is due.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// Records that the work was done, from `began` until `now`.
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
