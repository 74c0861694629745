//! The scripts, settings and examples of the README, each used as it stands there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reaper_testkit::{Alive, Stage, Troupe, here, play};
use serde_json::Value;

use crate::common::{Ran, Reaper, set_mode};
use crate::page;

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    set_mode(path, mode);
}

/// Waits for the pid that a script writes.
fn pid_in(path: &Path) -> Alive {
    let written = || fs::read_to_string(path).ok()?.trim().parse().ok();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(pid) = written() {
            return Alive::pin(pid).unwrap();
        }
        assert!(std::time::Instant::now() < end, "{} stays empty", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn scan(home: &Path, act: bool) -> Ran {
    let how = if act { "--yes" } else { "--dry-run" };
    let line = ["scan", how, "--grace", "0s", "--format", "json"];
    Reaper::new(home, line).run().expect_code(0)
}

/// The launcher from the README, under a shell: its agents are spared while it lives and ended when it is dead.
fn a_lease_ends_with_its_owner(shell: &str) {
    let troupe = Troupe::new();
    let home = troupe.directory().join("home");
    let marked = troupe.directory().join("my (old) launcher");
    write(&marked, &page::block("sh", "REAPER_OWNER"), 0o755);
    // The agent starts a helper that init adopts at once, says who they are, and stays.
    let (agent, helper) = (home.join("agent"), home.join("helper"));
    let script = format!(
        "(sleep 1000 & echo $! >'{}'); echo $$ >'{}'; exec sleep 1000",
        helper.display(),
        agent.display()
    );
    fs::create_dir_all(&home).unwrap();
    let mut command = std::process::Command::new(shell);
    command.arg(&marked).args(["sh", "-c", &script]).env_clear().env("PATH", "/usr/bin:/bin");
    let mut launcher = command.spawn().unwrap();
    let (agent, helper) = (pid_in(&agent), pid_in(&helper));
    assert!(helper.wait_until(|h| h.ppid() == 1 && h.comm() == "sleep"));
    assert!(agent.wait_until(|a| a.comm() == "sleep"));

    let ran = scan(&home, false);
    assert_eq!(ran.verdict(helper.pid), ("spare".to_owned(), "unclaimed".to_owned()), "{}", ran.stdout);
    assert!(ran.judgement(agent.pid).is_none(), "its parent lives: {}", ran.stdout);

    Alive::pin(launcher.id().cast_signed()).unwrap().kill();
    launcher.wait().unwrap();
    assert!(agent.wait_until(|a| a.ppid() == 1));
    let ran = scan(&home, true);
    for orphan in [&agent, &helper] {
        assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
        assert!(!orphan.is_alive());
    }
}

#[test]
fn the_launcher_marks_what_it_starts() {
    play(&Stage::new().systemd(), here!(), || a_lease_ends_with_its_owner("sh"));
}

#[test]
fn the_launcher_works_with_bash_too() {
    play(&Stage::new().systemd(), here!(), || a_lease_ends_with_its_owner("bash"));
}

#[test]
fn the_config_is_a_config() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/reaper/config.toml");
    write(&file, &page::block("toml", "[[profile]]"), 0o600);
    set_mode(file.parent().unwrap(), 0o700);
    let ran = Reaper::new(home.path(), ["config", "check"]).run().expect_code(0);
    assert!(ran.stdout.contains("0 warnings"), "{}{}", ran.stdout, ran.stderr);
    let shown = Reaper::new(home.path(), ["config", "show"]).run().expect_code(0).stdout;
    assert!(shown.contains("name = \"mine\"") && shown.contains("MY_AGENT_GENERATION"), "{shown}");
}

#[test]
fn the_json_has_every_field_and_no_other() {
    let example: Value = serde_json::from_str(&page::block("json", "reaper.scan/1")).unwrap();
    let read: reaper::report::types::Scan = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), example);
}

#[test]
fn the_profiles_that_are_on_and_off_are_those() {
    let text = page::text();
    let home = tempfile::tempdir().unwrap();
    let profiles = Reaper::new(home.path(), ["profiles"]).run().expect_code(0).stdout;
    for line in profiles.lines().filter(|l| l.starts_with("on  ") || l.starts_with("off ")) {
        let (state, name) = line.split_at(4);
        let name = name.split(':').next().unwrap();
        let row = text.lines().find(|l| l.starts_with(&format!("| `{name}`")));
        match row {
            Some(row) => assert!(row.ends_with(&format!("| {} |", state.trim())), "{row}"),
            None => assert!(state == "off " && name.ends_with("-children"), "{name} is not in the README"),
        }
    }
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let home = tempfile::tempdir().unwrap();
    let help = Reaper::new(home.path(), ["--help"]).run().expect_code(0).stdout;
    let (_, codes) = help.split_once("Exit status:\n").unwrap();
    let text = page::text().replace('`', "");
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(text.contains(&row), "the README lacks {row}");
    }
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            assert!(file.starts_with("https://") || root.join(file).exists(), "{name}: {link}");
        }
    }
}
