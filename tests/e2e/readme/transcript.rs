//! Runs the commands of the transcript on a machine like the one it was taken from, and compares the output.

use std::fmt::Write as _;
use std::time::Duration;

use reaper_testkit::{PidNamespace, in_namespace, test_name};

use super::demo_machine::DemoMachine;
use super::output_mask::{matches, plain};
use crate::common::readme;

/// `UPDATE_EXPECTED=1` records the transcript again, with true times: that takes some minutes.
fn updates() -> bool {
    std::env::var_os("UPDATE_EXPECTED").is_some()
}

/// A command and what it is said to print, on both streams.
struct Step {
    command: String,
    expected: String,
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), expected: String::new() });
        } else if let Some(step) = steps.last_mut() {
            let _ = writeln!(step.expected, "{line}");
        }
    }
    steps
}

/// The same elision as in the old text: as many lines before and after it.
fn elide(old: &str, new: &str) -> String {
    let Some((head, tail)) = old.split_once("...\n") else { return new.to_owned() };
    let (lines, head, tail) = (new.lines().collect::<Vec<_>>(), head.lines().count(), tail.lines().count());
    let last = lines.len().saturating_sub(tail).max(head);
    let shown = lines.iter().take(head).chain([&"..."]).chain(lines.iter().skip(last));
    shown.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_transcript_is_what_the_commands_print() {
    in_namespace(&PidNamespace::new().systemd().timeout(Duration::from_secs(600)), test_name!(), || {
        let machine = DemoMachine::new();
        assert_eq!(machine.orphans.len(), 40);
        if updates() {
            // Agents of some minutes, so that the ages look like those of agents.
            std::thread::sleep(Duration::from_secs(190));
        }
        let mut readme = readme::text();
        let blocks = readme::blocks("console");
        assert!(!blocks.is_empty(), "the README has no transcript");
        for block in blocks {
            let mut taken = String::new();
            for step in steps(&block) {
                let command = this_time(&step.command, &machine);
                let mut shell = machine.shell(&format!("exec 2>&1; {command}"));
                if !updates() {
                    shell.env("REAPER_GRACE", "1s");
                }
                let output = shell.output().unwrap();
                let actual = String::from_utf8(output.stdout).unwrap();
                let _ = write!(taken, "$ {command}\n{}", elide(&step.expected, &actual));
                assert!(output.status.success(), "{command}: {}\n{actual}", output.status);
                let same = matches(&plain(&step.expected), &plain(&actual));
                assert!(same || updates(), "$ {command}\n{actual}\ninstead of\n{}", step.expected);
            }
            readme = readme.replace(&format!("```console\n{block}"), &format!("```console\n{taken}"));
        }
        for orphan in &machine.orphans {
            assert!(!orphan.is_alive(), "{} is still there", orphan.pid);
        }
        for (who, other) in &machine.others {
            assert!(other.is_alive(), "{who} is gone");
        }
        if updates() {
            std::fs::write(readme::path(), readme).unwrap();
        }
    });
}

/// The command with a number of this run: `explain` is asked of the first orphan.
fn this_time(command: &str, machine: &DemoMachine) -> String {
    match command.split_once("explain ") {
        Some((before, _)) => format!("{before}explain {}", machine.orphans[0].pid),
        None => command.to_owned(),
    }
}
