//! Help is documentation: every change of a text must be confirmed, and every example in it works.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use reaper::cli::args;
use reaper::cli::args::{App, Color};

use crate::common::{Reaper, scratch};

/// Every command that has a help text of its own.
const COMMANDS: [&str; 23] = [
    "",
    "scan",
    "explain",
    "run",
    "status",
    "sweep",
    "pause",
    "resume",
    "reload",
    "history",
    "doctor",
    "profiles",
    "config",
    "config show",
    "config check",
    "config example",
    "config path",
    "completions",
    "man",
    "service",
    "service install",
    "service uninstall",
    "service status",
];

fn help(command: &str, flag: &str) -> String {
    let home = scratch();
    let words = command.split_whitespace().chain([flag]);
    let ran = Reaper::new(home.path(), words).run().expect_code(0);
    assert_eq!(ran.stderr, "", "help is what was asked for, so it is data");
    ran.stdout
}

fn parse(line: &str) -> Result<App, String> {
    args::parse(line.split_whitespace().map(OsString::from)).map_err(|e| e.to_string())
}

/// `UPDATE_EXPECTED=1` regenerates the files.
#[test]
fn every_help_text_is_as_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help");
    for command in COMMANDS {
        let name = format!("{}.txt", ["reaper", command].join(" ").trim_end().replace(' ', "-"));
        let actual: String = help(command, "--help").lines().map(|l| format!("{}\n", l.trim_end())).collect();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(folder.join(&name), &actual).unwrap();
        }
        let expected = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(expected == actual, "{name}: UPDATE_EXPECTED=1 writes it anew\n{actual}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), COMMANDS.len(), "a text of no command");
}

#[test]
fn short_help_is_help_too() {
    for command in COMMANDS {
        let short = help(command, "-h");
        assert!(short.contains("Usage: reaper"), "{short}");
        let fits = |line: &str| line.chars().count() <= 100;
        assert!(short.lines().all(fits), "{short}");
    }
}

#[test]
fn every_example_in_the_help_can_be_typed() {
    let mut tried = 0;
    for command in COMMANDS {
        let text = help(command, "--help");
        let Some((_, examples)) = text.split_once("Examples:\n") else {
            assert!(command.starts_with("config "), "`reaper {command} --help` has no examples");
            continue;
        };
        for line in examples.lines().take_while(|l| l.starts_with("  ")) {
            let typed = line.trim_start().split("  ").next().unwrap().split(" > ").next().unwrap();
            assert!(typed.starts_with("reaper "), "{line}");
            parse(typed).unwrap_or_else(|e| panic!("{typed}: {e}"));
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} examples were found");
}

#[test]
fn global_flags_stand_before_and_after_every_command() {
    let commands = ["scan -n", "explain 1", "profiles", "config show", "config check", "completions bash"];
    for command in commands {
        for flag in ["--config f", "--color never", "-q", "-v", "--quiet", "--verbose"] {
            for line in [format!("reaper {flag} {command}"), format!("reaper {command} {flag}")] {
                let global = parse(&line).unwrap_or_else(|e| panic!("{line}: {e}")).global;
                let set =
                    (global.config.is_some(), global.color == Color::Never, global.quiet, global.verbose);
                let expected = match flag {
                    "--config f" => (true, false, false, false),
                    "--color never" => (false, true, false, false),
                    "-q" | "--quiet" => (false, false, true, false),
                    _ => (false, false, false, true),
                };
                assert_eq!(set, expected, "{line}");
            }
        }
    }
}
