//! The public JSON of `scan` and `explain`: versioned, additions only. No decision depends on these types.

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
    /// Always [`SCAN`].
    pub schema: String,
    /// Whether it was a dry run, which signals nothing.
    pub dry_run: bool,
    /// When it was started: RFC 3339, UTC.
    pub started_at: String,
    /// How long the run took in microseconds, waiting included.
    pub duration_us: u64,
    /// What the census covered.
    pub census: CensusReport,
    /// The judgements of listed processes.
    pub judgements: Vec<JudgementReport>,
    /// What was done to each target.
    pub actions: Vec<ActionReport>,
    /// Members of orphans' trees that are left alone, and why.
    pub left_alone: Vec<LeftAloneReport>,
    /// Counts of verdicts and outcomes.
    pub summary: Summary,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// What `reaper explain PID --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explain {
    /// Always [`EXPLAIN`].
    pub schema: String,
    /// The judgement, with the findings of all gates.
    pub judgement: JudgementReport,
}

/// What the census covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusReport {
    /// How processes were listed: `children` or `walk`.
    pub method: Method,
    /// How many processes were examined.
    pub examined: usize,
    /// How many processes in scope could not be read.
    pub unreadable: usize,
    /// Whether the census covered everything that it had to.
    pub complete: bool,
    /// How many processes in scope are zombies: ended, and not yet reaped by their adopter.
    #[serde(default)]
    pub zombies: usize,
}

/// One process and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgementReport {
    /// Its pid.
    pub pid: i32,
    /// The pid of its parent; 0 when that is outside our PID namespace.
    pub ppid: i32,
    /// Its real uid; null when unknown.
    pub uid: Option<u32>,
    /// The name of its program, escaped.
    pub program: String,
    /// The path of its executable, escaped; null when unknown.
    pub exe: Option<String>,
    /// When it was started: RFC 3339, UTC.
    pub started_at: String,
    /// Seconds since its start.
    pub age_s: f64,
    /// The name of the profile that matches it.
    pub profile: Option<String>,
    /// The name of the marker in its environment.
    pub marker: Option<String>,
    /// The verdict.
    pub verdict: Word<Verdict>,
    /// The gate that decided.
    pub decided_by: Word<Gate>,
    /// The evidence of that gate.
    pub reason: String,
    /// Seconds since it was first seen orphaned.
    pub orphaned_s: f64,
    /// Seconds until it may be ended: 0 for `reap`, null unless `reap` or `wait`.
    pub eligible_in_s: Option<f64>,
    /// Its resident memory, in bytes.
    pub rss_bytes: u64,
    /// The processes that a `reap` verdict ends, or a `wait` verdict will, in that order.
    pub targets: Vec<i32>,
    /// The findings of all gates.
    pub findings: Vec<FindingReport>,
}

/// The verdict on a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is to be ended.
    Reap,
    /// It will be ended when its grace is over.
    Wait,
    /// It is left alone.
    Spare,
    /// It is left alone, because something that matters could not be determined.
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
    /// Its pid.
    pub pid: i32,
    /// The pid of the orphan in whose tree it is.
    pub root: i32,
    /// The name of its program, escaped.
    pub program: String,
    /// The signals that were sent to it, in order.
    pub signals: Vec<Signal>,
    /// The outcome.
    pub outcome: Outcome,
    /// Milliseconds from the first signal to its exit.
    pub took_ms: u64,
    /// Why it was spared, denied or survived; null otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A member of a tree that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAloneReport {
    /// Its pid.
    pub pid: i32,
    /// The pid of the orphan in whose tree it is.
    pub root: i32,
    /// The name of its program, escaped.
    pub program: String,
    /// Why it is left alone.
    pub reason: String,
    /// Whether it has exited since, without a signal from us.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub ended: bool,
}

/// Counts of verdicts and outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Orphans with the verdict `reap`.
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
    /// Spared when they were judged again before a signal.
    pub spared: usize,
    /// Could not be signalled.
    pub denied: usize,
    /// Still running after SIGKILL.
    pub survived: usize,
    /// Orphans left for a later sweep by the cap.
    pub deferred: usize,
    /// Ended, but not yet reaped by their parent (zombies).
    pub zombies: usize,
    /// Resident memory of the processes that ended, in bytes; in a dry run, of those that would be.
    pub reclaimed_bytes: u64,
}
