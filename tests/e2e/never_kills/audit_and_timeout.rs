//! The term timeout of each target, and the records of terminations and their reasons.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde_json::Value;

use crate::common::{APP, Reaper, act, action, ended, home, marked, orphan, records, state_dir, untouched};

const GATES: [&str; 8] =
    ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected", "grace"];

#[test]
fn w19_every_signal_is_recorded_with_its_reasons() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let deaf = marked(&processes, "goose").behave("ignore-term").orphan_of_dead_leader();
        let child = marked(&processes, "esbuild").args(["--token=hunter2"]).under(&deaf);
        let stranger = processes.spec("claude").orphan_of_dead_leader();
        let start = deaf.start_ticks();
        let ran = act(&processes).env("REAPER_TERM_TIMEOUT", "200ms").run().expect_code(0);
        assert_eq!(
            (ran.outcome(deaf.pid), ran.outcome(child.pid)),
            ("killed".to_owned(), "exited".to_owned())
        );
        untouched(&ran, &stranger);
        let all = records(&home(&processes));
        let of = |pid: i32| -> Vec<&Value> { all.iter().filter(|r| r["pid"] == pid).collect() };
        let steps = |pid| -> Vec<String> {
            let step =
                |r: &&Value| format!("{} {}{}", r["event"], r["signal"], r["outcome"]).replace(['"'], "");
            of(pid).iter().map(step).collect()
        };
        assert_eq!(steps(deaf.pid), ["intent TERMnull", "intent KILLnull", "outcome nullkilled"]);
        assert_eq!(steps(child.pid), ["intent TERMnull", "outcome nullexited"]);
        assert!(of(stranger.pid).is_empty(), "who got no signal is in no account");
        for intent in of(deaf.pid).into_iter().filter(|r| r["event"] == "intent") {
            let findings = intent["findings"].as_array().unwrap();
            let gates: Vec<&str> = findings.iter().filter_map(|f| f["gate"].as_str()).collect();
            // These are all the reasons there are; how much memory is free is none.
            assert_eq!(gates, GATES);
            for finding in findings {
                assert_eq!(finding["answer"], "yes", "{intent:#}");
                assert!(finding["evidence"].as_str().is_some_and(|words| words.len() > 4), "{intent:#}");
            }
            assert_eq!((&intent["role"], &intent["program"]), (&"root".into(), &"goose".into()));
            assert_eq!(intent["start_ticks"], start);
            assert_eq!(intent["profiles"][0], "sprout");
        }
        let of_child = of(child.pid);
        assert_eq!((&of_child[0]["root"], &of_child[0]["role"]), (&deaf.pid.into(), &"descendant".into()));
        let sweeps: Vec<&Value> = all.iter().map(|r| &r["sweep"]).collect();
        assert!(sweeps.iter().all(|sweep| sweep.is_string() && *sweep == sweeps[0]));
        let text = fs::read_to_string(state_dir(&home(&processes)).join("history.jsonl")).unwrap();
        assert!(!text.contains(APP) && !text.contains("hunter2"), "neither values nor arguments are kept");
    });
}

#[test]
fn w19_without_a_record_no_signal_is_sent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let history = state_dir(&home).join("history.jsonl");
        drop(Reaper::new(&home, ["profiles"]).run());
        fs::create_dir_all(&history).unwrap();
        let orphan = orphan(&processes);
        let ran = act(&processes).run().expect_code(4);
        assert!(ran.stderr.contains("history.jsonl"), "{}", ran.stderr);
        assert!(orphan.is_alive());
        fs::remove_dir(&history).unwrap();
        ended(&act(&processes).run().expect_code(0), &orphan);
    });
}

#[test]
fn w20_a_slow_agent_has_the_whole_term_timeout() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let drains = marked(&processes, "goose").behave("exit-after=1500").orphan_of_dead_leader();
        // The default is longer still.
        let ran = act(&processes).env("REAPER_TERM_TIMEOUT", "5s").run().expect_code(0);
        ended(&ran, &drains);
        let took = action(&ran, &drains).unwrap()["took_ms"].as_u64().unwrap();
        assert!((1400..5000).contains(&took), "{took} ms");
        assert!(records(&home(&processes)).iter().all(|r| r["signal"] != "KILL"));
    });
}

#[test]
fn w20_a_target_that_ignores_sigterm_does_not_shorten_the_time_of_another() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let drains = marked(&processes, "goose").behave("exit-after=600").orphan_of_dead_leader();
        let deaf = marked(&processes, "claude").behave("ignore-term").orphan_of_dead_leader();
        let quick = orphan(&processes);
        let ran = act(&processes).env("REAPER_TERM_TIMEOUT", "4s").run().expect_code(0);
        ended(&ran, &drains);
        ended(&ran, &quick);
        assert_eq!(ran.outcome(deaf.pid), "killed");
        let took = action(&ran, &deaf).unwrap()["took_ms"].as_u64().unwrap();
        assert!(took >= 4000, "it had all its time: {took} ms");
    });
}
