//! The self-test ends its stand-in and nothing else, with the code of a scan.

use std::fs::{self, File};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use super::support::{doctor, exists, found, only_amiss, stand_in, steps};
use crate::common::{Reaper, dead_lease, home, marked, orphan, records, state_dir};

#[test]
fn w01_other_orphans_are_not_touched() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let leased = |name: &str| {
            processes.spec(name).env("REAPER_MANAGED", "1").env("REAPER_OWNER", dead_lease(&processes))
        };
        // The most similar process: the same profile, the same program, the same kind of lease, long past any grace.
        let lookalike = leased("reaper").args(["__stand-in", "wait"]).orphan_of_dead_leader();
        let others = [
            orphan(&processes),
            marked(&processes, "claude").orphan(),
            leased("goose").orphan_in_session(),
            leased("worker").orphan_double_fork(),
            lookalike.clone(),
        ];
        let remembered = Reaper::new(&home, ["scan", "--yes", "--grace", "1h", "--format", "json"]);
        let mut remembered = remembered.command().stdout(std::process::Stdio::null()).spawn().unwrap();
        crate::common::wait_for_sighting(&home, &others[3]);
        let waiting = ProcessRef::open(i32::try_from(remembered.id()).unwrap()).unwrap();
        waiting.kill();
        remembered.wait().unwrap();
        for _ in 0..3 {
            let ran = doctor(&home).env("REAPER_GRACE", "0s").run().expect_code(0);
            assert!(!exists(stand_in(&ran)), "{}", ran.stdout);
            let accounts = records(&home);
            let of_ours = accounts.iter().filter(|r| r["pid"] == stand_in(&ran)).count();
            assert_eq!(of_ours, 2, "an announcement and an outcome");
            for other in &others {
                assert!(other.is_alive(), "{}", other.pid);
                assert!(accounts.iter().all(|r| r["pid"] != other.pid), "no signal was even announced");
            }
        }
        // They are what a scan would have ended.
        let scan =
            Reaper::new(&home, ["scan", "--yes", "--grace", "0s", "--format", "json"]).run().expect_code(0);
        for other in others.iter().filter(|other| other.pid != lookalike.pid) {
            assert_eq!(scan.outcome(other.pid), "exited", "{}", scan.stdout);
        }
        assert!(lookalike.is_alive(), "to every other run this program is protected");
    });
}

#[test]
fn w19_the_record_of_a_self_test_is_marked_and_not_in_the_totals() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let pid = stand_in(&doctor(&home).run().expect_code(0));
        let records = records(&home);
        assert_eq!(records.len(), 2);
        for record in &records {
            assert!(record["sweep"].as_str().unwrap().starts_with("doctor-"), "{record}");
            assert_eq!((&record["pid"], &record["program"]), (&pid.into(), &"reaper".into()));
        }
        assert_eq!(records[0]["findings"].as_array().unwrap().len(), 8);
        let report = Reaper::new(&home, ["history", "--format", "json"]).run().expect_code(0).json();
        assert_eq!(report["entries"][0]["self_test"], true);
        let totals = &report["totals"];
        assert_eq!(
            (&totals["self_tests"], &totals["targets"], &totals["reclaimed_bytes"]),
            (&1.into(), &0.into(), &0.into())
        );
        let sightings = state_dir(&home).join("sightings.json");
        assert!(!sightings.exists(), "no other run needs to have seen it");
    });
}

#[test]
fn w15_it_waits_for_the_lock_and_gives_up() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        drop(doctor(&home).run().expect_code(0));
        let lock = File::options().write(true).open(state_dir(&home).join("act.lock")).unwrap();
        lock.lock().unwrap();
        let before = fs::read(state_dir(&home).join("history.jsonl")).unwrap();
        let ran = doctor(&home).run().expect_code(0);
        only_amiss(&ran, &["self-test"]);
        found(&ran, "self-test", "warn", "another reaper is ending processes right now");
        assert_eq!(steps(&ran).last().unwrap(), "planned");
        assert!(exists(stand_in(&ran)));
        assert_eq!(
            fs::read(state_dir(&home).join("history.jsonl")).unwrap(),
            before,
            "nothing was announced"
        );
    });
}

#[test]
fn w27_it_works_with_markers_lease_and_keep_in_its_own_environment() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let marks = [("REAPER_MANAGED", "1"), ("REAPER_KEEP", "1"), ("SPROUT_MANAGED_AGENT", "1")];
        let ran =
            marks.into_iter().fold(doctor(&home(&processes)), |run, (name, value)| run.env(name, value));
        let ran = ran.env("REAPER_OWNER", dead_lease(&processes)).run().expect_code(0);
        only_amiss(&ran, &[]);
        assert!(!exists(stand_in(&ran)));
    });
}

#[test]
fn the_stand_in_command_is_not_in_the_help() {
    for args in [&["--help"][..], &["completions", "bash"], &["completions", "zsh"], &["completions", "fish"]]
    {
        let home = tempfile::tempdir().unwrap();
        let ran = Reaper::new(home.path(), args.iter().copied()).run().expect_code(0);
        assert!(!ran.stdout.contains("stand-in"), "{args:?}");
    }
}
