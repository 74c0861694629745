//! The public JSON documents, declared a second time as a reader would: nothing may be renamed, and additions must be
//! made here and in docs/.

#![expect(dead_code, reason = "only the names and types of the fields matter")]

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::common::{Ran, Reaper, act, home, orphan};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryReport {
    schema: String,
    generated_at: String,
    since: Option<String>,
    pid: Option<i32>,
    entries: Vec<Entry>,
    omitted: u64,
    totals: Totals,
    skipped: Skipped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pid: i32,
    start_ticks: u64,
    program: String,
    root: i32,
    role: String,
    profiles: Vec<String>,
    sweep: String,
    self_test: bool,
    signals: Vec<SentSignal>,
    outcome: String,
    at: String,
    took_ms: Option<u64>,
    rss_bytes: u64,
    reclaimed_bytes: u64,
    why: Option<String>,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentSignal {
    signal: String,
    at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    gate: String,
    answer: String,
    evidence: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    targets: u64,
    ended: u64,
    orphans_ended: u64,
    by_outcome: std::collections::BTreeMap<String, u64>,
    by_profile: std::collections::BTreeMap<String, Profile>,
    reclaimed_bytes: u64,
    self_tests: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    ended: u64,
    reclaimed_bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skipped {
    damaged: u64,
    newer: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Doctor {
    schema: String,
    version: String,
    checked_at: String,
    uid: Option<u32>,
    all_users: bool,
    checks: Vec<Check>,
    self_test: Option<SelfTest>,
    summary: Summary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    level: String,
    what: String,
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfTest {
    pid: Option<i32>,
    steps: Vec<Step>,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    took_us: u64,
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    ok: usize,
    warn: usize,
    fail: usize,
    skip: usize,
}

#[track_caller]
fn read<T: DeserializeOwned>(ran: &Ran) -> T {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{}", ran.stdout))
}

#[test]
fn the_doctor_and_history_documents_are_as_published() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let doctor: Doctor = read(&Reaper::new(&home, ["doctor", "--format", "json"]).run().expect_code(0));
        assert_eq!(doctor.schema, "reaper.doctor/1");
        assert_eq!(doctor.checks.len(), doctor.summary.ok);
        drop(orphan(&processes));
        act(&processes).run().expect_code(0);
        let history: HistoryReport = read(&Reaper::new(&home, ["history", "--format", "json"]).run());
        assert_eq!((history.schema.as_str(), history.entries.len()), ("reaper.history-report/1", 2));
        assert_eq!((history.totals.self_tests, history.totals.by_profile["sprout"].ended), (1, 1));
    });
}
