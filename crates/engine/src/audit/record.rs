//! One line of the audit log: what is about to be done to a process, or what became of it.

use std::time::Duration;

use reaper_platform::{Clock, Signal};
use reaper_policy::escape::escape;
use reaper_policy::plan::{Role, Target};
use reaper_policy::verdict::Finding;
use serde::{Deserialize, Serialize};

use crate::format;
use crate::terminate::outcome::Ended;

/// The schema of [`Record`].
pub const HISTORY: &str = "reaper.history/1";

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`HISTORY`].
    pub schema: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Joins the lines of one sweep.
    pub sweep: String,
    /// `intent`, written before a signal, or `outcome`.
    pub event: String,
    /// The target.
    pub pid: i32,
    /// When it started, in the kernel's own unit: clock ticks since boot on Linux, microseconds since 1970 on
    /// macOS.
    pub start_ticks: u64,
    /// The orphan that it belonged to.
    pub root: i32,
    /// `root`, `wrapper`, `descendant`, `group-member` or `successor`.
    pub role: String,
    /// Its program, escaped.
    pub program: String,
    /// The profiles that it was judged under.
    pub profiles: Vec<String>,
    /// The signal, for an intent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<String>,
    /// Every gate, for an intent.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<FindingReport>,
    /// What became of it, for an outcome.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<String>,
    /// From the first signal to the end, for an outcome.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_ms: Option<u64>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// Why it was spared, denied or survived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

impl Record {
    /// Whether it was written before a signal, to say that it is coming.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.event == "intent"
    }
}

/// One gate's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// Which gate.
    pub gate: String,
    /// `yes`, `no`, `unknown` or `not-asked`.
    pub answer: String,
    /// In plain words.
    pub evidence: String,
}

/// Every gate.
#[must_use]
pub fn findings(findings: &[Finding]) -> Vec<FindingReport> {
    findings
        .iter()
        .map(|f| FindingReport {
            gate: f.gate.name().to_owned(),
            answer: f.answer.name().to_owned(),
            evidence: f.evidence.clone(),
        })
        .collect()
}

/// The account of a signal that is about to be sent.
#[must_use]
pub fn intent(target: &Target, signal: Signal, found: &[Finding], sweep: &str, clock: &Clock) -> Record {
    Record {
        signal: Some(signal.to_string()),
        findings: findings(found),
        ..record(target, "intent", sweep, clock)
    }
}

/// The account of what became of a target.
#[must_use]
pub fn outcome(ended: &Ended, sweep: &str, clock: &Clock) -> Record {
    Record {
        outcome: Some(ended.outcome.name().to_owned()),
        took_ms: Some(millis(ended.took)),
        why: ended.why.clone(),
        ..record(&ended.target, "outcome", sweep, clock)
    }
}

fn record(target: &Target, event: &str, sweep: &str, clock: &Clock) -> Record {
    Record {
        schema: HISTORY.to_owned(),
        at: format::time(clock.realtime),
        sweep: sweep.to_owned(),
        event: event.to_owned(),
        pid: target.id.pid.get(),
        start_ticks: target.id.start.0,
        root: target.root.pid.get(),
        role: role(target.role).to_owned(),
        program: escape(&target.program),
        profiles: target.profiles.clone(),
        signal: None,
        findings: Vec::new(),
        outcome: None,
        took_ms: None,
        rss_bytes: target.rss_bytes,
        why: None,
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Root => "root",
        Role::Wrapper => "wrapper",
        Role::Descendant => "descendant",
        Role::GroupMember => "group-member",
        Role::Successor => "successor",
    }
}

/// Whole milliseconds.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
