//! On a terminal: colour, lines that fit, and the question before anything is ended. `script` gives us one.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use reaper_testkit::{Stage, Troupe, here, play, skip};

use crate::common::Reaper;

/// Runs `reaper LINE` on a terminal of so many columns, types `answer`, and gives what the terminal shows and the
/// exit code; `None` when there is no `script` here.
fn on_terminal(
    home: &Path,
    line: &str,
    columns: u16,
    answer: &str,
    env: &[(&str, &str)],
) -> Option<(String, i32)> {
    let reaper = env!("CARGO_BIN_EXE_reaper");
    let base = Reaper::new(home, [""; 0]).command();
    let mut command = Command::new("script");
    command.args([
        "-qefc",
        &format!("stty rows 40 cols {columns} -echo; exec '{reaper}' {line}"),
        "/dev/null",
    ]);
    command.env_clear().envs(base.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("TERM", "xterm");
    command.envs(env.iter().copied());
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.ok()?;
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1)))
}

/// Plays with one marked orphan that has a child; the test is skipped where there is no `script`.
fn with_orphan(name: &'static str, direct: impl FnOnce(&Path, &[reaper_testkit::Alive; 2])) {
    play(&Stage::new().systemd(), name, || {
        if Command::new("script").arg("--version").stdout(Stdio::null()).status().is_err() {
            return skip(name, "`script` is not installed, so there is no terminal");
        }
        let troupe = Troupe::new();
        let agent = |name: &str| troupe.actor(name).env("SPROUT_MANAGED_AGENT", "1");
        let root = agent("goose").orphan_of_dead_leader();
        let child = agent("my-tool").under(&root);
        direct(&troupe.directory().join("home"), &[root, child]);
    });
}

#[test]
fn no_is_the_answer_unless_it_is_yes() {
    with_orphan(here!(), |home, actors| {
        for answer in ["\n", "n\n", "what?\n", "\x04"] {
            let (shown, code) = on_terminal(home, "scan --grace 0s", 120, answer, &[]).unwrap();
            assert!(shown.contains("End 1 orphan, 2 processes in all (about "), "{shown}");
            assert!(shown.contains("[y/N]") && shown.contains("nothing was ended"), "{answer:?}: {shown}");
            assert_eq!(code, 0);
            assert!(actors.iter().all(reaper_testkit::Alive::is_alive));
        }
    });
}

#[test]
fn yes_ends_what_was_shown() {
    with_orphan(here!(), |home, actors| {
        let (shown, code) = on_terminal(home, "scan --grace 1s", 120, "y\n", &[]).unwrap();
        assert!(shown.contains("once grace is over? [y/N]"), "{shown}");
        assert!(shown.contains("2 processes ended"), "{shown}");
        assert_eq!(code, 0);
        assert!(!actors.iter().any(reaper_testkit::Alive::is_alive));
    });
}

#[test]
fn lines_fit_and_are_coloured_unless_no_color_is_set() {
    with_orphan(here!(), |home, _| {
        let (shown, _) = on_terminal(home, "scan --dry-run", 75, "", &[]).unwrap();
        assert!(shown.contains("\x1b[33mwait\x1b[0m"), "{shown:?}");
        let plain = anstream::adapter::strip_str(&shown).to_string();
        let row = plain.lines().find(|l| l.starts_with("goose")).unwrap();
        assert!(row.trim_end().chars().count() <= 75, "{row}");
        let (shown, _) = on_terminal(home, "scan --dry-run", 75, "", &[("NO_COLOR", "1")]).unwrap();
        assert!(!shown.contains("\x1b["), "{shown:?}");
    });
}
