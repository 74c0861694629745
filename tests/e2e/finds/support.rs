//! What these tests share: a marked agent, a home, and the command in the form that they read best.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use reaper_testkit::{ProcessRef, ProcessSet, ProcessSpec};
use serde_json::Value;

use crate::common::{Ran, Reaper, set_mode};

/// The marker of the agents in these tests.
pub const MARK: &str = "SPROUT_MANAGED_AGENT";

/// An agent of this name, with a launcher's marker.
pub fn agent(processes: &ProcessSet, name: &str) -> ProcessSpec {
    processes.spec(name).env(MARK, "1")
}

/// The home that the test's runs share.
pub fn home(processes: &ProcessSet) -> PathBuf {
    processes.directory().join("home")
}

/// Any command, at home.
pub fn reaper(processes: &ProcessSet, args: &[&str]) -> Reaper {
    Reaper::new(&home(processes), args.iter().copied())
}

/// `REAPER_OWNER` for this owner, with its PID namespace.
pub fn lease(owner: &ProcessRef) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let link = fs::read_link(format!("/proc/{}/ns/pid", owner.pid)).unwrap();
    let namespace: String = link.to_str().unwrap().chars().filter(char::is_ascii_digit).collect();
    format!("{}:{}:{}:{namespace}", owner.pid, owner.start_ticks(), boot.trim())
}

/// The user's own config, in which every name that begins with `goose-` is an agent of the same launcher.
pub fn hatch_geese(processes: &ProcessSet) {
    reaper(processes, &["config", "path"]).run();
    let folder = home(processes).join(".config/reaper");
    fs::create_dir_all(&folder).unwrap();
    let text = format!("[[profile]]\nname = \"geese\"\nmarkers = [\"{MARK}\"]\nprograms = [\"goose-*\"]\n");
    fs::write(folder.join("config.toml"), text).unwrap();
    set_mode(&folder.join("config.toml"), 0o600);
}

/// A line for bash in which `"$0"` is the command, at home.
pub fn shell(processes: &ProcessSet, line: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", line]);
    reaper(processes, &[]).through(bash)
}

/// A dry run that lists everything.
pub fn look(processes: &ProcessSet) -> Reaper {
    reaper(processes, &["scan", "--dry-run", "--grace", "0s", "--all", "--format", "json"])
}

/// A run that ends what it finds at once, and does not wait for long.
pub fn act(processes: &ProcessSet) -> Reaper {
    let act = reaper(processes, &["scan", "--yes", "--grace", "0s", "--all", "--format", "json"]);
    act.env("REAPER_TERM_TIMEOUT", "1s").env("REAPER_KILL_TIMEOUT", "1s")
}

/// What `explain` says of one gate: its answer and the evidence.
pub fn finding(ran: &Ran, gate: &str) -> (String, String) {
    let all = ran.json();
    let findings = all["judgement"]["findings"].as_array().cloned().unwrap_or_default();
    let found = findings.iter().find(|finding| finding["gate"] == gate).expect("every gate is listed");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&found["answer"]), text(&found["evidence"]))
}

/// The names of verdict and deciding gate, for comparisons.
pub fn verdict(verdict: &str, gate: &str) -> (String, String) {
    (verdict.to_owned(), gate.to_owned())
}
