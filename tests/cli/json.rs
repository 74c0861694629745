//! The JSON that programs read. Its types are declared here once more, closed to unknown fields: a change that adds,
//! renames or drops one changes the contract, and must change this file too.

#![expect(dead_code, reason = "the types are the test")]

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::Reaper;

/// The document of the contract, as it was first published.
const PUBLISHED: &str = r#"
{"schema":"reaper.scan/1","dry_run":true,"started_at":"2026-01-02T03:04:05Z","duration_us":900,
 "census":{"method":"children","examined":143,"unreadable":0,"complete":true},
 "judgements":[{"pid":4242,"ppid":1,"uid":1000,"program":"goose","exe":"/usr/local/bin/goose","started_at":"…","age_s":812.4,
   "profile":"sprout","marker":"SPROUT_MANAGED_AGENT","verdict":"reap","decided_by":"grace","reason":"orphaned for 45 s (grace 30 s)","eligible_in_s":0,
   "rss_bytes":18464000,"targets":[4242,4250],
   "findings":[{"gate":"user","answer":"yes","evidence":"uid 1000"}]}],
 "actions":[{"pid":4242,"root":4242,"signals":["TERM"],"outcome":"exited","took_ms":12}],
 "summary":{"reap":1,"wait":0,"spare":0,"unknown":0,"exited":1,"killed":0,"gone":0,"spared":0,"denied":0,"survived":0,"deferred":0,"reclaimed_bytes":18464000}}
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    schema: String,
    dry_run: bool,
    started_at: String,
    duration_us: u64,
    census: Census,
    judgements: Vec<Judgement>,
    actions: Vec<Action>,
    left_alone: Vec<LeftAlone>,
    summary: Summary,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain {
    schema: String,
    judgement: Judgement,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Census {
    method: Method,
    examined: usize,
    unreadable: usize,
    complete: bool,
    zombies: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Children,
    ProcessList,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judgement {
    pid: i32,
    ppid: i32,
    uid: Option<u32>,
    program: String,
    exe: Option<String>,
    started_at: String,
    age_s: f64,
    profile: Option<String>,
    marker: Option<String>,
    verdict: Verdict,
    decided_by: Gate,
    reason: String,
    orphaned_s: f64,
    eligible_in_s: Option<f64>,
    rss_bytes: u64,
    targets: Vec<i32>,
    findings: Vec<Finding>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Reap,
    Wait,
    Spare,
    Unknown,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Gate {
    User,
    Program,
    Orphan,
    Marker,
    Unsupervised,
    Unclaimed,
    Unprotected,
    Grace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    gate: Gate,
    answer: Answer,
    evidence: String,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Yes,
    No,
    Unknown,
    NotAsked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    pid: i32,
    root: i32,
    program: String,
    signals: Vec<Signal>,
    outcome: Outcome,
    took_ms: u64,
    why: Option<String>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "UPPERCASE")]
enum Signal {
    Term,
    Kill,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Exited,
    Killed,
    Gone,
    Spared,
    Denied,
    Survived,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftAlone {
    pid: i32,
    root: i32,
    program: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    reap: usize,
    wait: usize,
    spare: usize,
    unknown: usize,
    exited: usize,
    killed: usize,
    gone: usize,
    spared: usize,
    denied: usize,
    survived: usize,
    deferred: usize,
    zombies: usize,
    reclaimed_bytes: u64,
}

/// One document on one line, of the declared type.
fn read<T: DeserializeOwned>(text: &str) -> T {
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "one document on a line of its own: {text}");
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Panics unless everything that was published is still there, with the same kind of value.
fn holds(published: &Value, now: &Value, at: &str) {
    match (published, now) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let found = new.get(key).unwrap_or_else(|| panic!("`{at}.{key}` is gone"));
                holds(value, found, &format!("{at}.{key}"));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let (Some(old), Some(new)) = (old.first(), new.first()) else { panic!("`{at}` is empty") };
            holds(old, new, &format!("{at}[0]"));
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("`{at}` was {published} and is {now}"),
    }
}

#[test]
fn a_scan_that_acts_says_what_the_contract_says() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let root = agent("goose").args(["acp"]).orphan_of_dead_leader();
        let child = agent("my-tool").behave("ignore-term").under(&root);
        let stranger = processes.spec("my-server").under(&root);
        let daemon = agent("claude").args(["daemon"]).orphan_in_session();
        let line = "scan --yes --grace 0s --format json";
        let ran =
            Reaper::new(&home, line.split(' ')).env("REAPER_TERM_TIMEOUT", "500ms").run().expect_code(0);
        holds(&serde_json::from_str(PUBLISHED).unwrap(), &ran.json(), "scan");
        let scan: Scan = read(&ran.stdout);
        assert_eq!((scan.schema.as_str(), scan.dry_run), ("reaper.scan/1", false));
        assert!(scan.started_at.ends_with('Z') && scan.started_at.contains('T'), "{}", scan.started_at);
        let [first, second] = scan.judgements.as_slice() else { panic!("{}", ran.stdout) };
        assert_eq!((first.pid, &first.verdict, &first.decided_by), (root.pid, &Verdict::Reap, &Gate::Grace));
        assert_eq!(first.targets, [child.pid, root.pid], "leaves first");
        assert!(first.findings.iter().all(|f| f.answer == Answer::Yes) && first.findings.len() == 8);
        assert_eq!((second.pid, &second.verdict), (daemon.pid, &Verdict::Spare));
        assert_eq!(second.eligible_in_s, None);
        let of = |pid| scan.actions.iter().find(|a| a.pid == pid).unwrap();
        assert_eq!(
            (&of(root.pid).outcome, of(root.pid).signals.as_slice()),
            (&Outcome::Exited, &[Signal::Term][..])
        );
        assert_eq!((&of(child.pid).outcome, of(child.pid).root), (&Outcome::Killed, root.pid));
        assert_eq!(of(child.pid).signals, [Signal::Term, Signal::Kill]);
        assert_eq!(scan.left_alone.iter().map(|l| l.pid).collect::<Vec<_>>(), [stranger.pid]);
        let s = scan.summary;
        assert_eq!((s.reap, s.spare, s.exited, s.killed), (1, 1, 1, 1), "{}", ran.stdout);
        assert!(s.reclaimed_bytes > 0 && stranger.is_alive() && daemon.is_alive());
    });
}

