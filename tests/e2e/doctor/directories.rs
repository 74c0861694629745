//! Configs and directories that cannot be used.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, mounts, test_name};

use super::support::{check, doctor, exists, found, only_amiss, stand_in, steps};
use crate::common::{Reaper, home, orphan, records, set_mode, state_dir};

#[test]
fn a_broken_config_is_shown_with_its_location_and_all_else_is_checked() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let config = home.join(".config/reaper/config.toml");
        drop(doctor(&home));
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(&config, "grce = \"30s\"\n").unwrap();
        set_mode(&config, 0o600);
        let ran = doctor(&home).run().expect_code(4);
        only_amiss(&ran, &["config"]);
        found(&ran, "config", "fail", "did you mean `grace`?");
        assert!(check(&ran, "config")["what"].as_str().unwrap().ends_with("1 | grce = \"30s\"\n  | ^^^^"));
        let text = Reaper::new(&home, ["doctor"]).run().expect_code(4);
        assert!(
            text.stdout.contains("                  | ^^^^\n                hint: did you mean"),
            "{}",
            text.stdout
        );
        fs::write(&config, "grace = \"0s\"\n").unwrap();
        let odd = doctor(&home).run().expect_code(0);
        only_amiss(&odd, &["config"]);
        found(&odd, "config", "warn", "`grace` is 0s");
        let strange = Reaper::new(&home, ["doctor", "--config", "/nonexistent.toml"]).run().expect_code(4);
        assert!(
            strange.stdout.contains("FAIL  config    could not read config file `/nonexistent.toml`"),
            "{}",
            strange.stdout
        );
    });
}

#[test]
fn w19_where_no_record_can_be_written_nothing_is_ended() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let roots = processes.directory().join("roots");
        fs::create_dir(&roots).unwrap();
        set_mode(&roots, 0o755);
        let ran = doctor(&home(&processes)).uid(1000).env("XDG_STATE_HOME", &roots).run().expect_code(4);
        only_amiss(&ran, &["state", "runtime", "self-test"]);
        found(&ran, "state", "fail", "Permission denied");
        found(&ran, "state", "fail", "set XDG_STATE_HOME");
        found(&ran, "self-test", "fail", "got as far as: planned");
        assert!(exists(stand_in(&ran)), "it was planned, and not signalled");
        assert_eq!(fs::read_dir(&roots).unwrap().count(), 0);
    });
}

#[test]
fn r11_a_full_or_read_only_disk_is_reported() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let state = state_dir(&home);
        drop(doctor(&home));
        fs::create_dir_all(&state).unwrap();
        mounts::memory(&state, "size=64k,mode=0700").unwrap();
        found(&doctor(&home).run().expect_code(0), "state", "warn", "kB only");
        fs::remove_file(state.join("history.jsonl")).unwrap();
        fs::write(state.join("ballast"), vec![1; 1 << 20]).unwrap_err();
        let full = doctor(&home).run().expect_code(4);
        found(&full, "state", "fail", "No space left");
        found(&full, "self-test", "fail", "write the history");
        fs::remove_file(state.join("ballast")).unwrap();
        mounts::read_only(&state).unwrap();
        found(&doctor(&home).run().expect_code(4), "state", "fail", "Read-only");
    });
}

#[test]
fn w19_a_directory_that_others_can_write_is_refused() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        drop(doctor(&home));
        fs::create_dir_all(state_dir(&home)).unwrap();
        set_mode(&state_dir(&home), 0o777);
        let ran = doctor(&home).run().expect_code(4);
        only_amiss(&ran, &["state", "self-test"]);
        found(&ran, "state", "fail", "others can write it");
        found(&ran, "state", "fail", "chmod go-w");
        assert!(records(&home).is_empty());
    });
}

#[test]
fn without_the_self_test_nothing_is_started_or_signalled() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let args = ["doctor", "--no-self-test", "--format", "json"];
        let ran = Reaper::new(&home(&processes), args).run().expect_code(0);
        only_amiss(&ran, &["self-test"]);
        found(&ran, "self-test", "skip", "--no-self-test");
        assert!(steps(&ran).is_empty() && ran.json()["self_test"].is_null());
        assert!(records(&home(&processes)).is_empty() && orphan.is_alive());
    });
}
