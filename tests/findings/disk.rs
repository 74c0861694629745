//! State that cannot be written, or that somebody or something has damaged: no wrong signal, and said once.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reaper_testkit::{Alive, Stage, Troupe, here, mounts, play};

use crate::common::{Ran, set_mode, state_dir};
use crate::help::{act, agent, home, look, reaper};

/// A state directory on a disk of its own of 64 KiB.
fn small_disk(troupe: &Troupe) -> PathBuf {
    reaper(troupe, &["config", "path"]).run();
    let state = state_dir(&home(troupe));
    fs::create_dir_all(&state).unwrap();
    mounts::memory(&state, "size=64k,mode=0700").unwrap();
    state
}

fn fill(disk: &std::path::Path) {
    // The last page is taken by what fails.
    assert!(fs::write(disk.join("filler"), vec![b'x'; 1 << 20]).is_err(), "the disk is not full");
}

/// Nothing was ended; the reason is an error that is told once, with a way out.
fn refused(ran: &Ran, orphan: &Alive, why: &str) {
    assert_eq!(ran.code, 4, "{}\n{}", ran.stdout, ran.stderr);
    assert!(orphan.is_alive(), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches(why).count(), 1, "{why} once in:\n{}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn r11_a_full_disk_calls_the_signals_off() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let disk = small_disk(&troupe);
        fill(&disk);
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        refused(&act(&troupe).run(), &goose, "No space left");
        let table = reaper(&troupe, &["scan", "--yes", "--grace", "0s"]).run();
        refused(&table, &goose, "No space left");
        assert!(!table.stdout.contains("came back"), "{}", table.stdout);
        look(&troupe).run().expect_code(0);
        fs::remove_file(disk.join("filler")).unwrap();
        assert_eq!(act(&troupe).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn r11_a_disk_that_fills_up_meanwhile_spares_who_was_not_accounted_for() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let disk = small_disk(&troupe);
        let deaf = agent(&troupe, "goose").behave("ignore-term");
        let deaf: Vec<Alive> = (0..8).map(|_| deaf.orphan_of_dead_leader()).collect();
        let plain = agent(&troupe, "claude").orphan_of_dead_leader();
        let mut command = act(&troupe).env("REAPER_TERM_TIMEOUT", "3s").command();
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(plain.wait_gone(std::time::Duration::from_secs(10)), "SIGTERM is accounted for and sent");
        // Eight accounts need more than what is left of the history's last page.
        fill(&disk);
        let ran = Ran::from(run.wait_with_output().unwrap());
        assert_eq!(ran.outcome(plain.pid), "exited", "{}\n{}", ran.stdout, ran.stderr);
        for one in &deaf {
            assert_eq!(ran.outcome(one.pid), "spared", "{}", ran.stdout);
            refused(&ran, one, "No space left");
        }
        // With space again, the cut line is ended, and so are they.
        fs::remove_file(disk.join("filler")).unwrap();
        assert_eq!(act(&troupe).run().expect_code(0).json()["summary"]["killed"], 8);
    });
}

#[test]
fn r11_a_read_only_state_directory_is_told_once() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let disk = small_disk(&troupe);
        mounts::read_only(&disk).unwrap();
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        refused(&act(&troupe).run(), &goose, "Read-only file system");
        assert_eq!(look(&troupe).run().expect_code(0).verdict(goose.pid).0, "reap");
    });
}

#[test]
fn r11_a_history_that_cannot_be_trusted_is_not_written() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        act(&troupe).run().expect_code(0);
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        let history = state_dir(&home(&troupe)).join("history.jsonl");
        fs::create_dir(&history).unwrap();
        refused(&act(&troupe).run(), &goose, "directory");
        fs::remove_dir(&history).unwrap();
        fs::write(&history, b"").unwrap();
        set_mode(&history, 0o666);
        refused(&act(&troupe).run(), &goose, "others could have written it");
        set_mode(&history, 0o600);
        set_mode(&state_dir(&home(&troupe)), 0o777);
        refused(&act(&troupe).run(), &goose, "others can write it");
        set_mode(&state_dir(&home(&troupe)), 0o700);
        // A crash cut the last line; the next one begins a line of its own.
        fs::write(&history, b"{\"schema\":\"reaper.history/1\",\"at\"").unwrap();
        assert_eq!(act(&troupe).run().expect_code(0).outcome(goose.pid), "exited");
        let text = fs::read_to_string(&history).unwrap();
        let whole = text.lines().skip(1).map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(whole.map(Result::unwrap).count(), 2, "{text}");
    });
}

#[test]
fn a_lock_that_another_process_keeps_on_the_history_spares_all_and_hangs_nothing() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        act(&troupe).run().expect_code(0);
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        let path = state_dir(&home(&troupe)).join("history.jsonl");
        let held = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path).unwrap();
        held.lock().unwrap();
        refused(&act(&troupe).run(), &goose, "another process keeps it locked");
        drop(held);
        assert_eq!(act(&troupe).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn fifos_and_links_in_the_state_directory_are_refused_at_once() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        act(&troupe).run().expect_code(0);
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        let state = state_dir(&home(&troupe));
        let victim = troupe.directory().join("victim");
        fs::write(&victim, "mine\n").unwrap();
        set_mode(&victim, 0o600);
        for name in ["history.jsonl", "act.lock"] {
            let path = state.join(name);
            let _ = fs::remove_file(&path);
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
            refused(&act(&troupe).run(), &goose, "others could have written it");
            fs::remove_file(&path).unwrap();
            symlink(&victim, &path).unwrap();
            refused(&act(&troupe).run(), &goose, "it is a symbolic link");
            fs::remove_file(&path).unwrap();
            fs::hard_link(&victim, &path).unwrap();
            refused(&act(&troupe).run(), &goose, "it has other names, too");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
        assert_eq!(act(&troupe).run().expect_code(0).outcome(goose.pid), "exited");
    });
}

#[test]
fn r11_state_of_another_user_is_refused_or_set_aside() {
    play(&Stage::new().systemd().several_users(), here!(), || {
        let troupe = Troupe::new();
        act(&troupe).run().expect_code(0);
        let state = state_dir(&home(&troupe));
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        fs::write(state.join("sightings.json"), b"{}").unwrap();
        chown(state.join("sightings.json"), Some(1000), None).unwrap();
        let ran =
            reaper(&troupe, &["scan", "--yes", "--grace", "1s", "--format", "json"]).run().expect_code(0);
        assert!(ran.stderr.contains("others could have written it"), "{}", ran.stderr);
        assert!(state.join("sightings.json.bad").exists());
        assert_eq!(ran.outcome(goose.pid), "exited");
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        chown(&state, Some(1000), None).unwrap();
        refused(&act(&troupe).run(), &goose, "belongs to uid 1000");
        let ran = look(&troupe).run().expect_code(0);
        assert_eq!(ran.verdict(goose.pid).0, "reap");
        assert!(ran.stderr.contains("belongs to uid 1000"), "{}", ran.stderr);
    });
}

#[test]
fn r11_damaged_or_foreign_sightings_make_nobody_older() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let state = state_dir(&home(&troupe));
        act(&troupe).run().expect_code(0);
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        // A run that waits for long writes what it saw, and is ended.
        let mut command = reaper(&troupe, &["scan", "--yes", "--grace", "1h"]).command();
        let waiting = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let waiting = (Alive::pin(waiting.id() as i32).unwrap(), waiting);
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
            let ran = reaper(&troupe, &["scan", "-n", "--grace", "1h", "--format", "json"]).run();
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
