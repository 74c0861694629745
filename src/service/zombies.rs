//! How many children of the adopters ended and were not collected: a gauge of the metrics.
//!
//! The kernel reports neither when a process becomes a zombie nor which ones are, so each child that the last census
//! listed is read. That costs 8 µs a child, hence only when the metrics are asked for, and seldom enough.

use std::time::Duration;

use reaper_platform::{Host, Pid};

/// Most children that are read for one count: some 30 ms' worth.
const MAX_CHILDREN: usize = 4096;
/// The share of the time that counting may take: one part in this many.
const SHARE: u32 = 100;

/// The last count.
#[derive(Debug, Default)]
pub struct Zombies {
    count: usize,
    /// Until then, on the monotonic clock, the last count is given again.
    next: Duration,
}

impl Zombies {
    /// Counts the zombies among these children, unless the last count is recent.
    pub fn count<H: Host>(&mut self, host: &H, children: &[Pid]) -> usize {
        let before = host.clock().monotonic;
        if before >= self.next {
            let is_zombie = |pid: &&Pid| host.glance(**pid).is_ok_and(|stat| stat.is_dead());
            self.count = children.iter().take(MAX_CHILDREN).filter(is_zombie).count();
            let after = host.clock().monotonic;
            self.next = after + after.saturating_sub(before) * SHARE;
        }
        self.count
    }
}
