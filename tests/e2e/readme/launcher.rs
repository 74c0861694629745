//! The script for launchers in the README, used as it stands there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use crate::common::{Ran, Reaper, readme, set_mode};

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    set_mode(path, mode);
}

/// Waits for the pid that a script writes.
fn pid_in(path: &Path) -> ProcessRef {
    let written = || fs::read_to_string(path).ok()?.trim().parse().ok();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(pid) = written() {
            return ProcessRef::open(pid).unwrap();
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
    let processes = ProcessSet::new();
    let home = processes.directory().join("home");
    let marked = processes.directory().join("my (old) launcher");
    write(&marked, &readme::block("sh", "REAPER_OWNER"), 0o755);
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

    ProcessRef::open(launcher.id().cast_signed()).unwrap().kill();
    launcher.wait().unwrap();
    assert!(agent.wait_until(|a| a.ppid() == 1));
    let ran = scan(&home, true);
    for orphan in [&agent, &helper] {
        assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
        assert!(!orphan.is_alive());
    }
}

#[test]
fn the_launcher_script_works_with_sh() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || a_lease_ends_with_its_owner("sh"));
}

#[test]
fn the_launcher_script_works_with_bash() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || a_lease_ends_with_its_owner("bash"));
}
