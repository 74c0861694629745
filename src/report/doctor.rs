//! What `reaper doctor` found: its public JSON, versioned, additions only.

use serde::{Deserialize, Serialize};

use super::check::{Check, Level};
use reaper_engine::audit::record::FindingReport;

/// The schema of [`Doctor`].
pub const DOCTOR: &str = "reaper.doctor/1";

/// What `reaper doctor --format json` prints: one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// [`DOCTOR`].
    pub schema: String,
    /// The version that was run.
    pub version: String,
    /// RFC 3339, UTC.
    pub checked_at: String,
    /// The user that it was run as; null when not even that could be told.
    pub uid: Option<u32>,
    /// Whether it was about every user's processes.
    pub all_users: bool,
    /// Every check, in the order in which they are shown; the self-test is the last one.
    pub checks: Vec<CheckReport>,
    /// The steps of the self-test; null when there was none.
    pub self_test: Option<SelfTestReport>,
    /// The counts.
    pub summary: CheckSummary,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// `kernel`, `proc`, `sandbox`, `rights`, `adopters`, `limits`, `clock`, `config`, `state`, `runtime`, `service`,
    /// `linger` or `self-test`. One that means nothing here is left out.
    pub name: String,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
}

/// How the self-test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestReport {
    /// The process that was started for it.
    pub pid: Option<i32>,
    /// What was done, as far as it went.
    pub steps: Vec<StepReport>,
    /// What the gates said of that process.
    pub findings: Vec<FindingReport>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// `started`, `orphaned`, `found`, `waited`, `explained`, `planned`, `ended` or `collected`.
    pub name: String,
    /// How long it took.
    pub took_us: u64,
    /// What came of it.
    pub what: String,
}

/// The counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// As it should be.
    pub ok: usize,
    /// A limit.
    pub warn: usize,
    /// The job, or a part of it, cannot be done.
    pub fail: usize,
    /// Not asked.
    pub skip: usize,
}

/// The circumstances of a check-up.
#[derive(Debug, Clone)]
pub struct About {
    /// RFC 3339, UTC.
    pub checked_at: String,
    /// The user.
    pub uid: Option<u32>,
    /// Whether it was about every user's processes.
    pub all_users: bool,
}

/// Makes the document.
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