#[test]
fn a_dry_run_shows_what_goes_down_with_an_orphan_in_grace() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let root = agent("goose").orphan_of_dead_leader();
        let child = agent("my-tool").under(&root);
        let ran = Reaper::new(&home, "scan --dry-run --format json".split(' ')).run().expect_code(0);
        let scan: Scan = read(&ran.stdout);
        let [judgement] = scan.judgements.as_slice() else { panic!("{}", ran.stdout) };
        assert_eq!((judgement.pid, &judgement.verdict), (root.pid, &Verdict::Wait));
        assert_eq!(judgement.targets, [child.pid, root.pid]);
        assert!(
            judgement.eligible_in_s.is_some_and(|s| s > 0.0 && s <= 30.0),
            "{:?}",
            judgement.eligible_in_s
        );
        assert!(scan.summary.reclaimed_bytes > judgement.rss_bytes, "the child's memory counts too");
        assert!(scan.actions.is_empty() && root.is_alive() && child.is_alive());
    });
}

#[test]
fn an_explanation_answers_every_gate() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let unmarked = processes.spec("goose").child();
        let explain = |pid: i32| {
            let pid = pid.to_string();
            let ran = Reaper::new(&home, ["explain", &pid, "--format", "json"]).run().expect_code(0);
            read::<Explain>(&ran.stdout)
        };
        let said = explain(orphan.pid);
        assert_eq!((said.schema.as_str(), said.judgement.pid), ("reaper.explain/1", orphan.pid));
        assert_eq!((said.judgement.verdict, said.judgement.findings.len()), (Verdict::Wait, 8));
        let said = explain(unmarked.pid).judgement;
        assert_eq!((said.verdict, said.decided_by), (Verdict::Spare, Gate::Orphan));
        let answer = |gate| said.findings.iter().find(|f| f.gate == gate).map(|f| &f.answer);
        assert_eq!(answer(Gate::Marker), Some(&Answer::No));
        assert_eq!(answer(Gate::Grace), Some(&Answer::NotAsked), "time counts for orphans only");
    });
}
