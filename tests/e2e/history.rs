//! What `reaper history` shows of real runs, and of files that were damaged, edited or given to another user.

use std::fs;
use std::path::Path;
use std::process::Command;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, mounts, test_name};
use serde_json::Value;

use crate::common::{
    Ran, Reaper, Running, act, home, marked, orphan, set_mode, state_dir, until, wait_for_intent,
};

fn history(home: &Path, args: &[&str]) -> Ran {
    Reaper::new(home, ["history"].iter().chain(args).copied()).run()
}

fn entry(report: &Value, pid: i32) -> Value {
    report["entries"].as_array().unwrap().iter().find(|e| e["pid"] == pid).cloned().unwrap_or_default()
}

#[test]
fn w19_what_was_ended_and_why_is_in_the_history() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        assert_eq!(history(&home, &[]).expect_code(0).stdout, "nothing was ended\n");
        let quick = orphan(&processes);
        let deaf = marked(&processes, "claude").behave("ignore-term").orphan_of_dead_leader();
        let child = marked(&processes, "esbuild").under(&deaf);
        act(&processes).env("REAPER_TERM_TIMEOUT", "300ms").run().expect_code(0);
        let ran = history(&home, &["--format", "json"]).expect_code(0);
        assert_eq!(ran.stderr, "");
        let report = ran.json();
        assert_eq!(report["schema"], "reaper.history-report/1");
        let signals = |pid: i32| entry(&report, pid)["signals"].as_array().unwrap().len();
        assert_eq!((signals(quick.pid), signals(deaf.pid), signals(child.pid)), (1, 2, 1));
        let killed = entry(&report, deaf.pid);
        assert_eq!(
            (&killed["outcome"], &killed["role"], &killed["program"]),
            (&"killed".into(), &"root".into(), &"claude".into())
        );
        assert!(
            killed["took_ms"].as_u64().unwrap() >= 300 && killed["findings"].as_array().unwrap().len() == 8
        );
        assert_eq!(entry(&report, child.pid)["root"], deaf.pid);
        let totals = &report["totals"];
        assert_eq!((&totals["ended"], &totals["orphans_ended"]), (&3.into(), &2.into()));
        assert_eq!(totals["by_outcome"], serde_json::json!({"exited": 2, "killed": 1}));
        assert_eq!(totals["by_profile"]["sprout"]["ended"], 3);
        let sum: u64 = [quick.pid, deaf.pid, child.pid]
            .iter()
            .map(|p| entry(&report, *p)["rss_bytes"].as_u64().unwrap())
            .sum();
        assert!(sum > 0);
        assert_eq!(totals["reclaimed_bytes"], sum);

        let text = history(&home, &[]).expect_code(0).stdout;
        let line = text.lines().find(|l| l.contains("claude")).unwrap();
        assert!(line.contains("TERM+KILL") && line.contains("its parent died; `systemd` (pid 1)"), "{text}");
        assert!(text.contains("descendant of pid"), "{text}");
        assert!(text.contains("3 processes ended, 2 orphans among them; about "), "{text}");
        let gates = history(&home, &["-v", "--pid", &deaf.pid.to_string()]).expect_code(0).stdout;
        for gate in
            ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected", "grace"]
        {
            assert!(gates.contains(&format!("    {gate:<12} yes ")), "{gates}");
        }
        assert!(!gates.contains("esbuild"), "{gates}");
        let one = history(&home, &["--limit", "1", "--format", "json"]).expect_code(0);
        assert_eq!((one.json()["entries"].as_array().unwrap().len(), &one.json()["omitted"]), (1, &2.into()));
        assert!(one.stderr.contains("2 older are not shown"), "{}", one.stderr);
        let long_ago = history(&home, &["--since", "1ms"]).expect_code(0);
        assert!(long_ago.stdout.contains("nothing was ended in that time"), "{}", long_ago.stdout);
        assert!(history(&home, &["--since", "1h"]).stdout.contains("3 processes ended"));
    });
}

#[test]
fn w19_a_run_that_was_killed_leaves_an_unfinished_record() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let deaf = marked(&processes, "goose").behave("ignore-term").orphan_of_dead_leader();
        let run = Running::start(act(&processes));
        wait_for_intent(&home, &deaf, "TERM");
        run.kill();
        let report = history(&home, &["--format", "json"]).expect_code(0).json();
        let left = entry(&report, deaf.pid);
        assert_eq!((&left["outcome"], &left["took_ms"]), (&"unfinished".into(), &Value::Null));
        assert_eq!(left["signals"][0]["signal"], "TERM");
        assert_eq!(left["findings"].as_array().unwrap().len(), 8);
        assert_eq!(
            (&report["totals"]["ended"], &report["totals"]["by_outcome"]["unfinished"]),
            (&0.into(), &1.into())
        );
    });
}

#[test]
fn r11_an_intent_that_did_not_fit_on_the_disk_is_no_unfinished_record() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let state = state_dir(&home);
        let orphans: Vec<_> = (0..12).map(|_| orphan(&processes)).collect();
        drop(history(&home, &[]));
        fs::create_dir_all(&state).unwrap();
        mounts::memory(&state, "size=32k,mode=0700").unwrap();
        // Room for the sightings, and for a part of the announcements.
        fs::write(state.join("ballast"), vec![1; 20 << 10]).unwrap();
        let ran = act(&processes).run().expect_code(4);
        assert!(ran.stderr.contains("No space left"), "{}", ran.stderr);
        assert!(orphans.iter().all(|orphan| orphan.is_alive()));
        let size = fs::metadata(state.join("history.jsonl")).unwrap().len();
        assert_eq!(size, 0, "what was called off was undone");
        assert_eq!(history(&home, &[]).expect_code(0).stdout, "nothing was ended\n");
    });
}

