//! The exit codes, a contract for scripts. 5 needs a process that cannot be ended and has tests in `tests/e2e`; 70
//! is ours alone.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use crate::common::{Reaper, scratch, set_mode, state_dir, write};

/// Runs `reaper LINE` with a new home and expects this code; returns its standard error.
fn code(line: &str, expected: i32) -> String {
    let home = scratch();
    let ran = Reaper::new(home.path(), line.split_whitespace()).run();
    assert_eq!(ran.code, expected, "reaper {line}\n{}{}", ran.stdout, ran.stderr);
    ran.stderr
}

#[test]
fn wrong_usage_is_2_and_says_what_would_be_right() {
    for (line, said) in [
        ("", "Usage: reaper"),
        ("nosuch", "unrecognized subcommand"),
        ("scan -n --dryrun", "similar argument exists: '--dry-run'"),
        ("scan --grace 30 -n", "a duration needs a unit"),
        ("scan --grace -5s -n", "unexpected argument"),
        ("scan -n --format yaml", "[possible values: table, json]"),
        ("scan -n --profile sprot", "did you mean `sprout`?"),
        ("explain", "<PID>"),
        ("explain 0", "a process id is a whole number"),
        ("explain goose", "a process id is a whole number"),
        ("config", "Usage: reaper config"),
        ("completions tcsh", "[possible values: bash"),
        ("scan -n -q -v", "cannot be used with"),
    ] {
        let stderr = code(line, 2);
        assert!(stderr.contains(said), "reaper {line}\n{stderr}");
    }
}

#[test]
fn acting_without_a_terminal_or_yes_is_2() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let stderr = code("scan --grace 0s", 2);
        assert!(stderr.contains("--yes") && stderr.contains("--dry-run"), "{stderr}");
        assert!(orphan.is_alive());
    });
}

#[test]
fn all_users_needs_root() {
    in_namespace(&PidNamespace::new().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let line = ["scan", "--dry-run", "--all-users"];
        let ran = Reaper::new(&processes.directory().join("home"), line).uid(1000).run().expect_code(2);
        assert!(ran.stderr.contains("--all-users needs root"), "{}", ran.stderr);
    });
}

#[test]
fn a_config_that_cannot_be_used_is_3_and_nothing_is_signalled() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let file = processes.directory().join("bad.toml");
        write(&file, "grace = 30\n");
        for command in
            ["scan -n", "scan --yes --grace 0s", "explain 1", "profiles", "config show", "config check"]
        {
            let stderr = code(&format!("{command} --config {}", file.display()), 3);
            assert!(stderr.contains("bad.toml") && stderr.contains("hint:"), "{command}\n{stderr}");
        }
        assert!(orphan.is_alive());
    });
}

#[test]
fn a_setting_from_elsewhere_that_cannot_be_used_is_3() {
    let home = scratch();
    let stderr = code("config check --config /there/is/none", 3);
    assert!(stderr.contains("there is no such file"), "{stderr}");
    let ran = Reaper::new(home.path(), ["profiles"]).env("REAPER_GRACE", "soon").run().expect_code(3);
    assert!(ran.stderr.contains("REAPER_GRACE"), "{}", ran.stderr);
}

#[test]
fn commands_that_need_no_config_do_not_read_it() {
    let home = scratch();
    let file = home.path().join("bad.toml");
    write(&file, "grace = 30\n");
    for command in ["config example", "config path", "completions bash", "scan --help"] {
        code(&format!("{command} --config {}", file.display()), 0);
    }
}

#[test]
fn no_orphans_is_0_and_some_are_1_only_when_asked() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let scan = |args: &str| Reaper::new(&home, format!("scan {args}").split(' ')).run();
        scan("--dry-run --exit-code").expect_code(0);
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        scan("--dry-run").expect_code(0);
        scan("--dry-run --exit-code").expect_code(1);
        scan("--dry-run --exit-code --profile buzz").expect_code(0);
        scan("--yes --grace 0s").expect_code(0);
        assert!(!orphan.is_alive());
        scan("--yes --grace 0s --exit-code").expect_code(0);
    });
}

#[test]
fn a_doubt_is_4() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let doubtful = marked.clone().env("REAPER_OWNER", "garbled").orphan_of_dead_leader();
        let ran = Reaper::new(&home, ["scan", "--dry-run"]).run().expect_code(4);
        assert!(ran.stderr.contains("`reaper explain PID`"), "{}", ran.stderr);
        let pid = doubtful.pid.to_string();
        let ran = Reaper::new(&home, ["explain", &pid]).run().expect_code(0);
        assert!(ran.stdout.contains("REAPER_OWNER is there and cannot be understood"), "{}", ran.stdout);
    });
}

#[test]
fn a_process_that_is_not_there_is_4() {
    let stderr = code("explain 4194303", 4);
    assert!(stderr.contains("it is gone") && stderr.contains("hint:"), "{stderr}");
}

#[test]
fn a_state_directory_that_cannot_be_trusted_is_4_and_nothing_is_signalled() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        fs::create_dir_all(state_dir(&home)).unwrap();
        set_mode(&state_dir(&home), 0o777);
        let ran = Reaper::new(&home, ["scan", "--yes", "--grace", "0s"]).run().expect_code(4);
        assert!(ran.stderr.contains("refusing to use"), "{}", ran.stderr);
        assert!(orphan.is_alive());
    });
}

#[test]
fn a_second_reaper_at_work_is_4_and_nothing_is_signalled() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        Reaper::new(&home, ["scan", "--yes"]).run().expect_code(0);
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let lock = fs::File::create(state_dir(&home).join("act.lock")).unwrap();
        lock.lock().unwrap();
        let ran = Reaper::new(&home, ["scan", "--yes", "--grace", "0s"]).run().expect_code(4);
        assert!(ran.stderr.contains("another reaper"), "{}", ran.stderr);
        assert!(orphan.is_alive());
        drop(lock);
        Reaper::new(&home, ["scan", "--yes", "--grace", "0s"]).run().expect_code(0);
        assert!(!orphan.is_alive());
    });
}

#[test]
fn data_that_cannot_be_written_is_4() {
    let home = scratch();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Reaper::new(home.path(), ["profiles"]).command();
    let output = command.stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("cannot write to standard output"), "{stderr}");
}

#[test]
fn a_reader_that_goes_away_is_0() {
    let home = scratch();
    for command in ["profiles", "config example", "completions bash", "--help", "scan --dry-run --help"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut run = Reaper::new(home.path(), command.split(' ')).command();
        let output = run.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert_eq!(output.stderr, b"", "{command}");
    }
}
