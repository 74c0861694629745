//! Wrong usage: flags, names, pids, durations and files. Each gets a helpful message, its exit code, and no signal.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::support::{act, agent, finding, home, reaper};
use crate::common::{Reaper, set_mode};

/// The message goes to standard error alone, and says each of these.
fn fails(run: Reaper, code: i32, says: &[&str]) {
    let ran = run.run().expect_code(code);
    assert_eq!(ran.stdout, "", "{}", ran.stderr);
    for words in says {
        assert!(ran.stderr.contains(words), "{words:?} in:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn bad_command_lines_are_refused_with_exit_code_2() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let cases: &[(&[&str], &[&str])] = &[
            (&[], &["Usage: reaper", "scan --dry-run", "Exit status"]),
            (&["scna"], &["unrecognized subcommand 'scna'", "'scan'"]),
            (&["kill", "1"], &["unrecognized subcommand 'kill'", "--help"]),
            (&["scan", "--dryrun"], &["unexpected argument '--dryrun'", "'--dry-run'"]),
            (&["scan", "--yes", "--frob"], &["unexpected argument '--frob'", "--help"]),
            (&["scan", "--yes", "extra"], &["unexpected argument 'extra'"]),
            (&["scan", "--yes", "--grace", "30"], &["a duration needs a unit"]),
            (&["scan", "--yes", "--grace=-5s"], &["a duration cannot be negative"]),
            (&["scan", "--grace", "--yes"], &["a value is required for '--grace"]),
            (&["scan", "--yes", "--grace"], &["a value is required for '--grace"]),
            (&["scan", "--yes", "--format", "xml"], &["table, json"]),
            (&["scan", "--yes", "--color", "blue"], &["auto, always, never"]),
            (&["scan", "--yes", "-q", "-v"], &["cannot be used with"]),
            (
                &["scan", "--yes", "--profile", "sprot"],
                &["unknown profile `sprot`", "did you mean `sprout`?"],
            ),
            (&["scan", "--yes", "--profile", "xyz"], &["unknown profile `xyz`", "known: sprout, buzz"]),
            (&["scan", "--yes", "--profile", ""], &["profile"]),
            (&["explain"], &["<PID>"]),
        ];
        for (args, says) in cases {
            fails(reaper(&processes, args), 2, says);
        }
        for help in [&["--help"][..], &["scan", "--help"], &["explain", "-h"], &["--version"]] {
            let ran = reaper(&processes, help).run().expect_code(0);
            assert!(ran.stdout.contains("reaper") && ran.stderr.is_empty(), "{}", ran.stderr);
        }
        assert!(goose.is_alive());
    });
}

#[test]
fn bad_pids_are_explained_or_refused() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        for pid in
            ["0", "-1", "-4242", "+5", "1.5", "0x10", "goose", "", " 7", "2147483648", "99999999999999999999"]
        {
            fails(
                reaper(&processes, &["explain", pid]),
                2,
                &["a process id is a whole number from 1 to 2147483647"],
            );
        }
        for pid in ["2147483647", "4194305", "999999"] {
            fails(reaper(&processes, &["explain", pid]), 4, &[pid, "it is gone", "hint: "]);
        }
        let ran = reaper(&processes, &["explain", "1", "--format", "json"]).run().expect_code(0);
        assert_eq!(ran.json()["judgement"]["verdict"], "spare");
        assert!(finding(&ran, "orphan").1.contains("PID 1"), "{}", ran.stdout);
        let own = std::process::id().to_string();
        let ran = reaper(&processes, &["explain", &own, "--format", "json"]).run().expect_code(0);
        assert!(finding(&ran, "unprotected").1.contains("ancestors"), "{}", ran.stdout);
    });
}

