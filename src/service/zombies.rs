//! Counts zombies among the children of adopters, for a gauge of the metrics.
//!
//! The kernel has no list of zombies and no notification of new ones, so each child that the last census listed is
//! read. That costs 8 µs for each child, hence it is done only when the metrics are requested, and its rate is limited.

use std::time::Duration;

use reaper_platform::{Host, Pid};

/// Largest number of children that are read for one count: about 30 ms.
const MAX_CHILDREN: usize = 4096;
/// Counting may take at most 1/SHARE of the time.
const SHARE: u32 = 100;

/// The last count.
#[derive(Debug, Default)]
pub struct Zombies {
    count: usize,
    /// Until this time (monotonic clock) the last count is returned.
    next: Duration,
}

impl Zombies {
    /// Counts the zombies among these children, unless the last count is recent.
    pub fn count<H: Host>(&mut self, host: &H, children: &[Pid]) -> usize {
        let before = host.clock().monotonic;
        if before >= self.next {
            let is_zombie = |pid: &&Pid| host.stat_of(**pid).is_ok_and(|stat| stat.is_dead());
            self.count = children.iter().take(MAX_CHILDREN).filter(is_zombie).count();
            let after = host.clock().monotonic;
            self.next = after + after.saturating_sub(before) * SHARE;
        }
        self.count
    }
}