fn put(home: &Path, name: &str, text: &str) {
    let state = state_dir(home);
    fs::create_dir_all(&state).unwrap();
    set_mode(&state, 0o700);
    fs::write(state.join(name), text).unwrap();
    set_mode(&state.join(name), 0o600);
}

fn outcome(pid: i32, more: &str) -> String {
    format!(
        r#"{{"schema":"reaper.history/1","at":"2026-01-02T03:04:05.000Z","sweep":"s","event":"outcome","pid":{pid},"start_ticks":1,"root":{pid},"role":"root","program":"goose","profiles":["sprout"],"outcome":"exited","took_ms":1,"rss_bytes":1000{more}}}"#
    ) + "\n"
}

#[test]
fn r11_damaged_lines_are_reported_and_the_rest_is_read() {
    let home = tempfile::tempdir().unwrap();
    let text = outcome(1, "")
        + &outcome(2, "")[..40]
        + "\n{}\n"
        + &outcome(3, ",\"from_the_future\":[1]")
        + &outcome(4, "").replace("/1\"", "/9\"");
    put(home.path(), "history.jsonl", &text);
    put(home.path(), "history.jsonl.1", &outcome(9, ""));
    let ran = history(home.path(), &["--format", "json"]).expect_code(0);
    let pids: Vec<i64> =
        ran.json()["entries"].as_array().unwrap().iter().map(|e| e["pid"].as_i64().unwrap()).collect();
    assert_eq!(pids, [9, 1, 3], "the older file first");
    assert_eq!(ran.json()["skipped"], serde_json::json!({"damaged": 2, "newer": 1}));
    assert!(ran.stderr.contains("2 lines of the history left out: damaged"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("1 line of the history left out: written by a newer version"),
        "{}",
        ran.stderr
    );
}

#[test]
fn r08_escape_sequences_in_the_history_reach_no_terminal() {
    let home = tempfile::tempdir().unwrap();
    put(
        home.path(),
        "history.jsonl",
        &outcome(1, r#","why":"\u001b[2J\u202egone\u009b""#).replace("goose", r"\u001b]0;x\u0007"),
    );
    for args in [&[][..], &["-v"], &["--format", "json"]] {
        let ran = history(home.path(), args).expect_code(0);
        let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!ran.stdout.contains(hidden), "{args:?}: {:?}", ran.stdout);
        assert!(ran.stdout.contains("gone"));
    }
}

#[test]
fn w19_a_history_that_others_can_write_is_refused() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "history.jsonl", &outcome(1, ""));
    put(home.path(), "history.jsonl.1", &outcome(2, ""));
    for (path, mode) in [("history.jsonl", 0o620), ("history.jsonl.1", 0o602), ("", 0o777)] {
        let path = state_dir(home.path()).join(path);
        set_mode(&path, mode);
        let ran = history(home.path(), &[]).expect_code(4);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("others"), "{}", ran.stderr);
        assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
        set_mode(&path, if path.is_dir() { 0o700 } else { 0o600 });
    }
    history(home.path(), &[]).expect_code(0);
}

#[test]
fn r11_a_large_history_is_streamed() {
    let home = tempfile::tempdir().unwrap();
    let long = "x".repeat(100_000);
    let line = outcome(1, &format!(r#","why":"{long}""#));
    put(home.path(), "history.jsonl", &line.repeat(500));
    let command = Reaper::new(home.path(), ["history", "--limit", "20", "--format", "json"]).command();
    let mut limited = Command::new("/bin/sh");
    // 50 MB of history, 40 MB of addresses; the program itself takes less than 20.
    limited
        .args(["-c", "ulimit -v 40000; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::from(limited.output().unwrap()).expect_code(0);
    let report = ran.json();
    assert_eq!((report["entries"].as_array().unwrap().len(), &report["totals"]["ended"]), (20, &500.into()));
}

#[test]
fn w15_records_written_by_two_runs_at_once_stay_whole() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let mut service =
            Reaper::new(&home, ["run"]).env("REAPER_GRACE", "0s").env("REAPER_INTERVAL", "100ms").command();
        let mut service = service.stderr(std::process::Stdio::null()).spawn().unwrap();
        let all: Vec<_> = (0..30)
            .map(|n| {
                let orphan = orphan(&processes);
                if n % 5 == 0 {
                    // The second one finds the process gone, or the other reaper at work.
                    drop(act(&processes).run());
                }
                orphan
            })
            .collect();
        until("all have ended", || all.iter().all(|orphan| !orphan.is_alive()));
        let pids: Vec<i32> = all.iter().map(|orphan| orphan.pid).collect();
        let concluded = || {
            let report = history(&home, &["--all", "--format", "json"]).expect_code(0).json();
            let by = report["totals"]["by_outcome"].clone();
            (by["exited"].as_u64() == Some(30)).then_some(report).ok_or(by)
        };
        until("every account is concluded", || concluded().is_ok());
        let report = concluded().unwrap();
        assert_eq!(report["skipped"], serde_json::json!({"damaged": 0, "newer": 0}));
        for pid in pids {
            assert_eq!(entry(&report, pid)["outcome"], "exited", "{pid}");
        }
        let service_pid = i32::try_from(service.id()).unwrap();
        reaper_testkit::ProcessRef::open(service_pid)
            .unwrap()
            .signal(rustix::process::Signal::TERM.as_raw())
            .unwrap();
        service.wait().unwrap();
    });
}
