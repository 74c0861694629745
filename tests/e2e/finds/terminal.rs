//! At a terminal: the question and its answers, keys at the wrong moment, few columns, colours.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, Terminal, in_namespace, test_name};

use super::support::{agent, home, reaper, shell};
use crate::common::{Ran, state_dir};

const SIGINT: i32 = rustix::process::Signal::INT.as_raw();
const ASKED: &str = "[y/N] ";

fn scan(processes: &ProcessSet, args: &[&str], columns: u16) -> Terminal {
    let command = reaper(processes, &[&["scan"], args].concat()).env("TERM", "xterm-256color");
    Terminal::run(command.env("REAPER_TERM_TIMEOUT", "4s").command(), columns).unwrap()
}

fn history(processes: &ProcessSet) -> String {
    std::fs::read_to_string(state_dir(&home(processes)).join("history.jsonl")).unwrap_or_default()
}

#[test]
fn bad_answers_to_the_question_end_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        // No, nothing, something else, the end of input (Ctrl-D).
        for answer in ["n\n", "\n", "no\n", "yeah\n", "yy\n", "y es\n", "\u{1b}[A\n", "\x04"] {
            let mut terminal = scan(&processes, &["--grace", "1s"], 100);
            terminal.wait_for("End 1 orphan");
            terminal.wait_for(ASKED);
            terminal.press(answer);
            let (status, text) = terminal.finish();
            assert_eq!(status.code(), Some(0), "{text}");
            assert!(text.contains("nothing was ended") && goose.is_alive(), "{answer:?}: {text}");
        }
        assert_eq!(history(&processes), "");
    });
}

#[test]
fn bad_nothing_is_ended_before_a_yes_and_all_after_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        for (answer, grace, question) in
            [("y\n", "1s", "once grace is over? [y/N] "), ("Yes\n", "0s", "End 2 orphans (about ")]
        {
            let all = ["goose", "claude"].map(|name| agent(&processes, name).orphan_of_dead_leader());
            let mut terminal = scan(&processes, &["--grace", grace], 100);
            terminal.wait_for(question);
            // An orphan that comes now was not shown, and waits for the next run.
            let late = agent(&processes, "codex").orphan_of_dead_leader();
            terminal.press(answer);
            if grace == "1s" {
                terminal.wait_for("2 orphans in grace for 1 s");
            }
            let (status, text) = terminal.finish();
            assert_eq!(status.code(), Some(0), "{text}");
            assert!(text.contains("2 processes ended; about"), "{text}");
            assert!(all.iter().all(|one| !one.is_alive()) && late.is_alive());
            late.kill();
        }
    });
}

#[test]
fn bad_the_question_counts_the_whole_tree() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let shell = agent(&processes, "bash").own_session().under(&goose);
        let unmarked = processes.spec("node").under(&shell);
        // Also in grace, the processes that would be ended with it and those that would stay are listed.
        let dry = reaper(&processes, &["scan", "-n", "--format", "json"]).run().expect_code(0);
        let judgement = dry.judgement(goose.pid).unwrap();
        assert_eq!(
            (&judgement["verdict"], &judgement["targets"]),
            (&"wait".into(), &[shell.pid, goose.pid].into())
        );
        assert_eq!(dry.json()["left_alone"][0]["pid"], unmarked.pid);
        let table = reaper(&processes, &["scan", "-n"]).run().expect_code(0).stdout;
        assert!(table.contains("goose +1") && table.contains("1 orphan (2 processes) in grace"), "{table}");
        assert!(table.contains(&format!("left alone: node (pid {})", unmarked.pid)), "{table}");
        let mut terminal = scan(&processes, &["--grace", "1s"], 100);
        terminal.wait_for("goose +1");
        terminal.wait_for("End 1 orphan, 2 processes in all (about ");
        terminal.press("y\n");
        let (_, text) = terminal.finish();
        assert!(text.contains("2 processes ended"), "{text}");
        assert!(!goose.is_alive() && !shell.is_alive() && unmarked.is_alive());
    });
}

/// Ended by the key itself, so that a shell sees it and stops its script.
fn interrupted(terminal: Terminal) -> String {
    let (status, text) = terminal.finish();
    assert_eq!(status.signal(), Some(SIGINT), "{status}: {text}");
    text
}

#[test]
fn bad_ctrl_c_at_the_question_or_in_the_grace_ends_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let mut terminal = scan(&processes, &["--grace", "1h"], 100);
        terminal.wait_for(ASKED);
        terminal.press("\x03");
        interrupted(terminal);
        let mut terminal = scan(&processes, &["--grace", "1h", "--yes"], 100);
        terminal.wait_for("Ctrl-C leaves everything as it is");
        terminal.press("\x03");
        interrupted(terminal);
        assert!(goose.is_alive());
        assert_eq!(history(&processes), "");
        // What it had seen is remembered: an hour's grace has begun.
        let ran =
            reaper(&processes, &["scan", "-n", "--grace", "1h", "--format", "json"]).run().expect_code(0);
        assert!(ran.judgement(goose.pid).unwrap()["orphaned_s"].as_f64().unwrap() > 0.0);
    });
}

