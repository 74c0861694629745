//! What is asked of a service manager: what it is to run and for whom, a command of its own tool, and why not.

use std::path::PathBuf;
use std::time::Duration;

/// What is to be run, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// This program, where it is installed.
    pub program: PathBuf,
    /// A config file instead of the usual ones.
    pub config: Option<PathBuf>,
    /// The user's home.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, where it is set; systemd only.
    pub config_home: Option<PathBuf>,
    /// The user.
    pub uid: u32,
    /// Whether the user's manager holds CAP_WAKE_ALARM, as what runs in a login at the machine itself then does.
    pub wake_alarm: bool,
}

/// One command of the system's own tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The tool.
    pub tool: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether it is no failure when it fails: what it is to undo may not be there.
    pub may_fail: bool,
    /// For how long it is tried again when it fails, because what was asked before may not be done yet.
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

    /// As it would be typed.
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

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is in the way.
    pub what: String,
    /// The way out.
    pub hint: String,
}

impl Refusal {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}
