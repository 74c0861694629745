//! State that cannot be written, is damaged, or belongs to another user: no wrong signal, and one message.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, mounts, test_name};

use super::support::{act, agent, home, look, reaper};
use crate::common::{Ran, set_mode, state_dir};

/// A state directory on a disk of its own of 64 KiB.
fn small_disk(processes: &ProcessSet) -> PathBuf {
    reaper(processes, &["config", "path"]).run();
    let state = state_dir(&home(processes));
    fs::create_dir_all(&state).unwrap();
    mounts::memory(&state, "size=64k,mode=0700").unwrap();
    state
}

fn fill(disk: &std::path::Path) {
    // The last page is taken by what fails.
    assert!(fs::write(disk.join("filler"), vec![b'x'; 1 << 20]).is_err(), "the disk is not full");
}

/// Nothing was ended; the reason is reported once, as an error with a hint.
fn refused(ran: &Ran, orphan: &ProcessRef, why: &str) {
    assert_eq!(ran.code, 4, "{}\n{}", ran.stdout, ran.stderr);
    assert!(orphan.is_alive(), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches(why).count(), 1, "{why} once in:\n{}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn r11_with_a_full_disk_no_signal_is_sent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let disk = small_disk(&processes);
        fill(&disk);
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        refused(&act(&processes).run(), &goose, "No space left");
        let table = reaper(&processes, &["scan", "--yes", "--grace", "0s"]).run();
        refused(&table, &goose, "No space left");
        assert!(!table.stdout.contains("came back"), "{}", table.stdout);
        look(&processes).run().expect_code(0);
        fs::remove_file(disk.join("filler")).unwrap();
        assert_eq!(act(&processes).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn r11_a_disk_that_fills_up_spares_targets_without_a_record() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let disk = small_disk(&processes);
        let deaf = agent(&processes, "goose").behave("ignore-term");
        let deaf: Vec<ProcessRef> = (0..8).map(|_| deaf.orphan_of_dead_leader()).collect();
        let plain = agent(&processes, "claude").orphan_of_dead_leader();
        let mut command = act(&processes).env("REAPER_TERM_TIMEOUT", "3s").command();
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(plain.wait_exit(std::time::Duration::from_secs(10)), "SIGTERM is accounted for and sent");
        // Eight records need more than what is left of the history's last page.
        fill(&disk);
        let ran = Ran::from(run.wait_with_output().unwrap());
        assert_eq!(ran.outcome(plain.pid), "exited", "{}\n{}", ran.stdout, ran.stderr);
        for one in &deaf {
            assert_eq!(ran.outcome(one.pid), "spared", "{}", ran.stdout);
            refused(&ran, one, "No space left");
        }
        // With space again, the cut line is ended, and so are they.
        fs::remove_file(disk.join("filler")).unwrap();
        assert_eq!(act(&processes).run().expect_code(0).json()["summary"]["killed"], 8);
    });
}

#[test]
fn r11_a_read_only_state_directory_is_reported_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let disk = small_disk(&processes);
        mounts::read_only(&disk).unwrap();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        refused(&act(&processes).run(), &goose, "Read-only file system");
        assert_eq!(look(&processes).run().expect_code(0).verdict(goose.pid).0, "reap");
    });
}

#[test]
fn r11_a_history_that_cannot_be_trusted_is_not_written() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        act(&processes).run().expect_code(0);
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let history = state_dir(&home(&processes)).join("history.jsonl");
        fs::create_dir(&history).unwrap();
        refused(&act(&processes).run(), &goose, "directory");
        fs::remove_dir(&history).unwrap();
        fs::write(&history, b"").unwrap();
        set_mode(&history, 0o666);
        refused(&act(&processes).run(), &goose, "others could have written it");
        set_mode(&history, 0o600);
        set_mode(&state_dir(&home(&processes)), 0o777);
        refused(&act(&processes).run(), &goose, "others can write it");
        set_mode(&state_dir(&home(&processes)), 0o700);
        // A crash cut the last line; the next one begins a line of its own.
        fs::write(&history, b"{\"schema\":\"reaper.history/1\",\"at\"").unwrap();
        assert_eq!(act(&processes).run().expect_code(0).outcome(goose.pid), "exited");
        let text = fs::read_to_string(&history).unwrap();
        let whole = text.lines().skip(1).map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(whole.map(Result::unwrap).count(), 2, "{text}");
    });
}