#[test]
fn bad_ctrl_c_while_ending_sends_nothing_more() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let deaf = agent(&processes, "goose").behave("ignore-term").orphan_of_dead_leader();
        let plain = agent(&processes, "claude").orphan_of_dead_leader();
        let mut terminal = scan(&processes, &["--grace", "0s", "--yes"], 100);
        terminal.wait_for("1 left");
        terminal.press("\x03");
        let text = interrupted(terminal);
        assert!(text.contains("after Ctrl-C nothing more is sent"), "{text}");
        // Past the moment at which SIGKILL would have come.
        assert!(!deaf.wait_exit(Duration::from_secs(5)) && !plain.is_alive());
        assert!(!history(&processes).contains("KILL"));
        // The record of SIGTERM is kept, nothing holds the lock, and the next run ends what is left.
        let account = format!("\"event\":\"intent\",\"pid\":{}", deaf.pid);
        assert!(history(&processes).contains(&account), "{}", history(&processes));
        let (status, text) = scan(&processes, &["--grace", "0s", "--yes"], 100).finish();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(text.contains("1 process ended (1 by SIGKILL)"), "{text}");
    });
}

#[test]
fn bad_a_terminal_that_is_closed_counts_as_no() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let mut terminal = scan(&processes, &["--grace", "0s"], 100);
        terminal.wait_for(ASKED);
        let run = ProcessRef::open(terminal.pid()).unwrap();
        drop(terminal);
        assert!(run.wait_exit(Duration::from_secs(10)));
        assert!(goose.is_alive());
        assert_eq!(history(&processes), "");
    });
}

#[test]
fn bad_a_terminal_of_few_columns_shows_everything() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let row = |columns| {
            let (status, text) = scan(&processes, &["-n"], columns).finish();
            assert_eq!(status.code(), Some(0), "{columns}: {text}");
            let pid = format!(" {} ", goose.pid);
            text.lines()
                .find(|line| line.contains(&pid))
                .unwrap_or_else(|| panic!("{columns}: {text}"))
                .to_owned()
        };
        for columns in [1, 2, 10, 40, 60] {
            assert!(row(columns).contains("first seen orphaned now"), "{columns}");
        }
        assert!(row(80).contains('…') && !row(200).contains('…'));
        // A terminal that does not know its size.
        assert!(row(0).contains("first seen orphaned now"));
        let mut terminal = scan(&processes, &["--grace", "1s"], 12);
        terminal.wait_for(ASKED);
        terminal.press("y\n");
        let (status, text) = terminal.finish();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(!goose.is_alive());
    });
}

#[test]
fn bad_colours_are_for_terminals_or_on_request() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let _goose = agent(&processes, "goose").orphan_of_dead_leader();
        let coloured = |text: &str| text.contains("\u{1b}[");
        assert!(coloured(&scan(&processes, &["-n"], 100).finish().1));
        assert!(!coloured(&scan(&processes, &["-n", "--color", "never"], 100).finish().1));
        let no_color = |args: &[&str]| -> Command { reaper(&processes, args).env("NO_COLOR", "1").command() };
        let quiet = Terminal::run(no_color(&["scan", "-n"]), 100).unwrap().finish().1;
        assert!(quiet.contains("goose") && !coloured(&quiet), "{quiet}");
        let piped = |command: &mut Command| Ran::from(command.output().unwrap()).expect_code(0).stdout;
        assert!(!coloured(&piped(&mut reaper(&processes, &["scan", "-n"]).command())));
        // Asked for in so many words, they go into a pipe, NO_COLOR or not; JSON has none at all.
        assert!(coloured(&piped(&mut reaper(&processes, &["scan", "-n", "--color", "always"]).command())));
        assert!(coloured(&piped(&mut no_color(&["--color", "always", "scan", "-n"]))));
        assert!(!coloured(&piped(&mut no_color(&["--color", "always", "scan", "-n", "--format", "json"]))));
    });
}

#[test]
fn bad_a_question_goes_where_it_can_be_seen() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let on_terminal = |line: &str| Terminal::run(shell(&processes, line), 100).unwrap();
        for line in ["\"$0\" scan --grace 0s 2>/dev/null", "\"$0\" scan --grace 0s >/dev/null"] {
            let mut terminal = on_terminal(line);
            terminal.wait_for(ASKED);
            terminal.press("n\n");
            assert_eq!(terminal.finish().0.code(), Some(0), "{line}");
        }
        let (status, text) = on_terminal("\"$0\" scan --grace 0s >/dev/null 2>&1").finish();
        assert_eq!((status.code(), text.as_str()), (Some(2), ""));
        assert!(goose.is_alive());
    });
}

#[test]
fn bad_no_terminal_and_no_yes_is_refused_before_anything_is_read_or_written() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        let start = Instant::now();
        let closed = shell(&processes, "exec \"$0\" scan --grace 0s <&-");
        for mut command in [reaper(&processes, &["scan", "--grace", "0s"]).command(), closed] {
            let ran = Ran::from(command.output().unwrap()).expect_code(2);
            assert!(ran.stderr.contains("--yes") && ran.stderr.contains("--dry-run"), "{}", ran.stderr);
            assert_eq!(ran.stdout, "");
        }
        assert!(goose.is_alive() && start.elapsed() < Duration::from_secs(10));
        assert!(!state_dir(&home(&processes)).exists());
    });
}
