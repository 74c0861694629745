//! Targets that do not exit on SIGTERM, and zombies.

use std::fs;
use std::time::{Duration, Instant};

use reaper_testkit::{HangingMount, PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};
use serde_json::Value;

use super::support::{act, agent, home, lease, look, reaper};
use crate::common::{Ran, Reaper, state_dir};

/// With a term-timeout of two seconds and a kill-timeout of one.
fn patient(processes: &ProcessSet) -> Reaper {
    act(processes).env("REAPER_TERM_TIMEOUT", "2s")
}

fn action(ran: &Ran, pid: i32) -> Value {
    let actions = ran.json()["actions"].as_array().cloned().unwrap_or_default();
    actions.into_iter().find(|action| action["pid"] == pid).unwrap_or_default()
}

/// Killed at the deadline: not before, and not much later.
fn killed_at_the_deadline(ran: &Ran, one: &ProcessRef) {
    killed_by(ran, one, &["TERM", "KILL"]);
}

fn killed_by(ran: &Ran, one: &ProcessRef, signals: &[&str]) {
    let action = action(ran, one.pid);
    assert_eq!((&action["outcome"], &action["signals"]), (&"killed".into(), &serde_json::json!(signals)));
    let took = action["took_ms"].as_u64().unwrap();
    assert!((2000..12_000).contains(&took), "{action}");
    assert!(!one.is_alive());
}

#[test]
fn m16_targets_that_are_stopped_slow_or_ignore_sigterm_are_killed_at_the_deadline() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let stopped = agent(&processes, "goose").behave("stop").orphan_of_dead_leader();
        let deaf = agent(&processes, "claude").behave("ignore-term").orphan_of_dead_leader();
        let slow = agent(&processes, "gemini").behave("exit-after=600").orphan_of_dead_leader();
        let both = agent(&processes, "qwen").behave("stop").behave("ignore-term").orphan_of_dead_leader();
        let ran = patient(&processes).run().expect_code(0);
        // It is continued, and exits on the SIGTERM sent before.
        let woken = action(&ran, stopped.pid);
        assert_eq!(
            (&woken["outcome"], &woken["signals"]),
            (&"exited".into(), &serde_json::json!(["TERM", "CONT"]))
        );
        assert!(woken["took_ms"].as_u64().unwrap() < 2000 && !stopped.is_alive(), "{woken}");
        killed_at_the_deadline(&ran, &deaf);
        killed_by(&ran, &both, &["TERM", "CONT", "KILL"]);
        let slow = action(&ran, slow.pid);
        assert_eq!((&slow["outcome"], &slow["signals"]), (&"exited".into(), &serde_json::json!(["TERM"])));
        // Our clock starts when the signal has been sent, the target's when it arrives: a little earlier.
        assert!(slow["took_ms"].as_u64().unwrap() >= 590, "{slow}");
    });
}

#[test]
fn r03_a_target_whose_handler_swallows_sigterm_is_killed_at_the_deadline() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // It handles the signal, prints that it is exiting, and does not exit for ten minutes.
        let absorbing = agent(&processes, "codex").behave("exit-after=600000").orphan_of_dead_leader();
        killed_at_the_deadline(&patient(&processes).run().expect_code(0), &absorbing);
    });
}

#[test]
fn r02_forty_targets_that_ignore_sigterm_take_one_timeout_together() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let deaf = agent(&processes, "goose").behave("ignore-term");
        let all: Vec<ProcessRef> = (0..40).map(|_| deaf.orphan_of_dead_leader()).collect();
        let start = Instant::now();
        let ran = patient(&processes).run().expect_code(0);
        let took = start.elapsed();
        assert!(took > Duration::from_secs(2) && took < Duration::from_secs(20), "{took:?}");
        assert_eq!(ran.json()["summary"]["killed"], 40);
        for one in &all {
            killed_at_the_deadline(&ran, one);
        }
    });
}

#[test]
fn m16_a_target_that_sigkill_cannot_end_is_reported_as_survived() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let mount_point = processes.directory().join("swamp");
        fs::create_dir(&mount_point).unwrap();
        let Ok(swamp) = HangingMount::new(&mount_point) else {
            return skip(test_name!(), "no FUSE here");
        };
        let stuck = agent(&processes, "goose").behave(format!("open={}", swamp.file.display()));
        let stuck = stuck.orphan_of_dead_leader();
        let plain = agent(&processes, "claude").orphan_of_dead_leader();
        assert!(swamp.wait_entered());
        let start = Instant::now();
        let ran = act(&processes).run().expect_code(5);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert_eq!(ran.outcome(stuck.pid), "survived", "{}", ran.stdout);
        assert!(action(&ran, stuck.pid)["why"].as_str().unwrap().contains("stuck in the kernel"));
        assert_eq!(ran.outcome(plain.pid), "exited");
        let table = reaper(&processes, &["scan", "--yes", "--grace", "0s"]);
        let table = table.env("REAPER_TERM_TIMEOUT", "1s").env("REAPER_KILL_TIMEOUT", "1s").run();
        assert!(table.stdout.contains("1 still there"), "{}", table.stdout);
        assert_eq!(table.code, 5, "{}", table.stderr);
        drop(swamp);
        assert!(stuck.wait_exit(Duration::from_secs(5)));
    });
}

