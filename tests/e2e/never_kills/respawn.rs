//! A target that respawns as its own child on SIGTERM, and one that is stopped.

use std::fs;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use crate::common::{LONG, Running, act, action, ended, home, marked, orphan, records, until};

/// The agents that run, by their numbers.
fn agents(name: &str) -> Vec<i32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &i32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        read("comm").trim() == name && !read("stat").contains(") Z ")
    };
    numbers.filter(is_it).collect()
}

/// Hundredths of a second since boot, as starts are told in.
fn ticks_since_boot() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn b34_a_target_that_respawns_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let first = marked(&processes, "goose").behave("return-on-term").orphan_of_dead_leader();
        let plain = marked(&processes, "claude").orphan_of_dead_leader();
        let run = Running::start(act(&processes).env("REAPER_TERM_TIMEOUT", "1s"));
        let mut second = None;
        until("it comes back", || {
            second = agents("goose")
                .into_iter()
                .find(|pid| *pid != first.pid)
                .and_then(|pid| ProcessRef::open(pid).ok());
            second.is_some()
        });
        let second = second.unwrap();
        let start = second.start_ticks();
        assert!(second.wait_exit(LONG));
        let lived = ticks_since_boot() - start;
        let ran = run.finish().expect_code(0);
        ended(&ran, &first);
        ended(&ran, &plain);
        let action = action(&ran, &second).unwrap_or_else(|| panic!("{}", ran.stdout));
        assert_eq!(
            (&action["outcome"], &action["signals"]),
            (&"killed".into(), &serde_json::json!(["KILL"]))
        );
        let why = format!("it came back: pid {} started it while that was being ended", first.pid);
        assert_eq!(action["why"], why.as_str());
        assert!((100..1000).contains(&lived), "it had its own time: {lived} ticks");
        let all = records(&home(&processes));
        let of_it: Vec<_> = all.iter().filter(|r| r["pid"] == second.pid).collect();
        assert!(of_it.len() == 2 && of_it.iter().all(|r| r["role"] == "successor"), "{of_it:#?}");
        assert_eq!(agents("goose"), [0; 0], "nothing of it is left\n{}", ran.stdout);
    });
}

#[test]
fn b35_a_stopped_agent_is_continued_and_exits_by_itself() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let stopped = marked(&processes, "goose").behave("stop;exit-after=300").orphan_of_dead_leader();
        let plain = orphan(&processes);
        assert_eq!(stopped.state(), 'T');
        let ran = act(&processes).env("REAPER_TERM_TIMEOUT", "10s").run().expect_code(0);
        let action = action(&ran, &stopped).unwrap_or_else(|| panic!("{}", ran.stdout));
        assert_eq!(
            (&action["outcome"], &action["signals"]),
            (&"exited".into(), &serde_json::json!(["TERM", "CONT"]))
        );
        let took = Duration::from_millis(action["took_ms"].as_u64().unwrap());
        assert!(took >= Duration::from_millis(290), "by its own handler: {took:?}");
        let all = records(&home(&processes));
        let announced: Vec<_> =
            all.iter().filter(|r| r["pid"] == stopped.pid && r["event"] == "intent").collect();
        let announced: Vec<_> = announced.iter().map(|r| r["signal"].as_str().unwrap_or_default()).collect();
        assert_eq!(announced, ["TERM", "CONT"]);
        ended(&ran, &plain);
    });
}
