//! The public JSON of `reaper history`; versioned, additions only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::FindingReport;
use super::words::{Outcome, Role, Signal, Word};

/// The schema of [`HistoryReport`].
pub const HISTORY_REPORT: &str = "reaper.history-report/1";

/// What `reaper history --format json` prints: one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReport {
    /// Always [`HISTORY_REPORT`].
    pub schema: String,
    /// The time; RFC 3339, UTC.
    pub generated_at: String,
    /// The `--since` filter, if given; RFC 3339, UTC.
    pub since: Option<String>,
    /// The `--pid` filter, if given.
    pub pid: Option<i32>,
    /// One entry for each target, the oldest first.
    pub entries: Vec<Entry>,
    /// How many older entries the limit left out. The totals include them.
    pub omitted: u64,
    /// Counts over all matching entries.
    pub totals: Totals,
    /// Lines that could not be read.
    pub skipped: Skipped,
}

/// What happened to one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Its program, escaped.
    pub program: String,
    /// The orphan that it belonged to; itself when it was one.
    pub root: i32,
    /// Its role in the tree of that orphan.
    pub role: Word<Role>,
    /// The profiles that it was judged under.
    pub profiles: Vec<String>,
    /// The sweep's id, shared by all its targets.
    pub sweep: String,
    /// Whether `reaper doctor` started it for its self-test. The totals leave it out.
    pub self_test: bool,
    /// The signals that were announced, in order.
    pub signals: Vec<SentSignal>,
    /// The outcome.
    pub outcome: Word<Outcome>,
    /// The time of its last record; RFC 3339, UTC.
    pub at: String,
    /// Milliseconds from the first signal to its end.
    pub took_ms: Option<u64>,
    /// Its resident memory in bytes when it was planned.
    pub rss_bytes: u64,
    /// That memory, in bytes, if it was freed: when it exited or was killed.
    pub reclaimed_bytes: u64,
    /// Why it was spared, denied or survived.
    pub why: Option<String>,
    /// Every gate's answer before the last signal.
    pub findings: Vec<FindingReport>,
}

/// A signal that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentSignal {
    /// The signal.
    pub signal: Word<Signal>,
    /// The time; RFC 3339, UTC.
    pub at: String,
}

/// The counts, self-tests left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Targets.
    pub targets: u64,
    /// Targets that ended by our signals.
    pub ended: u64,
    /// How many of those were the orphans themselves, not other members of a tree.
    pub orphans_ended: u64,
    /// Targets by outcome.
    pub by_outcome: BTreeMap<String, u64>,
    /// The ended targets, by the first profile of each.
    pub by_profile: BTreeMap<String, ProfileTotals>,
    /// Memory that was freed, in bytes.
    pub reclaimed_bytes: u64,
    /// Self-tests of `reaper doctor`.
    pub self_tests: u64,
}

/// The counts of one profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileTotals {
    /// Targets that ended by our signals.
    pub ended: u64,
    /// Memory that was freed, in bytes.
    pub reclaimed_bytes: u64,
}

/// Lines that could not be interpreted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Cut short by a crash, or not in reaper's format.
    pub damaged: u64,
    /// With a schema or event of a newer version.
    pub newer: u64,
}
