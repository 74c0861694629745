//! The state in a home: the history and the sightings, and waiting for an entry of either.

use std::fs;
use std::path::{Path, PathBuf};

use reaper_testkit::ProcessRef;
use serde_json::Value;

use super::files::state_dir;
use super::wait::until;

/// The history of a home, line by line; a line that is being written is not there yet.
pub fn records(home: &Path) -> Vec<Value> {
    let text = fs::read_to_string(state_dir(home).join("history.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until the signal's intent is recorded, just before it is sent.
pub fn wait_for_intent(home: &Path, alive: &ProcessRef, signal: &str) {
    let is_it = |r: &Value| r["event"] == "intent" && r["pid"] == alive.pid && r["signal"] == signal;
    until("the intent is written", || records(home).iter().any(is_it));
}

/// Waits until a run has saved a sighting of the process.
pub fn wait_for_sighting(home: &Path, alive: &ProcessRef) {
    let entry = format!("\"pid\":{},", alive.pid);
    let file = state_dir(home).join("sightings.json");
    until("it is seen", || fs::read_to_string(&file).is_ok_and(|text| text.contains(&entry)));
}
