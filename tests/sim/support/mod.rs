//! Whole sweeps on a simulated machine, and an oracle that is independent of the gates' code.

#![allow(dead_code, reason = "each test binary uses its part of this")]

pub mod oracle;
pub mod signs;
pub mod sweep;

use std::sync::Arc;
use std::time::Duration;

use reaper::config::{Overrides, Sources, load};
use reaper_platform::fake::{Process, host_info, pid};
use reaper_platform::{HostInfo, Uid};
use reaper_policy::policy::Policy;

use crate::common::{scratch, set_mode};

/// Our own pid on every machine.
pub const ME: i32 = 900;
/// How long a process must have been seen orphaned.
pub const GRACE: Duration = Duration::from_secs(30);
/// From SIGTERM to SIGKILL.
pub const TERM_TIMEOUT: Duration = Duration::from_secs(10);
/// From SIGKILL to giving up.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A profile of the user's own: its owner is named by pid, and it has a daemon.
const CONFIG: &str = r#"
grace = "30s"
term-timeout = "10s"
kill-timeout = "5s"

[[profile]]
name = "mine"
markers = ["MINE"]
programs = ["my-agent"]
owner-pid-env = "MINE_PID"
keep-args = ["--stay"]
"#;

/// The settings: the built-in profiles in use by default, one more, and `extra` lines before them.
pub fn policy_with(extra: &str) -> Arc<Policy> {
    let dir = scratch();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, format!("{extra}\n{CONFIG}")).unwrap();
    set_mode(&path, 0o600);
    let meta = std::fs::metadata(&path).unwrap();
    let sources = Sources {
        explicit: Some(path),
        uid: std::os::unix::fs::MetadataExt::uid(&meta),
        primary_gid: std::os::unix::fs::MetadataExt::gid(&meta),
        ..Sources::default()
    };
    load(&sources, &Overrides::default()).unwrap().policy()
}

/// The same without extras, read once.
pub fn policy() -> Arc<Policy> {
    static POLICY: std::sync::OnceLock<Arc<Policy>> = std::sync::OnceLock::new();
    Arc::clone(POLICY.get_or_init(|| policy_with("")))
}

/// We are pid 900 of user 1000.
pub fn whereabouts() -> HostInfo {
    HostInfo { pid: pid(ME), uid: Uid(1000), ..host_info() }
}

/// PID 1: systemd.
pub fn systemd() -> Process {
    Process::new(1, "systemd").child_of(0).leader().started(0).uid(0).exe("/usr/lib/systemd/systemd")
}

/// The user's `systemd --user`.
pub fn manager() -> Process {
    Process::new(50, "systemd").args(&["--user"]).leader().adopts().unit("init.scope", Some(1000))
}

/// We, in a shell in a terminal.
pub fn us() -> [Process; 3] {
    [
        Process::new(700, "kitty").child_of(50).leader(),
        Process::new(800, "zsh").child_of(700).leader(),
        Process::new(ME, "reaper").child_of(800).session(800).group(ME),
    ]
}

/// The lease that a launcher stamps, as if `owner` had started at `start`.
pub fn lease(owner: i32, start: u64) -> String {
    format!("{owner}:{start}:{}", host_info().boot_id)
}
