//! Requests to a service manager: what it is to run, a command of its own tool, and why a request is refused.

use std::path::PathBuf;
use std::time::Duration;

/// What is to be run, and for which user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The path of this program.
    pub program: PathBuf,
    /// A config file to read instead of the usual ones.
    pub config: Option<PathBuf>,
    /// The user's home.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, where it is set; systemd only.
    pub config_home: Option<PathBuf>,
    /// The uid.
    pub uid: u32,
    /// Whether the user's manager holds CAP_WAKE_ALARM, as programs of a local login then do.
    pub wake_alarm: bool,
}

/// One command of `systemctl` or `launchctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The tool to run.
    pub tool: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether its failure is ignored, because what it undoes may not exist.
    pub may_fail: bool,
    /// For how long it is retried while it fails, because an earlier command may not have taken effect yet.
    pub patience: Duration,
}

impl Call {
    pub(super) fn new<const N: usize>(tool: &'static str, args: [&str; N]) -> Self {
        Self { tool, args: args.map(str::to_owned).into(), may_fail: false, patience: Duration::ZERO }
    }

    pub(super) fn may_fail(self) -> Self {
        Self { may_fail: true, ..self }
    }

    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The command as it would be typed in a shell.
    #[must_use]
    pub fn line(&self) -> String {
        let words = std::iter::once(self.tool).chain(self.args.iter().map(String::as_str));
        let quoted = words.map(|word| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+".contains(c);
            if word.chars().all(is_plain) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is in the way.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Refusal {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}
