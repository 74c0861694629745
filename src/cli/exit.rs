//! The exit codes, which are a public contract, and the errors that lead to them.

use std::fmt;
use std::process::ExitCode;

use reaper_platform::HostError;

use crate::config::ConfigError;
use reaper_engine::failure::Failure;
use reaper_engine::terminate::trouble::Trouble;

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Orphans were found, with `--exit-code`.
    Found,
    /// Wrong usage.
    Usage,
    /// The config cannot be used.
    Config,
    /// The job could not be done.
    Failed,
    /// A target survived or could not be signalled.
    Survived,
    /// A bug in reaper.
    Bug,
}

impl Exit {
    /// The exit status.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Failed => 4,
            Self::Survived => 5,
            Self::Bug => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    /// The exit code.
    pub exit: Exit,
    /// The message and the hint.
    pub failure: Failure,
}

impl CommandError {
    /// An error with a hint.
    #[must_use]
    pub fn new(exit: Exit, what: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self { exit, failure: Failure::new(what.to_string()).hint(hint.to_string()) }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl From<ConfigError> for CommandError {
    fn from(e: ConfigError) -> Self {
        let exit = match e {
            ConfigError::Flag { .. } => Exit::Usage,
            _ => Exit::Config,
        };
        // Its text may quote a line of a file, and includes the hint.
        Self { exit, failure: Failure::new(e.to_string()) }
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self { exit: Exit::Failed, failure }
    }
}

impl From<HostError> for CommandError {
    fn from(e: HostError) -> Self {
        Failure::from(e).into()
    }
}

impl From<Trouble> for CommandError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Account(e) => e.into(),
            Trouble::Wait(e) => Self::new(Exit::Failed, e, "what was signalled by then is in the history"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_help() {
        let help = crate::cli::args::parse(["reaper".into(), "--help".into()]).unwrap_err().to_string();
        for exit in
            [Exit::Done, Exit::Found, Exit::Usage, Exit::Config, Exit::Failed, Exit::Survived, Exit::Bug]
        {
            assert!(
                help.lines().any(|l| l.trim_start().starts_with(&format!("{} ", exit.code()))),
                "{exit:?}"
            );
        }
    }
}
