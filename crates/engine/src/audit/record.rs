//! One line of the audit log: the intent to signal a process, or the outcome.

use std::time::Duration;

use reaper_platform::Clock;
use reaper_policy::escape::escape;
use reaper_policy::plan::Target;
use reaper_policy::verdict::Finding;
use serde::{Deserialize, Serialize};

use super::words::{Answer, Event, Gate, Outcome, Role, Signal, Word};
use crate::failure::Failure;
use crate::format;
use crate::terminate::outcome::Ended;

/// The schema of [`Record`].
pub const HISTORY: &str = "reaper.history/1";
/// Prefix of the sweep ids of `reaper doctor`, which ends processes that it started itself.
pub const SELF_TEST: &str = "doctor-";

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`HISTORY`].
    pub schema: String,
    /// The time of the record; RFC 3339, UTC.
    pub at: String,
    /// The sweep's id, shared by all its lines.
    pub sweep: String,
    /// Whether this is an intent or an outcome.
    pub event: Event,
    /// The target.
    pub pid: i32,
    /// When it started, in the kernel's own unit: clock ticks since boot on Linux, microseconds since 1970 on
    /// macOS.
    pub start_ticks: u64,
    /// The orphan that it belonged to.
    pub root: i32,
    /// Its role in the tree of that orphan.
    pub role: Word<Role>,
    /// Its program, escaped.
    pub program: String,
    /// The profiles that it was judged under.
    pub profiles: Vec<String>,
    /// The signal, for an intent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<Word<Signal>>,
    /// Every gate, for an intent.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<FindingReport>,
    /// The outcome, for an outcome record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Word<Outcome>>,
    /// Milliseconds from the first signal to its end, for an outcome.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_ms: Option<u64>,
    /// Its resident memory in bytes when it was planned.
    pub rss_bytes: u64,
    /// Why it was spared, denied or survived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A sink for records. A signal is sent only after its intent was written successfully.
pub trait Account {
    /// Writes records. Intents are on the disk when it returns.
    ///
    /// # Errors
    /// When they could not be written: no signal may be sent then.
    fn write(&mut self, records: &[Record]) -> Result<(), Failure>;
}

impl Record {
    /// Whether the record is an intent, written before a signal.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.event == Event::Intent
    }
}

/// One gate's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// The gate.
    pub gate: Word<Gate>,
    /// Its answer.
    pub answer: Word<Answer>,
    /// The evidence in words, escaped.
    pub evidence: String,
}

/// The findings of all gates.
#[must_use]
pub fn findings(findings: &[Finding]) -> Vec<FindingReport> {
    findings
        .iter()
        .map(|f| FindingReport {
            gate: Gate::from(f.gate).into(),
            answer: Answer::from(f.answer).into(),
            evidence: f.evidence.clone(),
        })
        .collect()
}

/// The record of a signal that is about to be sent.
#[must_use]
pub fn intent(
    target: &Target,
    signal: reaper_platform::Signal,
    found: &[Finding],
    sweep: &str,
    clock: &Clock,
) -> Record {
    Record {
        signal: Some(Signal::from(signal).into()),
        findings: findings(found),
        ..record(target, Event::Intent, sweep, clock)
    }
}

/// The record of a target's outcome.
#[must_use]
pub fn outcome(ended: &Ended, sweep: &str, clock: &Clock) -> Record {
    Record {
        outcome: Some(Outcome::from(ended.outcome).into()),
        took_ms: Some(millis(ended.took)),
        why: ended.why.clone(),
        ..record(&ended.target, Event::Outcome, sweep, clock)
    }
}

fn record(target: &Target, event: Event, sweep: &str, clock: &Clock) -> Record {
    Record {
        schema: HISTORY.to_owned(),
        at: format::time(clock.realtime),
        sweep: sweep.to_owned(),
        event,
        pid: target.id.pid.get(),
        start_ticks: target.id.start.0,
        root: target.root.pid.get(),
        role: Role::from(target.role).into(),
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

/// Whole milliseconds.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
