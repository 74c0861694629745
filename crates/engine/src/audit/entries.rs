//! What `reaper history` says: its public JSON, versioned, additions only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::FindingReport;
use super::words::{Outcome, Role, Signal, Word};

/// The schema of [`HistoryReport`].
pub const HISTORY_REPORT: &str = "reaper.history-report/1";

/// What `reaper history --format json` prints: one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReport {
    /// [`HISTORY_REPORT`].
    pub schema: String,
    /// RFC 3339, UTC.
    pub generated_at: String,
    /// Only what happened from then on was asked for; RFC 3339, UTC.
    pub since: Option<String>,
    /// Only this process was asked for.
    pub pid: Option<i32>,
    /// One for each target, the oldest first.
    pub entries: Vec<Entry>,
    /// How many older ones the limit left out. The totals count them.
    pub omitted: u64,
    /// The counts.
    pub totals: Totals,
    /// What could not be read.
    pub skipped: Skipped,
}

/// What happened to one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Its program, escaped.
    pub program: String,
    /// The orphan that it belonged to; itself when it was one.
    pub root: i32,
    /// What it was in the tree of that orphan.
    pub role: Word<Role>,
    /// The profiles that it was judged under.
    pub profiles: Vec<String>,
    /// Joins the targets of one sweep.
    pub sweep: String,
    /// Whether `reaper doctor` started it to try itself out. The totals leave it out.
    pub self_test: bool,
    /// The signals that were announced, in order.
    pub signals: Vec<SentSignal>,
    /// What became of it.
    pub outcome: Word<Outcome>,
    /// The time of its last record; RFC 3339, UTC.
    pub at: String,
    /// From the first signal to the end.
    pub took_ms: Option<u64>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// That memory if it was given back: when it exited or was killed.
    pub reclaimed_bytes: u64,
    /// Why it was spared, denied or survived.
    pub why: Option<String>,
    /// Every gate, as it was asked before the last signal.
    pub findings: Vec<FindingReport>,
}

/// A signal that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentSignal {
    /// Which.
    pub signal: Word<Signal>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// The counts, self-tests left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Targets.
    pub targets: u64,
    /// Targets that ended by our signals.
    pub ended: u64,
    /// How many of those were orphans themselves, not parts of a tree.
    pub orphans_ended: u64,
    /// Targets by outcome.
    pub by_outcome: BTreeMap<String, u64>,
    /// What was ended, by the first profile of each.
    pub by_profile: BTreeMap<String, ProfileTotals>,
    /// Memory that was given back.
    pub reclaimed_bytes: u64,
    /// Self-tests of `reaper doctor`.
    pub self_tests: u64,
}

/// The counts of one profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileTotals {
    /// Targets that ended by our signals.
    pub ended: u64,
    /// Memory that was given back.
    pub reclaimed_bytes: u64,
}

/// Lines that say nothing to us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Cut short by a crash, or not what reaper writes.
    pub damaged: u64,
    /// Of a schema or event that a newer version writes.
    pub newer: u64,
}
