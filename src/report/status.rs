//! What the service says of itself: the public JSON of `reaper status`, versioned, additions only.

use super::check::Level;
use reaper_engine::audit::words::Word;
use reaper_engine::discover::method::Method;
use serde::{Deserialize, Serialize};

use super::types::JudgementReport;
use reaper_policy::escalation::Outcome;

/// The schema of [`Status`].
pub const STATUS: &str = "reaper.status/1";

/// What `reaper status --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS`].
    pub schema: String,
    /// The version that runs.
    pub version: String,
    /// Its process.
    pub pid: i32,
    /// Whose processes it looks after.
    pub scope: Word<Scope>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Since then.
    pub uptime_s: f64,
    /// Whether it is ready: the first look at everything succeeded, so did the last one, and no check at the start
    /// failed.
    pub ready: bool,
    /// Set while nothing is to be ended.
    pub paused: Option<Paused>,
    /// The settings in force.
    pub config: ConfigStatus,
    /// How well it sees.
    pub visibility: VisibilityStatus,
    /// What it found wrong with the machine, its rights or its sandbox when it was started; see `reaper doctor`.
    #[serde(default)]
    pub degraded: Vec<Degradation>,
    /// Its looks around.
    pub sweeps: Sweeps,
    /// Processes of interest by verdict.
    pub verdicts: Verdicts,
    /// Orphans in grace, the next one first.
    pub waiting: Vec<Waiting>,
    /// Every notable judgement, by pid; see [`Status::judgements_omitted`].
    #[serde(default)]
    pub judgements: Vec<JudgementReport>,
    /// How many judgements there was no room for; those of orphans come first.
    #[serde(default)]
    pub judgements_omitted: usize,
    /// How many targets are being ended right now.
    pub ending: usize,
    /// What was done since the start.
    pub totals: Totals,
    /// The last things that went wrong, newest last.
    pub errors: Vec<ErrorReport>,
    /// Where the metrics go.
    #[serde(default)]
    pub metrics: MetricsStatus,
}

/// Whose processes a service looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those of the user that it runs as.
    User,
    /// Those of every user.
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
    /// Why it is not ready, in words for a probe.
    #[must_use]
    pub fn not_ready(&self) -> Option<&str> {
        not_ready(self.visibility.blind, self.visibility.problem.as_deref(), self.is_degraded(), self.ready)
    }

    /// Whether a check at its start failed.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded.iter().any(|degraded| degraded.level.is(Level::Fail))
    }
}

/// Why a service is not ready, in words for a probe.
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

/// Where the metrics go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// The address that they are to be served on; null when on none.
    pub listen: Option<String>,
    /// Why they are not.
    pub listen_error: Option<String>,
    /// The file that they are to be written to; null when to none.
    pub textfile: Option<String>,
    /// Why they are not.
    pub textfile_error: Option<String>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// RFC 3339, UTC; null when it lasts until `reaper resume`.
    pub until: Option<String>,
    /// Seconds until then.
    pub left_s: Option<f64>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The files they came from.
    pub files: Vec<String>,
    /// RFC 3339, UTC.
    pub loaded_at: String,
    /// Why the newest version of them was refused; the one before it is in force then.
    pub error: Option<String>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The profiles in use.
    pub profiles: Vec<String>,
    /// Between two looks.
    pub interval_s: f64,
    /// Before SIGTERM.
    pub grace_s: f64,
    /// Between SIGTERM and SIGKILL.
    pub term_timeout_s: f64,
}

/// How well it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibilityStatus {
    /// How the last look was made; `none` before the first one.
    pub method: Word<Method>,
    /// How many processes the last look looked at.
    pub examined: usize,
    /// How many of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read.
    pub blind: bool,
    /// Why nobody that the service could look after can be where it runs; null where somebody can.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A check at the start that did not come out well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// Which one, as in `reaper doctor`.
    pub check: String,
    /// Whether it is a limit, or keeps the service from its job.
    pub level: Word<Level>,
    /// What was found.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
}

/// Its looks around.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweeps {
    /// How many there were.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// RFC 3339, UTC.
    pub last_at: Option<String>,
    /// RFC 3339, UTC.
    pub last_success_at: Option<String>,
    /// How long the last one took.
    pub last_took_us: u64,
    /// Seconds until the next one.
    pub next_in_s: f64,
}

/// Processes of interest by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// To be ended.
    pub reap: usize,
    /// In grace.
    pub wait: usize,
    /// Marked, and spared for a deliberate reason.
    pub spare: usize,
    /// Could not be judged.
    pub unknown: usize,
}

/// An orphan in grace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its number.
    pub pid: i32,
    /// Its program, escaped.
    pub program: String,
    /// The profile that claims it.
    pub profile: Option<String>,
    /// Seconds since the first sighting as an orphan.
    pub orphaned_s: f64,
    /// Seconds until it may be ended.
    pub eligible_in_s: f64,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orphans that were noticed.
    pub noticed: u64,
    /// Ended by SIGTERM.
    pub exited: u64,
    /// Ended by SIGKILL.
    pub killed: u64,
    /// Ended before any signal.
    pub gone: u64,
    /// Spared by the judgement before a signal.
    pub spared: u64,
    /// Could not be signalled.
    pub denied: u64,
    /// Still there after SIGKILL.
    pub survived: u64,
    /// Left for later because the service stopped.
    pub interrupted: u64,
    /// Resident memory of all that ended.
    pub reclaimed_bytes: u64,
}

impl Totals {
    /// Counts what became of a target.
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

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// RFC 3339, UTC.
    pub at: String,
    /// What, on what, why.
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_another_version_are_read_and_mean_nothing_more_than_they_say() {
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