#[test]
fn bad_a_pid_of_another_user_is_explained_as_far_as_it_can_be_read() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        // The gate `user` answers no, and what could not be read is reported as unknown.
        let foreign = agent(&processes, "goose").uid(1001).orphan_of_dead_leader().pid.to_string();
        let ran =
            reaper(&processes, &["explain", &foreign, "--format", "json"]).uid(1000).run().expect_code(0);
        assert_eq!(finding(&ran, "user"), ("no".to_owned(), "uid 1001, ours is 1000".to_owned()));
        assert_eq!(finding(&ran, "marker").0, "unknown");
        assert_eq!(ran.json()["judgement"]["verdict"], "spare");
    });
}

#[test]
fn bad_settings_are_refused_and_nothing_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let variables: &[(&str, &str, &[&str])] = &[
            ("REAPER_GRACE", "abc", &["REAPER_GRACE", "`abc` is not a duration", "hint: "]),
            ("REAPER_GRACE", "", &["REAPER_GRACE"]),
            ("REAPER_TERM_TIMEOUT", "10", &["REAPER_TERM_TIMEOUT", "needs a unit"]),
            ("REAPER_KILL_TIMEOUT", "-1s", &["REAPER_KILL_TIMEOUT"]),
            ("REAPER_MAX_TARGETS", "0", &["REAPER_MAX_TARGETS"]),
            ("REAPER_REACH", "all", &["REAPER_REACH", "tree"]),
            ("REAPER_USE", "sprot", &["sprot", "sprout"]),
            ("REAPER_CONFIG", "/no/such/file", &["/no/such/file", "no such file"]),
        ];
        for (name, value, says) in variables {
            fails(reaper(&processes, &["scan", "--yes"]).env(name, *value), 3, says);
        }
        let config = home(&processes).join(".config/reaper/config.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        let files: &[(&str, &[&str])] = &[
            ("grace = \"abc\"", &["config.toml:1:9", "^^^^^"]),
            ("\ngrcae = \"5s\"", &["config.toml:2:1", "unknown key `grcae`", "did you mean `grace`?"]),
            ("grace = ", &["config.toml:1"]),
            ("\u{0}", &["config.toml"]),
            ("grace = 30", &["config.toml:1:9"]),
            ("[[profile]]\nname = \"x\"\nmarkers = [\"X_MARK\"]\nprograms = [\"sh\"]", &["sh"]),
            ("[[profile]]\nname = \"x\"\nmarkers = [\"X_MARK\"]\nprograms = [\"*\"]", &["*"]),
            ("[[profile]]\nname = \"x\"\nmarkers = [\"PATH\"]\nprograms = [\"goose\"]", &["PATH"]),
            ("[[profile]]\nname = \"x\"\nmarkers = [\"X_MARK\"]\nprograms = [\"tmux\"]", &["tmux"]),
        ];
        for (text, says) in files {
            fs::write(&config, text).unwrap();
            set_mode(&config, 0o600);
            fails(act(&processes), 3, says);
            fails(reaper(&processes, &["explain", "1"]), 3, says);
        }
        fs::write(&config, "grace = \"1s\"\n").unwrap();
        set_mode(&config, 0o666);
        fails(act(&processes), 3, &["anyone can write it", "chmod"]);
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        fails(act(&processes), 3, &["not a regular file"]);
        fs::remove_dir(&config).unwrap();
        assert!(goose.is_alive());
        // So does a file of another user's.
        if std::os::unix::fs::chown(config.parent().unwrap(), Some(1000), None).is_ok() {
            fs::write(&config, "").unwrap();
            set_mode(&config, 0o600);
            fails(act(&processes), 3, &["uid 1000"]);
            fs::remove_file(&config).unwrap();
        }
        // A variable without a meaning is reported, and does not stop the run.
        let ran = act(&processes).env("REAPER_GRCE", "5s").run().expect_code(0);
        assert!(ran.stderr.contains("REAPER_GRCE") && ran.stderr.contains("REAPER_GRACE"), "{}", ran.stderr);
        assert_eq!(ran.outcome(goose.pid), "exited");
    });
}