#[test]
fn a_lock_that_another_process_keeps_on_the_history_spares_all_and_hangs_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        act(&processes).run().expect_code(0);
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let path = state_dir(&home(&processes)).join("history.jsonl");
        let held = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path).unwrap();
        held.lock().unwrap();
        refused(&act(&processes).run(), &goose, "another process keeps it locked");
        drop(held);
        assert_eq!(act(&processes).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn fifos_and_links_in_the_state_directory_are_refused_at_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        act(&processes).run().expect_code(0);
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let state = state_dir(&home(&processes));
        let victim = processes.directory().join("victim");
        fs::write(&victim, "mine\n").unwrap();
        set_mode(&victim, 0o600);
        for name in ["history.jsonl", "act.lock"] {
            let path = state.join(name);
            let _ = fs::remove_file(&path);
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
            refused(&act(&processes).run(), &goose, "others could have written it");
            fs::remove_file(&path).unwrap();
            symlink(&victim, &path).unwrap();
            refused(&act(&processes).run(), &goose, "it is a symbolic link");
            fs::remove_file(&path).unwrap();
            fs::hard_link(&victim, &path).unwrap();
            refused(&act(&processes).run(), &goose, "it has other names, too");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
        assert_eq!(act(&processes).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn r11_state_of_another_user_is_refused_or_set_aside() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        act(&processes).run().expect_code(0);
        let state = state_dir(&home(&processes));
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        fs::write(state.join("sightings.json"), b"{}").unwrap();
        chown(state.join("sightings.json"), Some(1000), None).unwrap();
        let ran =
            reaper(&processes, &["scan", "--yes", "--grace", "1s", "--format", "json"]).run().expect_code(0);
        assert!(ran.stderr.contains("others could have written it"), "{}", ran.stderr);
        assert!(state.join("sightings.json.bad").exists());
        assert_eq!(ran.outcome(goose.pid), "exited");
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        chown(&state, Some(1000), None).unwrap();
        refused(&act(&processes).run(), &goose, "belongs to uid 1000");
        let ran = look(&processes).run().expect_code(0);
        assert_eq!(ran.verdict(goose.pid).0, "reap");
        assert!(ran.stderr.contains("belongs to uid 1000"), "{}", ran.stderr);
    });
}

#[test]
fn r11_damaged_or_foreign_sightings_shorten_no_grace() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let state = state_dir(&home(&processes));
        act(&processes).run().expect_code(0);
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        // A run that waits for long writes what it saw, and is ended.
        let mut command = reaper(&processes, &["scan", "--yes", "--grace", "1h"]).command();
        let waiting = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let waiting = (ProcessRef::open(waiting.id() as i32).unwrap(), waiting);
        let file = state.join("sightings.json");
        let number = format!("\"pid\":{},", goose.pid);
        assert!(goose.wait_until(|_| fs::read_to_string(&file).is_ok_and(|text| text.contains(&number))));
        waiting.0.kill();
        drop(waiting.1.wait_with_output());
        let good = fs::read_to_string(&file).unwrap();
        let since = good.split("\"since_ns\":").nth(1).unwrap().split('}').next().unwrap().to_owned();
        let seen_before = |text: &str| {
            fs::write(&file, text).unwrap();
            set_mode(&file, 0o600);
            let ran = reaper(&processes, &["scan", "-n", "--grace", "1h", "--format", "json"]).run();
            let judgement = ran.expect_code(0).judgement(goose.pid).unwrap();
            assert_eq!(judgement["verdict"], "wait", "{judgement}");
            judgement["orphaned_s"].as_f64().unwrap() > 0.0
        };
        assert!(seen_before(&good));
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let damaged = [
            good[..good.len() / 2].to_owned(),
            String::new(),
            good.replace(boot.trim(), "00000000-0000-4000-8000-000000000000"),
            good.replace("\"pid_namespace\":", "\"pid_namespace\":1"),
            good.replace("\"start_ticks\":", "\"start_ticks\":1"),
            // A clock that was set back, or a suspend that was not counted.
            good.replace(&since, "9000000000000000000"),
            good.replace(&since, "-1"),
            good.replace(&since, "1e99"),
        ];
        for text in &damaged {
            assert!(*text != good && !seen_before(text), "{text}");
        }
        assert!(goose.is_alive());
    });
}
