//! Completion scripts: each installed shell loads its own.

use std::process::{Command, Stdio};

use reaper_testkit::{skip, test_name};

use crate::common::{Reaper, scratch};

fn script(shell: &str) -> String {
    let home = scratch();
    Reaper::new(home.path(), ["completions", shell]).run().expect_code(0).stdout
}

/// Runs the shell on the script; `None` when the shell is not installed.
fn reads(shell: &str, args: &[&str]) -> Option<String> {
    let folder = scratch();
    let file = folder.path().join("_reaper");
    std::fs::write(&file, script(shell)).unwrap();
    let mut command = Command::new(shell);
    command.args(args).arg(&file).stdin(Stdio::null());
    let output = command.output().ok()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shell}: {err}");
    Some(out.into_owned())
}

#[test]
fn every_script_knows_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for word in ["scan", "explain", "profiles", "config", "completions", "dry-run", "all-users"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn bash_completes_with_its_script() {
    let ask = r#"source "$0"; COMP_WORDS=(reaper scan --dr); COMP_CWORD=2
        "$(complete -p reaper | sed 's/.*-F \([^ ]*\).*/\1/')" reaper --dr scan; echo "${COMPREPLY[@]}""#;
    match reads("bash", &["-c", ask]) {
        Some(offered) => assert_eq!(offered.trim(), "--dry-run"),
        None => skip(test_name!(), "bash is not installed"),
    }
}

#[test]
fn zsh_reads_its_script() {
    if reads("zsh", &["-n"]).is_none() {
        skip(test_name!(), "zsh is not installed");
    }
}

#[test]
fn fish_reads_its_script() {
    if reads("fish", &["--no-execute"]).is_none() {
        skip(test_name!(), "fish is not installed");
    }
}
