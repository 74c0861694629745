//! Running the doctor, and assertions about its checks and its self-test.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Ran, Reaper};

/// `reaper doctor`, for a program to read.
pub fn doctor(home: &Path) -> Reaper {
    Reaper::new(home, ["doctor", "--format", "json"])
}

/// Fails unless the check has this level, with this text in its message or hint.
#[track_caller]
pub fn found(ran: &Ran, name: &str, level: &str, words: &str) {
    let check = check(ran, name);
    assert_eq!(check["level"], level, "{check:#}\n{}", ran.stdout);
    let text = format!("{}\n{}", check["what"], check["hint"]);
    assert!(text.contains(words), "`{words}` is not in {check:#}");
    let needs_hint = matches!(level, "warn" | "fail");
    assert_eq!(check["hint"].is_string(), needs_hint, "{check:#}");
}

/// Fails unless these are all the checks that warned or failed.
#[track_caller]
pub fn only_amiss(ran: &Ran, names: &[&str]) {
    let all = ran.json();
    let checks = all["checks"].as_array().unwrap();
    let amiss: Vec<&str> =
        checks.iter().filter(|c| c["level"] != "ok").filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(amiss, names, "{all:#}");
}

/// The check of this name; a null when there is none.
pub fn check(ran: &Ran, name: &str) -> Value {
    let all = ran.json();
    all["checks"].as_array().unwrap().iter().find(|c| c["name"] == name).cloned().unwrap_or_default()
}

/// The names of the steps that the self-test took.
pub fn steps(ran: &Ran) -> Vec<String> {
    let all = ran.json();
    let steps = all["self_test"]["steps"].as_array().cloned().unwrap_or_default();
    steps.iter().filter_map(|step| step["name"].as_str()).map(str::to_owned).collect()
}

/// The result of one step.
pub fn step(ran: &Ran, name: &str) -> String {
    let all = ran.json();
    let steps = all["self_test"]["steps"].as_array().cloned().unwrap_or_default();
    let step = steps.iter().find(|step| step["name"] == name);
    step.and_then(|step| step["what"].as_str()).unwrap_or_default().to_owned()
}

/// The self-test's own process.
pub fn stand_in(ran: &Ran) -> i32 {
    let pid = ran.json()["self_test"]["pid"].as_i64();
    i32::try_from(pid.unwrap_or_else(|| panic!("there was none\n{}", ran.stdout))).unwrap()
}

/// Whether a process has this number.
pub fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The same command of uid 1000 in a user namespace of its own, in which the user is itself: what a hardened unit
/// of systemd gives it. `None` where that cannot be had.
pub fn in_a_user_namespace(reaper: Reaper) -> Option<Command> {
    const UNSHARE: [&str; 3] = ["--user", "--map-current-user", "--"];
    let inner = reaper.command();
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.uid(1000).gid(1000);
    let can = Command::new("unshare").args(UNSHARE).arg("true").uid(1000).gid(1000).status();
    can.is_ok_and(|status| status.success()).then_some(command)
}
