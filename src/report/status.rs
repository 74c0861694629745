//! The public JSON of `reaper status`: versioned, additions only.

use super::check::Level;
use reaper_engine::audit::words::Word;
use reaper_engine::discover::method::Method;
use serde::{Deserialize, Serialize};

use super::types::JudgementReport;
use reaper_policy::escalation::Outcome;

/// The schema of [`Status`].
pub const STATUS: &str = "reaper.status/1";

/// The document that `reaper status --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Always [`STATUS`].
    pub schema: String,
    /// The version of the running service.
    pub version: String,
    /// Its pid.
    pub pid: i32,
    /// Which users' processes it covers.
    pub scope: Word<Scope>,
    /// When it was started: RFC 3339, UTC.
    pub started_at: String,
    /// Seconds since its start.
    pub uptime_s: f64,
    /// Whether it is ready: the first and the last sweep succeeded, and no check at the start failed.
    pub ready: bool,
    /// The pause; null when the service is not paused.
    pub paused: Option<Paused>,
    /// The settings in force.
    pub config: ConfigStatus,
    /// What the last sweep could and could not see.
    pub visibility: VisibilityStatus,
    /// Checks of the machine, its rights and its sandbox that did not pass at its start; see `reaper doctor`.
    #[serde(default)]
    pub degraded: Vec<Degradation>,
    /// Its sweeps.
    pub sweeps: Sweeps,
    /// Counts of judged processes by verdict.
    pub verdicts: Verdicts,
    /// Orphans in grace, the next one first.
    pub waiting: Vec<Waiting>,
    /// The notable judgements, by pid; see [`Status::judgements_omitted`].
    #[serde(default)]
    pub judgements: Vec<JudgementReport>,
    /// How many judgements were left out for lack of room; those of orphans are left out last.
    #[serde(default)]
    pub judgements_omitted: usize,
    /// How many targets are being ended right now.
    pub ending: usize,
    /// Counts of what was done since the start.
    pub totals: Totals,
    /// The last errors, newest last.
    pub errors: Vec<ErrorReport>,
    /// Where the metrics are served and written.
    #[serde(default)]
    pub metrics: MetricsStatus,
}

/// Whose processes a service looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The processes of the user that it runs as.
    User,
    /// The processes of all users.
    AllUsers,
}

impl From<reaper_platform::Scope> for Scope {
    fn from(scope: reaper_platform::Scope) -> Self {
        match scope {
            reaper_platform::Scope::User(_) => Self::User,
            reaper_platform::Scope::Everyone => Self::AllUsers,
        }
    }
}

impl Status {
    /// Why the service is not ready, as text for a probe; `None` when it is.
    #[must_use]
    pub fn not_ready(&self) -> Option<&str> {
        not_ready(self.visibility.blind, self.visibility.problem.as_deref(), self.is_degraded(), self.ready)
    }

    /// Whether a check at the start failed.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded.iter().any(|degraded| degraded.level.is(Level::Fail))
    }
}

/// Why a service is not ready, as text for a probe; `None` when it is.
#[must_use]
pub const fn not_ready(
    is_blind: bool,
    visibility_problem: Option<&str>,
    is_degraded: bool,
    is_ready: bool,
) -> Option<&str> {
    if is_blind {
        Some("blind: not one environment can be read")
    } else if visibility_problem.is_some() {
        visibility_problem
    } else if is_degraded {
        Some("degraded: a check at its start failed, see `reaper status`")
    } else if is_ready {
        None
    } else {
        Some("the last looks at the processes failed")
    }
}

/// Where the metrics are served and written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// The configured address to serve them on; null when there is none.
    pub listen: Option<String>,
    /// Why they are not served; null when they are.
    pub listen_error: Option<String>,
    /// The configured file to write them to; null when there is none.
    pub textfile: Option<String>,
    /// Why they were not written; null when they were.
    pub textfile_error: Option<String>,
}

/// A pause, during which nothing is ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// Its end: RFC 3339, UTC; null when it lasts until `reaper resume`.
    pub until: Option<String>,
    /// Seconds until its end.
    pub left_s: Option<f64>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The files that they were read from.
    pub files: Vec<String>,
    /// RFC 3339, UTC.
    pub loaded_at: String,
    /// Why the newest config was refused, in which case the one before it is in force; null otherwise.
    pub error: Option<String>,
    /// Warnings about settings that are allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The names of the profiles in use.
    pub profiles: Vec<String>,
    /// Seconds between two sweeps.
    pub interval_s: f64,
    /// Seconds that a process must have been seen orphaned before SIGTERM.
    pub grace_s: f64,
    /// Seconds between SIGTERM and SIGKILL.
    pub term_timeout_s: f64,
}

