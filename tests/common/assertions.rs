//! Assertions about one process in the JSON of a run; a failure shows the whole judgement.

use reaper_testkit::{ProcessRef, ProcessSet};
use serde_json::Value;

use super::agents::home;
use super::command::{Ran, Reaper};

/// Fails unless the process exited after SIGTERM, without SIGKILL.
#[track_caller]
pub fn ended(ran: &Ran, gone: &ProcessRef) {
    let action = action(ran, gone).unwrap_or_else(|| panic!("{} was not ended\n{}", gone.pid, ran.stdout));
    assert_eq!(
        (&action["outcome"], action["signals"].to_string().as_str()),
        (&"exited".into(), "[\"TERM\"]")
    );
    assert!(!gone.is_alive());
}

/// Fails unless this gate spared the process, with this text as evidence, and it lives.
#[track_caller]
pub fn spared(ran: &Ran, alive: &ProcessRef, gate: &str, words: &str) {
    let listed = ran.judgement(alive.pid);
    let judgement = listed.unwrap_or_else(|| panic!("{} is not listed\n{}", alive.pid, ran.stdout));
    decided(&judgement, "spare", gate, words);
    untouched(ran, alive);
}

/// Fails unless this gate answered `unknown`, with this text as evidence, and the process lives.
#[track_caller]
pub fn doubted(ran: &Ran, alive: &ProcessRef, gate: &str, words: &str) {
    let listed = ran.judgement(alive.pid);
    let judgement = listed.unwrap_or_else(|| panic!("{} is not listed\n{}", alive.pid, ran.stdout));
    decided(&judgement, "unknown", gate, words);
    untouched(ran, alive);
}

/// Fails unless the process was named as a part of a tree that stays, with these words, and lives.
#[track_caller]
pub fn left_alone(ran: &Ran, alive: &ProcessRef, words: &str) {
    let all = ran.json();
    let left = all["left_alone"].as_array().and_then(|all| all.iter().find(|one| one["pid"] == alive.pid));
    let left = left.unwrap_or_else(|| panic!("{} is not named\n{}", alive.pid, ran.stdout));
    let reason = left["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(words), "`{words}` is not in {left}");
    untouched(ran, alive);
}

/// Fails unless the process lives and nothing was done to it.
#[track_caller]
pub fn untouched(ran: &Ran, alive: &ProcessRef) {
    assert!(action(ran, alive).is_none(), "{} was a target\n{}", alive.pid, ran.stdout);
    assert!(alive.is_alive(), "{} has ended\n{}", alive.pid, ran.stdout);
}

/// Fails unless this gate alone spared the process; grace aside, which a scan can set to zero.
#[track_caller]
pub fn only(processes: &ProcessSet, alive: &ProcessRef, gate: &str) {
    let judgement = explain(processes, alive);
    for other in ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected"] {
        let answer = finding(&judgement, other).unwrap_or_default()["answer"].clone();
        assert_eq!(answer == "yes", other != gate, "{other}: {judgement:#}");
    }
}

/// The judgement of `reaper explain` for any process, whether or not a scan would list it.
pub fn explain(processes: &ProcessSet, alive: &ProcessRef) -> Value {
    let args = ["explain", &alive.pid.to_string(), "--format", "json"].map(str::to_owned);
    Reaper::new(&home(processes), args).run().expect_code(0).json()["judgement"].clone()
}

/// Fails unless a judgement is this, by this gate, with these words in its evidence.
#[track_caller]
pub fn decided(judgement: &Value, verdict: &str, gate: &str, words: &str) {
    let (got, by) = (&judgement["verdict"], &judgement["decided_by"]);
    assert!(got == verdict && by == gate, "not {verdict} by {gate}: {judgement:#}");
    let finding = finding(judgement, gate).unwrap_or_default();
    let evidence = finding["evidence"].as_str().unwrap_or_default();
    assert!(evidence.contains(words), "`{words}` is not in {finding:#}");
}

pub fn finding(judgement: &Value, gate: &str) -> Option<Value> {
    judgement["findings"].as_array()?.iter().find(|one| one["gate"] == gate).cloned()
}

/// What was done to a process, if anything.
pub fn action(ran: &Ran, alive: &ProcessRef) -> Option<Value> {
    ran.json()["actions"].as_array()?.iter().find(|one| one["pid"] == alive.pid).cloned()
}
