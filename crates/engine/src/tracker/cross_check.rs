//! Compares a tracker's state with the first tick of a fresh tracker that has the same sightings (`run --paranoid`).
//!
//! The two read at different moments, and a tracker does not re-read every process at every tick. So a difference
//! counts only if it persists after the tracker has inspected the process again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use reaper_platform::Pid;

use reaper_policy::verdict::{Gate, Verdict};

/// One side's result for a process: the verdict and the deciding gate.
pub type Said = (Verdict, Gate);

/// One process on which the two sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The tracker's result; `None` when it does not track the process.
    pub ours: Option<Said>,
    /// The fresh tracker's result.
    pub theirs: Option<Said>,
    /// When the tracker last inspected it.
    pub looked_at: Option<Duration>,
}

/// The differences of earlier comparisons, and when each was first seen.
#[derive(Debug, Default)]
pub struct Differences {
    since: HashMap<(Pid, Option<Said>, Option<Said>), Duration>,
}

impl Differences {
    /// Applies the differences of one comparison; returns those that another inspection did not resolve, in words, each
    /// of them once.
    pub fn take_in(&mut self, found: &BTreeMap<Pid, Difference>, now: Duration) -> Vec<String> {
        let key = |pid: &Pid, d: &Difference| (*pid, d.ours, d.theirs);
        let keys: Vec<_> = found.iter().map(|(pid, d)| key(pid, d)).collect();
        self.since.retain(|known, _| keys.contains(known));
        let mut lasting = Vec::new();
        for (pid, difference) in found {
            let since = self.since.entry(key(pid, difference)).or_insert(now);
            // A process that the tracker has never inspected should have been inspected by the second comparison.
            let looked_at = difference.looked_at.unwrap_or(now);
            if *since < now && looked_at > *since {
                let side = |said: Option<Said>| {
                    said.map_or("nothing".to_owned(), |(v, g)| format!("{} by {}", v.name(), g.name()))
                };
                lasting.push(format!(
                    "pid {pid}: {} here, {} there",
                    side(difference.ours),
                    side(difference.theirs)
                ));
                *since = Duration::MAX;
            }
        }
        lasting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn found(looked_at: Option<Duration>) -> BTreeMap<Pid, Difference> {
        let said = Some((Verdict::Wait(Duration::ZERO), Gate::Grace));
        BTreeMap::from([(Pid::new(7).unwrap(), Difference { ours: None, theirs: said, looked_at })])
    }

    #[test]
    fn only_a_difference_that_an_inspection_did_not_resolve_counts_and_only_once() {
        let mut differences = Differences::default();
        assert!(differences.take_in(&found(Some(S)), 5 * S).is_empty(), "seen for the first time");
        assert!(differences.take_in(&found(Some(S)), 10 * S).is_empty(), "not inspected since");
        assert_eq!(differences.take_in(&found(Some(12 * S)), 15 * S).len(), 1);
        assert!(differences.take_in(&found(Some(17 * S)), 20 * S).is_empty(), "said already");
    }

    #[test]
    fn a_process_never_inspected_counts_the_second_time() {
        let mut differences = Differences::default();
        assert!(differences.take_in(&found(None), 5 * S).is_empty());
        assert_eq!(differences.take_in(&found(None), 10 * S).len(), 1);
    }

    #[test]
    fn a_difference_that_went_away_starts_afresh() {
        let mut differences = Differences::default();
        differences.take_in(&found(None), 5 * S);
        differences.take_in(&BTreeMap::new(), 10 * S);
        assert!(differences.take_in(&found(None), 15 * S).is_empty());
    }
}
