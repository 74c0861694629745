//! A thousand orphans at once, and fewer descriptors than processes.

use std::fs;

use reaper_testkit::sys::limit_files;
use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use super::support::{act, agent, home, look};
use crate::common::{Ran, state_dir};

/// With this limit of open files, this many orphans are all ended and all recorded.
fn all_end(count: usize, soft: u64, hard: u64) {
    // The test holds a descriptor for each of them; only the command under test is to be short of them.
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: own.maximum, ..own };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let processes = ProcessSet::new();
    let goose = agent(&processes, "goose");
    let all: Vec<ProcessRef> = (0..count).map(|_| goose.orphan_of_dead_leader()).collect();
    let limit = count.to_string();
    let mut command = act(&processes).env("REAPER_MAX_TARGETS", limit).command();
    limit_files(&mut command, soft, hard);
    let ran = Ran::from(command.output().unwrap()).expect_code(0);
    let summary = ran.json()["summary"].clone();
    assert_eq!((&summary["reap"], &summary["exited"]), (&count.into(), &count.into()), "{summary}");
    assert!(all.iter().all(|one| !one.is_alive()));
    let history = fs::read_to_string(state_dir(&home(&processes)).join("history.jsonl")).unwrap();
    assert_eq!(history.matches("\"outcome\":\"exited\"").count(), count);
}

#[test]
fn r12_a_thousand_orphans_are_ended_with_the_usual_soft_limit_of_open_files() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || all_end(1000, 1024, 4096));
}

#[test]
fn r12_with_a_hard_limit_of_open_files_targets_are_ended_in_batches() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || all_end(300, 256, 256));
}

#[test]
fn r12_targets_that_do_not_fit_into_one_sweep_are_deferred_and_reported() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let all: Vec<ProcessRef> =
            (0..7).map(|_| agent(&processes, "goose").orphan_of_dead_leader()).collect();
        let left = || all.iter().filter(|one| one.is_alive()).count();
        for expected in [4, 1, 0] {
            let ran = act(&processes).env("REAPER_MAX_TARGETS", "3").run().expect_code(0);
            assert_eq!((left(), &ran.json()["summary"]["deferred"]), (expected, &expected.into()));
            assert_eq!(ran.stderr.contains("raise `max-targets`"), expected > 0, "{}", ran.stderr);
        }
    });
}

#[test]
fn r12_with_too_few_open_files_the_machine_is_not_reported_clean() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let all = [(); 3].map(|()| agent(&processes, "goose").orphan_of_dead_leader());
        let mut enough = 0;
        for limit in 3..16 {
            for adopters in ["", "nobody-at-all"] {
                let mut command = look(&processes).env("REAPER_ADOPTERS", adopters).command();
                limit_files(&mut command, limit, limit);
                let output = command.output().unwrap();
                if output.status.code() == Some(0) {
                    assert_eq!(Ran::from(output).json()["summary"]["reap"], 3, "{limit}");
                    enough += 1;
                } else {
                    // 127: not even the loader could open what it needs.
                    let error = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(matches!(output.status.code(), Some(4 | 127)), "{limit}: {error}");
                }
            }
        }
        assert!(enough > 4, "{enough}");
        // A process that is found, but cannot be held by a handle, is not ended, and the job is incomplete.
        for limit in 3..16 {
            let mut command = act(&processes).command();
            limit_files(&mut command, limit, limit);
            let output = command.output().unwrap();
            let left = all.iter().filter(|one| one.is_alive()).count();
            let clean = output.status.code() == Some(0);
            assert_eq!(clean, left == 0, "{limit}: {}", String::from_utf8_lossy(&output.stderr));
        }
    });
}
