//! A private PID namespace, described and run from a test.
//!
//! The small program `pid-namespace` does the forking, since tests have threads.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::helper_binaries;

/// The exit code of `pid-namespace` when the machine does not allow what was requested.
pub const UNAVAILABLE: i32 = 125;
/// The file that PID 1 creates once it takes requests; the command may start before that.
pub const INIT_IS_READY: &str = "/run/testkit/init/is-ready";
/// The exit code of `pid-namespace` when the command did not end in time.
pub const TIMED_OUT: i32 = 124;

/// Why this machine does not allow such a namespace.
#[derive(Clone, Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The `hidepid` option of the namespace's `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidepid {
    /// `1`: directories are visible, their contents are not.
    NoAccess,
    /// `2`: other users' processes are hidden.
    Invisible,
    /// `4`: all processes are hidden that may not be traced.
    Ptraceable,
}

/// The id to which a user namespace maps our user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// Root inside.
    Root,
    /// The same user as outside; the command has no capabilities.
    Same,
}

/// The description of a private PID namespace.
#[derive(Clone, Debug, Default)]
pub struct PidNamespace {
    options: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    needs_users: bool,
}

impl PidNamespace {
    /// A namespace whose PID 1 is `tini`, with a limit of 60 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn option(mut self, flag: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.extend([flag.into(), value.as_ref().into()]);
        self
    }

    /// The name of PID 1's executable, and its whole argument vector (empty: just the name).
    #[must_use]
    pub fn init<S: AsRef<OsStr>>(self, name: &str, argv: &[S]) -> Self {
        argv.iter().fold(self.option("--init", name), |namespace, arg| namespace.option("--init-arg", arg))
    }

    /// PID 1 does not reap the orphans that it adopts, as with a PID 1 that is not an init program.
    #[must_use]
    pub fn keep_zombies(self) -> Self {
        self.option("--init-behaviour", "keep-zombies")
    }

    /// PID 1 is `/usr/lib/systemd/systemd`.
    #[must_use]
    pub fn systemd(self) -> Self {
        self.init("systemd", &["/usr/lib/systemd/systemd", "--system"])
    }

    /// Adds words to what PID 1 does (see [`Behaviour`](crate::behaviour::Behaviour)).
    #[must_use]
    pub fn init_behaves(self, words: impl AsRef<OsStr>) -> Self {
        self.option("--init-behaviour", words)
    }

    /// Mounts `/proc` with this option. It affects ordinary users only.
    #[must_use]
    pub fn hidepid(self, mode: Hidepid) -> Self {
        self.option(
            "--hidepid",
            match mode {
                Hidepid::NoAccess => "1",
                Hidepid::Invisible => "2",
                Hidepid::Ptraceable => "4",
            },
        )
    }

    /// Uses a user namespace even for root; an ordinary user always gets one (as [`IdMap::Root`]).
    #[must_use]
    pub fn user_namespace(self, map: IdMap) -> Self {
        self.option("--user-ns", if map == IdMap::Root { "root" } else { "self" })
    }

    /// Drops root's rights first: everything runs as this user.
    #[must_use]
    pub fn as_user(self, uid: u32) -> Self {
        self.option("--uid", uid.to_string())
    }

    /// Requires root: the test starts processes of several users.
    #[must_use]
    pub fn several_users(mut self) -> Self {
        self.needs_users = true;
        self
    }

    /// The time after which everything in the namespace is ended.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        self.option("--timeout", limit.as_secs_f64().to_string())
    }

    /// A variable for the command.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs `program` inside, and waits until it and everything it started have ended.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: &[S],
    ) -> Result<Output, Unavailable> {
        // SAFETY: geteuid has no preconditions.
        if self.needs_users && unsafe { libc::geteuid() } != 0 {
            return Err(Unavailable("needs root, to start processes of several users".to_owned()));
        }
        let found = helper_binaries::locate().map_err(|error| Unavailable(error.to_string()))?;
        let output = Command::new(&found.pid_namespace)
            .args(&self.options)
            .arg("--")
            .arg(program)
            .args(args)
            .env(helper_binaries::DIRECTORY, &found.directory)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Unavailable(format!("{}: {error}", found.pid_namespace.display())))?;
        if output.status.code() == Some(UNAVAILABLE) {
            return Err(Unavailable(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(output)
    }
}
