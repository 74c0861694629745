//! The public JSON of `reaper doctor`: versioned, additions only.

use serde::{Deserialize, Serialize};

use super::check::{Check, Level};
use reaper_engine::audit::record::FindingReport;

/// The schema of [`Doctor`].
pub const DOCTOR: &str = "reaper.doctor/1";

/// What `reaper doctor --format json` prints: one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// Always [`DOCTOR`].
    pub schema: String,
    /// The version of reaper that made the report.
    pub version: String,
    /// When the checks were made: RFC 3339, UTC.
    pub checked_at: String,
    /// The uid that it ran as; null when it is unknown.
    pub uid: Option<u32>,
    /// Whether the checks were made for all users' processes (`--all-users`).
    pub all_users: bool,
    /// The checks in the order of display; the self-test is the last one.
    pub checks: Vec<CheckReport>,
    /// The self-test; null when it was not run.
    pub self_test: Option<SelfTestReport>,
    /// How many checks had each result.
    pub summary: CheckSummary,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// `kernel`, `proc`, `sandbox`, `rights`, `adopters`, `limits`, `clock`, `config`, `state`, `runtime`, `service`,
    /// `linger` or `self-test`. A check that does not apply to this machine is left out.
    pub name: String,
    /// The result.
    pub level: Level,
    /// What was found, in words.
    pub what: String,
    /// How to fix it; null when there is nothing to fix.
    pub hint: Option<String>,
}

/// The self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestReport {
    /// The pid of the stand-in, the process that it started; null when none was started.
    pub pid: Option<i32>,
    /// The steps that were made, in order.
    pub steps: Vec<StepReport>,
    /// The findings of the gates about the stand-in.
    pub findings: Vec<FindingReport>,
}

/// One step of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// `started`, `orphaned`, `found`, `waited`, `explained`, `planned`, `ended` or `collected`.
    pub name: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Its result, in words.
    pub what: String,
}

/// How many checks had each result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// Checks that passed.
    pub ok: usize,
    /// Checks that passed with a limitation.
    pub warn: usize,
    /// Checks that failed.
    pub fail: usize,
    /// Checks that were not made.
    pub skip: usize,
}

/// When and for whom the checks were made.
#[derive(Debug, Clone)]
pub struct About {
    /// When the checks were made: RFC 3339, UTC.
    pub checked_at: String,
    /// The uid; `None` when it is unknown.
    pub uid: Option<u32>,
    /// Whether the checks were made for all users' processes (`--all-users`).
    pub all_users: bool,
}

/// Makes the document from the checks and the self-test.
#[must_use]
pub fn document(about: About, checks: &[Check], self_test: Option<SelfTestReport>) -> Doctor {
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    Doctor {
        schema: DOCTOR.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checked_at: about.checked_at,
        uid: about.uid,
        all_users: about.all_users,
        checks: checks
            .iter()
            .map(|check| CheckReport {
                name: check.name.to_owned(),
                level: check.level,
                what: check.what.clone(),
                hint: check.hint.clone(),
            })
            .collect(),
        self_test,
        summary: CheckSummary {
            ok: count(Level::Ok),
            warn: count(Level::Warn),
            fail: count(Level::Fail),
            skip: count(Level::Skipped),
        },
    }
}
