//! Runs the real `reaper` as a user would, and reads what it prints.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::files::set_mode;

/// An invocation to be run, with a home of its own and no inherited variables.
pub struct Reaper {
    command: Command,
    home: PathBuf,
}

impl Reaper {
    /// `reaper ARGS` with `home` (created, 0700) as its home. Runs of one home share sightings and history.
    pub fn new<S: Into<OsString>>(home: &Path, args: impl IntoIterator<Item = S>) -> Self {
        drop(fs::create_dir_all(home));
        set_mode(home, 0o700);
        let mut command = Command::new(env!("CARGO_BIN_EXE_reaper"));
        command.args(args.into_iter().map(Into::into)).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("HOME", home).env("TZ", "UTC");
        Self { command, home: home.to_owned() }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Runs as this user and group; the home becomes theirs.
    pub fn uid(mut self, uid: u32) -> Self {
        drop(std::os::unix::fs::chown(&self.home, Some(uid), Some(uid)));
        self.command.uid(uid).gid(uid);
        self
    }

    /// Runs as this user and group, in a home that is not its own.
    pub fn uid_only(mut self, uid: u32) -> Self {
        self.command.uid(uid).gid(uid);
        self
    }

    /// The underlying command, for options that this helper does not have.
    pub fn command(self) -> Command {
        self.command
    }

    /// The same run through another program (`nsenter …`, `sh -c …`), which gets it as its last arguments.
    pub fn through(self, mut other: Command) -> Command {
        other.arg(self.command.get_program()).args(self.command.get_args()).env_clear().stdin(Stdio::null());
        other.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        other
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let output = self.command.output().expect("reaper can be started");
        Ran::from(output)
    }
}

/// The result of a run.
pub struct Ran {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("what reaper prints is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("what reaper prints is UTF-8"),
        }
    }
}

impl Ran {
    /// Fails the test, showing everything, unless the exit code is this.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The document on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }

    /// The judgement of a process, if it is listed.
    pub fn judgement(&self, pid: i32) -> Option<Value> {
        let all = self.json();
        let found = all["judgements"].as_array()?.iter().find(|one| one["pid"] == pid)?;
        Some(found.clone())
    }

    /// A process's verdict and the gate that decided; two empty strings when it is not listed.
    pub fn verdict(&self, pid: i32) -> (String, String) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.judgement(pid)
            .map_or_else(Default::default, |one| (text(&one["verdict"]), text(&one["decided_by"])))
    }

    /// What became of a target; empty when nothing was done to it.
    pub fn outcome(&self, pid: i32) -> String {
        let all = self.json();
        let actions = all["actions"].as_array().cloned().unwrap_or_default();
        let found = actions.iter().find(|one| one["pid"] == pid);
        found.and_then(|one| one["outcome"].as_str()).unwrap_or_default().to_owned()
    }
}
