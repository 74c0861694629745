//! Data on standard output, messages on standard error, colour and cutting on terminals only.

use std::process::Stdio;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use crate::common::{Reaper, scratch, set_mode, state_dir};

const ESCAPE: char = '\x1b';

#[test]
fn off_a_terminal_there_is_no_colour_and_nothing_is_cut() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let name = "goose-".repeat(20);
        let _ = processes.spec(&name).env("GOOSE_RUN", "1").orphan_of_dead_leader();
        let config = processes.directory().join("geese.toml");
        let geese = "[[profile]]\nname = \"geese\"\nmarkers = [\"GOOSE_RUN\"]\nprograms = [\"goose-*\"]\n";
        std::fs::write(&config, geese).unwrap();
        set_mode(&config, 0o600);
        for line in ["scan --dry-run -v", "profiles -v", "scan --yes --grace 0s", "scan --nosuch"] {
            let args = line.split(' ').chain(["--config", config.to_str().unwrap()]);
            let ran = Reaper::new(&home, args).env("COLUMNS", "40").env("TERM", "xterm-256color").run();
            assert!(
                !ran.stdout.contains(ESCAPE) && !ran.stderr.contains(ESCAPE),
                "{}{}",
                ran.stdout,
                ran.stderr
            );
            if line.starts_with("scan --dry-run") {
                assert!(ran.stdout.contains(&name) && ran.stdout.contains("(grace 30s)"), "{}", ran.stdout);
            }
        }
    });
}

#[test]
fn colour_can_be_asked_for_and_refused() {
    let home = scratch();
    let run = |args: &str, no_color: bool| {
        let mut reaper = Reaper::new(home.path(), args.split(' '));
        if no_color {
            reaper = reaper.env("NO_COLOR", "1");
        }
        reaper.run().expect_code(0).stdout.contains(ESCAPE)
    };
    assert!(run("profiles --color always", false));
    assert!(!run("profiles --color never", false));
    assert!(!run("profiles --color auto", false), "a pipe is no terminal");
    assert!(!run("profiles", true));
    assert!(run("profiles --color always", true), "a flag is closer than a variable");
}

#[test]
fn colour_changes_no_text() {
    let home = scratch();
    let text =
        |when: &str| Reaper::new(home.path(), ["profiles", "--color", when]).run().expect_code(0).stdout;
    assert_eq!(anstream::adapter::strip_str(&text("always")).to_string(), text("never"));
}

#[test]
fn quiet_prints_only_results_and_errors() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let _ = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let scan = |args: &str| {
            let line = format!("scan --dry-run {args}");
            Reaper::new(&home, line.trim().split(' ')).env("REAPER_GRCE", "1s").run().expect_code(0)
        };
        let loud = scan("");
        assert!(loud.stderr.contains("did you mean `REAPER_GRACE`?") && loud.stderr.contains("hint:"));
        let quiet = scan("--quiet");
        assert_eq!(quiet.stderr, "");
        assert_eq!(quiet.stdout.lines().count(), loud.stdout.lines().count());
    });
}

#[test]
fn verbose_shows_every_gate_of_every_row() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let ran = Reaper::new(&home, ["scan", "--dry-run", "-v"]).run().expect_code(0);
        assert!(ran.stdout.contains(&format!("goose (pid {})", orphan.pid)), "{}", ran.stdout);
        for gate in
            ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected", "grace"]
        {
            let line = ran.stdout.lines().find(|l| l.trim_start().starts_with(gate));
            assert!(line.is_some_and(|l| l.contains("yes") || gate == "grace"), "{gate}: {}", ran.stdout);
        }
    });
}

#[test]
fn json_is_alone_on_standard_output() {
    let home = scratch();
    let line = "scan --dry-run --grace 0s --format json -v";
    let ran = Reaper::new(home.path(), line.split(' ')).env("REAPER_GRCE", "1s").run();
    assert_eq!(ran.json()["schema"], "reaper.scan/1");
    assert!(ran.stderr.contains("warning:"), "{}", ran.stderr);
}

#[test]
fn a_dry_run_writes_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let _ = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        Reaper::new(&home, ["scan", "--dry-run"]).run().expect_code(0);
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
        Reaper::new(&home, ["scan", "--yes", "--grace", "0s"]).run().expect_code(0);
        assert!(state_dir(&home).join("history.jsonl").is_file());
    });
}

#[test]
fn standard_input_may_be_closed() {
    let home = scratch();
    for line in ["scan --dry-run", "profiles"] {
        let reaper = env!("CARGO_BIN_EXE_reaper");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec {reaper} {line} <&-")]).env("HOME", home.path());
        let output = shell.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
