//! Other users, `/proc` that is missing or of another namespace, pipes that close.

use std::fs;
use std::path::Path;
use std::process::Command;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, mounts, test_name};

use super::support::{act, agent, finding, look, reaper, shell};
use crate::common::Ran;

#[test]
fn bad_root_ends_only_its_own_processes_by_default() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let own = agent(&processes, "goose").orphan_of_dead_leader();
        let users = [1000, 1001].map(|uid| agent(&processes, "goose").uid(uid).orphan_of_dead_leader());
        let below =
            agent(&processes, "claude").uid(1000).by(&processes.manager(1000)).orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        assert_eq!(ran.json()["summary"]["exited"], 1, "{}", ran.stdout);
        assert!(!own.is_alive() && below.is_alive() && users.iter().all(|one| one.is_alive()));
        let all = ["scan", "--yes", "--all-users", "--grace", "0s", "--format", "json"];
        let ran = reaper(&processes, &all).uid(1000).run().expect_code(2);
        assert!(
            ran.stderr.contains("--all-users needs root") && ran.stderr.contains("sudo"),
            "{}",
            ran.stderr
        );
        assert!(users.iter().all(|one| one.is_alive()));
        let ran = reaper(&processes, &all).uid(0).run().expect_code(0);
        for one in users.iter().chain([&below]) {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
    });
}

#[test]
fn bad_without_proc_the_command_fails_with_a_hint() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let runs = [&["scan", "-n"][..], &["scan", "--yes", "--grace", "0s"], &["explain", "1"]];
        mounts::memory(Path::new("/proc"), "size=64k").unwrap();
        let ran: Vec<Ran> = runs.iter().map(|args| reaper(&processes, args).run()).collect();
        mounts::take_away(Path::new("/proc")).unwrap();
        for ran in ran {
            let ran = ran.expect_code(4);
            assert!(ran.stderr.contains("/proc") && ran.stderr.contains("hint: "), "{}", ran.stderr);
            assert_eq!(ran.stdout, "");
        }
        assert!(goose.is_alive());
    });
}

#[test]
fn bad_a_proc_of_another_namespace_is_refused() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // One of these pids is an orphan out here, and another process in there.
        let orphans: Vec<_> = (0..6).map(|_| agent(&processes, "goose").orphan_of_dead_leader()).collect();
        let script = "i=0; while [ $i -lt 60 ]; do sleep 600 & i=$((i+1)); done
            \"$0\" scan --yes --grace 0s --format json; code=$?; jobs -r | wc -l >&2; kill $(jobs -p); exit $code";
        let mut unshare = Command::new("unshare");
        // Without --mount-proc: /proc shows the namespace outside.
        unshare.args(["--pid", "--fork", "bash", "-c", script]);
        let ran = Ran::from(reaper(&processes, &[]).through(unshare).output().unwrap());
        assert!(orphans.iter().all(|one| one.is_alive()), "{}\n{}", ran.stdout, ran.stderr);
        assert!(
            ran.stderr.lines().any(|line| line == "60"),
            "bystanders died: {}\n{}",
            ran.stdout,
            ran.stderr
        );
        let ran = ran.expect_code(4);
        assert!(ran.stderr.contains("PID namespace"), "{}", ran.stderr);
    });
}

#[test]
fn bad_a_reader_that_goes_away_changes_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let shell = |line: &str| Ran::from(shell(&processes, line).output().unwrap());
        let many: Vec<_> = (0..60).map(|_| agent(&processes, "goose").orphan_of_dead_leader()).collect();
        for line in [
            "\"$0\" scan -n --all -v --grace 0s | true; exit ${PIPESTATUS[0]}",
            "\"$0\" scan -n --format json | head -c1 >/dev/null; exit ${PIPESTATUS[0]}",
            "\"$0\" profiles | head -1; exit ${PIPESTATUS[0]}",
            "\"$0\" --help | true; exit ${PIPESTATUS[0]}",
            "\"$0\" completions bash | head -1; exit ${PIPESTATUS[0]}",
            "exec \"$0\" scan -n >&-",
            "exec \"$0\" scan -n 2>&-",
            "exec \"$0\" scan -n <&- >&- 2>&-",
        ] {
            let ran = shell(line).expect_code(0);
            assert!(!ran.stderr.contains("rror"), "{line}: {}", ran.stderr);
        }
        let ran = shell("\"$0\" scan -n >/dev/full").expect_code(4);
        assert!(ran.stderr.contains("cannot write to standard output"), "{}", ran.stderr);
        assert!(many.iter().all(|one| one.is_alive()));
        // Nor does it stop what was begun.
        shell("\"$0\" scan --yes --grace 0s -v 2>&1 | true; exit ${PIPESTATUS[0]}").expect_code(0);
        assert!(many.iter().all(|one| !one.is_alive()));
    });
}

#[test]
fn bad_processes_that_come_and_go_cause_no_errors() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let churn = "while :; do (setsid sh -c 'sleep 0.001 & sleep 0.002' &) ; /bin/true; done";
        let mut churn =
            Command::new("sh").args(["-c", churn]).env(super::support::MARK, "1").spawn().unwrap();
        for _ in 0..60 {
            let ran = look(&processes).run().expect_code(0);
            assert_eq!(ran.verdict(goose.pid).0, "reap", "{}", ran.stdout);
            assert_eq!(ran.json()["census"]["unreadable"], 0, "{}", ran.stdout);
        }
        let walk = look(&processes).env("REAPER_ADOPTERS", "nobody-at-all").run().expect_code(0);
        assert_eq!(walk.verdict(goose.pid).0, "reap", "{}", walk.stdout);
        assert!(churn.try_wait().unwrap().is_none());
        assert_eq!(act(&processes).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn bad_a_missing_home_stops_only_commands_that_act() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").uid(1000).orphan_of_dead_leader();
        let run = |args: &[&str]| reaper(&processes, args).env("HOME", "/proc/nowhere").uid(1000).run();
        assert_eq!(
            run(&["scan", "-n", "--grace", "0s", "--format", "json"]).expect_code(0).verdict(goose.pid).0,
            "reap"
        );
        let ran = run(&["explain", &goose.pid.to_string(), "--format", "json"]).expect_code(0);
        assert_eq!(finding(&ran, "orphan").0, "yes");
        let ran = run(&["scan", "--yes", "--grace", "0s"]).expect_code(4);
        assert!(
            ran.stderr.contains("/proc/nowhere") && ran.stderr.contains("XDG_STATE_HOME"),
            "{}",
            ran.stderr
        );
        assert!(goose.is_alive() && !fs::exists("/proc/nowhere").unwrap());
    });
}
