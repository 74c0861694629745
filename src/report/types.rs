//! The public JSON, versioned: additions only. A type here changes nothing that decides.

use std::fmt;

use reaper_engine::audit::record::FindingReport;
use reaper_engine::audit::words::{Gate, Outcome, Signal, Word};
use reaper_engine::discover::method::Method;
use reaper_policy::verdict;
use serde::{Deserialize, Serialize};

/// The schema of [`Scan`].
pub const SCAN: &str = "reaper.scan/1";
/// The schema of [`Explain`].
pub const EXPLAIN: &str = "reaper.explain/1";

/// What `reaper scan --format json` prints: one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// [`SCAN`].
    pub schema: String,
    /// Whether nothing was to be signalled.
    pub dry_run: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// How long it took, waiting included.
    pub duration_us: u64,
    /// What was looked at.
    pub census: CensusReport,
    /// What was decided.
    pub judgements: Vec<JudgementReport>,
    /// What was done.
    pub actions: Vec<ActionReport>,
    /// Members of an orphan's tree that stay, and why.
    pub left_alone: Vec<LeftAloneReport>,
    /// The counts.
    pub summary: Summary,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What `reaper explain PID --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explain {
    /// [`EXPLAIN`].
    pub schema: String,
    /// What was decided, with every gate asked.
    pub judgement: JudgementReport,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusReport {
    /// How.
    pub method: Method,
    /// How many processes were looked at.
    pub examined: usize,
    /// How many of ours could not be read.
    pub unreadable: usize,
    /// Whether everything that had to be seen was seen.
    pub complete: bool,
    /// How many of ours had ended and were not collected by their adopter: entries in the process table only.
    #[serde(default)]
    pub zombies: usize,
}

/// One process and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgementReport {
    /// Its number.
    pub pid: i32,
    /// Its parent's; 0 when that is outside our PID namespace.
    pub ppid: i32,
    /// Its real user.
    pub uid: Option<u32>,
    /// Its program, escaped.
    pub program: String,
    /// Its program file, escaped.
    pub exe: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Since its start.
    pub age_s: f64,
    /// The profile that claims it.
    pub profile: Option<String>,
    /// The marker's name.
    pub marker: Option<String>,
    /// What is to happen to it.
    pub verdict: Word<Verdict>,
    /// The gate that decided.
    pub decided_by: Word<Gate>,
    /// Its evidence.
    pub reason: String,
    /// Since the first sighting as an orphan.
    pub orphaned_s: f64,
    /// Until it may be ended: 0 for `reap`, null unless `reap` or `wait`.
    pub eligible_in_s: Option<f64>,
    /// Resident memory.
    pub rss_bytes: u64,
    /// The processes that a `reap` verdict ends, or a `wait` verdict will, in that order.
    pub targets: Vec<i32>,
    /// Every gate.
    pub findings: Vec<FindingReport>,
}

/// What is to happen to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is to be ended.
    Reap,
    /// It will be, when its grace is over.
    Wait,
    /// It is left alone.
    Spare,
    /// It is left alone, because something that matters could not be told.
    Unknown,
}

impl From<verdict::Verdict> for Verdict {
    fn from(verdict: verdict::Verdict) -> Self {
        match verdict {
            verdict::Verdict::Reap => Self::Reap,
            verdict::Verdict::Wait(_) => Self::Wait,
            verdict::Verdict::Spare => Self::Spare,
            verdict::Verdict::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What was done to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// Its number.
    pub pid: i32,
    /// The orphan that it belonged to.
    pub root: i32,
    /// Its program, escaped.
    pub program: String,
    /// Those that it got, in order.
    pub signals: Vec<Signal>,
    /// What became of it.
    pub outcome: Outcome,
    /// From the first signal to the end.
    pub took_ms: u64,
    /// Why it was spared, denied or survived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A member of a tree that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAloneReport {
    /// Its number.
    pub pid: i32,
    /// The orphan whose tree it is in.
    pub root: i32,
    /// Its program, escaped.
    pub program: String,
    /// Why it stays.
    pub reason: String,
    /// Whether it has ended since, by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub ended: bool,
}

/// The counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Orphans to end.
    pub reap: usize,
    /// Orphans in grace.
    pub wait: usize,
    /// Listed processes that were spared.
    pub spare: usize,
    /// Processes that could not be judged.
    pub unknown: usize,
    /// Ended by SIGTERM.
    pub exited: usize,
    /// Ended by SIGKILL.
    pub killed: usize,
    /// Ended before any signal.
    pub gone: usize,
    /// Spared by the judgement before a signal.
    pub spared: usize,
    /// Could not be signalled.
    pub denied: usize,
    /// Still there.
    pub survived: usize,
    /// Orphans left for a later sweep by the cap.
    pub deferred: usize,
    /// Ended, but not collected by their parent yet: an entry in the process table, no memory.
    pub zombies: usize,
    /// Resident memory of all that ended; what would end, in a dry run.
    pub reclaimed_bytes: u64,
}