/// What the last sweep could and could not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibilityStatus {
    /// How the last sweep listed processes; `none` before the first one.
    pub method: Word<Method>,
    /// How many processes the last sweep examined.
    pub examined: usize,
    /// How many processes in scope it could not read.
    pub unreadable: usize,
    /// Whether no environment at all could be read, so that no marker can be seen.
    pub blind: bool,
    /// Why no agent can be seen from where the service runs; null when agents can be.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A check at the start that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// The name of the check, as in `reaper doctor`.
    pub check: String,
    /// `warn` for a limitation, `fail` when the service cannot work.
    pub level: Word<Level>,
    /// What was found, in words.
    pub what: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// Its sweeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweeps {
    /// How many sweeps there were.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// When the last sweep ended: RFC 3339, UTC; null before the first one.
    pub last_at: Option<String>,
    /// When the last successful sweep ended: RFC 3339, UTC; null before the first one.
    pub last_success_at: Option<String>,
    /// How long the last sweep took, in microseconds.
    pub last_took_us: u64,
    /// Seconds until the next sweep.
    pub next_in_s: f64,
}

/// Counts of judged processes by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Verdict `reap`: to be ended.
    pub reap: usize,
    /// Verdict `wait`: in grace.
    pub wait: usize,
    /// Verdict `spare`: marked, and spared for a deliberate reason.
    pub spare: usize,
    /// Verdict `unknown`: could not be judged.
    pub unknown: usize,
}

/// An orphan in grace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its pid.
    pub pid: i32,
    /// The name of its program, escaped.
    pub program: String,
    /// The name of the profile that matches it.
    pub profile: Option<String>,
    /// Seconds since it was first seen orphaned.
    pub orphaned_s: f64,
    /// Seconds until it may be ended.
    pub eligible_in_s: f64,
}

/// Counts of what was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orphans that were detected.
    pub noticed: u64,
    /// Ended by SIGTERM.
    pub exited: u64,
    /// Ended by SIGKILL.
    pub killed: u64,
    /// Ended before any signal.
    pub gone: u64,
    /// Spared when they were judged again before a signal.
    pub spared: u64,
    /// Could not be signalled.
    pub denied: u64,
    /// Still running after SIGKILL.
    pub survived: u64,
    /// Not ended because the service stopped.
    pub interrupted: u64,
    /// Resident memory of the processes that ended, in bytes.
    pub reclaimed_bytes: u64,
}

impl Totals {
    /// Counts the outcome of a target.
    pub const fn add(&mut self, outcome: Outcome, rss_bytes: u64) {
        let counter = match outcome {
            Outcome::Exited => &mut self.exited,
            Outcome::Killed => &mut self.killed,
            Outcome::Gone => &mut self.gone,
            Outcome::Spared => &mut self.spared,
            Outcome::Denied => &mut self.denied,
            Outcome::Survived => &mut self.survived,
            Outcome::Interrupted => &mut self.interrupted,
        };
        *counter += 1;
        if matches!(outcome, Outcome::Exited | Outcome::Killed) {
            self.reclaimed_bytes += rss_bytes;
        }
    }
}

/// An error that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// RFC 3339, UTC.
    pub at: String,
    /// The message: what failed, on what, and why.
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_of_another_version_are_kept_as_they_are() {
        let sight = r#"{"method":"netlink","examined":1,"unreadable":0,"blind":false,"problem":null}"#;
        let read: VisibilityStatus = serde_json::from_str(sight).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), sight);
        let degraded = r#"{"check":"kernel","level":"grave","what":"x","hint":null}"#;
        let read: Degradation = serde_json::from_str(degraded).unwrap();
        assert!(!read.level.is(Level::Fail));
        assert_eq!(serde_json::to_string(&read).unwrap(), degraded);
        let words: Vec<Word<Scope>> = serde_json::from_str(r#"["user","all-users","group"]"#).unwrap();
        assert_eq!(words, [Scope::User.into(), Scope::AllUsers.into(), Word::Other("group".to_owned())]);
    }
}