#[test]
fn m17_a_process_forked_by_a_target_on_sigterm_is_ended_too() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let forks = agent(&processes, "goose").behave("fork-on-term");
        let in_group = forks.orphan_of_dead_leader();
        let in_session = agent(&processes, "claude").behave("fork-on-term").orphan_in_session();
        let below = forks.clone().own_session().under(&agent(&processes, "codex").orphan_of_dead_leader());
        let groups = [&in_group, &in_session, &below].map(ProcessRef::pgid);
        let left = || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let stats = all.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
            let group = |stat: &String| stat.split_whitespace().nth(4).and_then(|field| field.parse().ok());
            stats
                .filter(|stat| !stat.contains(") Z "))
                .filter(|s| group(s).is_some_and(|g| groups.contains(&g)))
                .count()
        };
        assert_eq!(left(), 3);
        let first = act(&processes).run().expect_code(0);
        assert!(first.json()["summary"]["exited"].as_u64().unwrap() >= 4, "{}", first.stdout);
        // A copy that came too late for one sweep is an orphan to the next.
        for _ in 0..3 {
            if left() == 0 {
                return;
            }
            act(&processes).run().expect_code(0);
        }
        assert_eq!(left(), 0, "they live on");
    });
}

#[test]
fn r01_zombies_that_are_not_collected_are_counted_once_and_not_signalled() {
    in_namespace(&PidNamespace::new().systemd().keep_zombies(), test_name!(), || {
        let processes = ProcessSet::new();
        let all: Vec<ProcessRef> =
            (0..5).map(|_| agent(&processes, "goose").orphan_of_dead_leader()).collect();
        let ran = act(&processes).run().expect_code(0);
        let summary = ran.json()["summary"].clone();
        assert_eq!((&summary["exited"], &summary["zombies"]), (&5.into(), &5.into()), "{summary}");
        assert!(all.iter().all(|one| one.state() == 'Z'));
        // The next runs find nothing to end, and send nothing to the dead.
        let history = || fs::read_to_string(state_dir(&home(&processes)).join("history.jsonl")).unwrap();
        let before = history();
        let ran = act(&processes).run().expect_code(0);
        assert_eq!(ran.json()["actions"], serde_json::json!([]), "{}", ran.stdout);
        assert_eq!(history(), before);
        let ran = look(&processes).run().expect_code(0);
        assert_eq!(
            (&ran.json()["summary"]["reap"], &ran.json()["census"]["zombies"]),
            (&0.into(), &5.into())
        );
        let table = reaper(&processes, &["scan", "--dry-run"]).run().expect_code(0).stdout;
        assert!(table.contains("no orphaned agents; 5 ended but not collected by init"), "{table}");
        let explain = reaper(&processes, &["explain", &all[0].pid.to_string()]).run().expect_code(0);
        assert!(explain.stdout.contains("zombie"), "{}", explain.stdout);
    });
}

#[test]
fn r01_where_init_collects_zombies_none_are_reported() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        for _ in 0..10 {
            let all: Vec<ProcessRef> =
                (0..5).map(|_| agent(&processes, "goose").orphan_of_dead_leader()).collect();
            let ran = act(&processes).run().expect_code(0);
            assert_eq!(ran.json()["summary"]["zombies"], 0, "{}", ran.stdout);
            assert!(all.iter().all(|one| !one.is_alive()));
        }
    });
}

#[test]
fn m11_a_zombie_owner_counts_as_dead() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // Children of this process, which does not collect them before the end.
        let owner = processes.spec("my-launcher").child();
        let leader = agent(&processes, "goose").own_session().child();
        let leased = processes.spec("helper").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease(&owner));
        let leased = leased.orphan_of_dead_leader();
        let led = agent(&processes, "claude").by(&leader).orphan();
        assert_eq!(led.sid(), leader.pid);
        let ran = look(&processes).run().expect_code(0);
        for one in [&leased, &led] {
            assert_eq!(ran.verdict(one.pid), super::support::verdict("spare", "unclaimed"), "{}", ran.stdout);
        }
        owner.kill();
        leader.kill();
        assert_eq!((owner.state(), leader.state()), ('Z', 'Z'));
        let ran = act(&processes).run().expect_code(0);
        for one in [&leased, &led] {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
    });
}
