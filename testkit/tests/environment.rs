//! Tests of a test's environment: a terminal, mounts, limits, a PID 1 that is not an init program.

use std::fs;
use std::process::Command;
use std::time::Duration;

use reaper_testkit::sys::limit_files;
use reaper_testkit::{PidNamespace, ProcessSet, Terminal, in_namespace, mounts, test_name};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_terminal_shows_and_takes_keys() {
    let script = "stty size; trap 'echo caught; exit 3' INT; read -r line; echo \"got $line\"; read -r line";
    let mut terminal = Terminal::run(shell(script), 97).unwrap();
    terminal.wait_for("40 97");
    terminal.press("word\n");
    terminal.wait_for("got word");
    terminal.press("\x03");
    let (status, text) = terminal.finish();
    assert_eq!(status.code(), Some(3), "{text}");
    assert!(text.contains("caught"), "{text}");
}

#[test]
fn files_are_limited() {
    let mut command = shell("ulimit -Sn; ulimit -Hn");
    limit_files(&mut command, 77, 99);
    assert_eq!(command.output().unwrap().stdout, b"77\n99\n");
}

#[test]
fn the_view_of_files_can_change() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let at = processes.directory().join("disk");
        fs::create_dir(&at).unwrap();
        mounts::memory(&at, "size=64k").unwrap();
        assert!(fs::write(at.join("large"), vec![0; 1 << 20]).is_err());
        fs::remove_file(at.join("large")).unwrap();
        mounts::read_only(&at).unwrap();
        assert!(fs::write(at.join("small"), b"x").is_err());
        mounts::take_away(&at).unwrap();
        fs::write(at.join("small"), b"x").unwrap();
        mounts::bind(&at.join("small"), std::path::Path::new("/proc/version")).unwrap();
        assert_eq!(fs::read("/proc/version").unwrap(), b"x");
    });
}

#[test]
fn a_pid_1_that_is_no_init_keeps_zombies() {
    in_namespace(&PidNamespace::new().keep_zombies(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose").orphan();
        goose.kill();
        assert!(!goose.wait_reaped(Duration::from_millis(100)));
        assert_eq!(goose.state(), 'Z');
    });
}

#[test]
fn a_process_can_have_threads() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose").behave("threads=3").child();
        assert_eq!(fs::read_dir(format!("/proc/{}/task", goose.pid)).unwrap().count(), 4);
    });
}
