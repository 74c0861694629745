//! Launchers and runs in other time namespaces, whose clocks cannot be compared with ours.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};
use serde_json::Value;

use super::main_thread_exited::stamp;
use crate::common::{
    Ran, Reaper, Running, act, doubted, ended, home, orphan, records, spared, state_dir, until,
    wait_for_sighting,
};

/// `unshare` for another time namespace, whose command ends with it.
const UNSHARE: [&str; 4] = ["unshare", "--time", "--fork", "--kill-child"];

/// By which a sighting would be more than a day old.
const FAR: Option<&str> = Some("100000");

fn namespace(of: impl std::fmt::Display) -> Option<u64> {
    fs::metadata(format!("/proc/{of}/ns/time")).ok().map(|meta| meta.ino())
}

fn with_other_clocks(name: &str, direct: impl FnOnce(&ProcessSet)) {
    in_namespace(&PidNamespace::new().systemd(), name, || {
        let test = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).args(["--monotonic", "1", "true"]).output();
        match test {
            Ok(output) if output.status.success() => direct(&ProcessSet::new()),
            Ok(output) => skip(name, String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => skip(name, &format!("unshare: {error}")),
        }
    });
}

/// A launcher whose clock since boot is ahead of ours, and its start as it sees that itself.
fn launcher(processes: &ProcessSet, name: &str) -> (ProcessRef, u64) {
    let stamp = processes.directory().join(name);
    let stamps = format!(
        "read -r stat </proc/$$/stat; set -- $stat; echo \"$$ ${{22}}\" >{0}.part; \
         mv {0}.part {0}; exec sleep 1000",
        stamp.display()
    );
    let unshare = processes.spec("unshare").foreign("/usr/bin/unshare").args(&UNSHARE[1..]);
    unshare.args(["--boottime", "50000", "/bin/sh", "-c", &stamps]).child();
    until("it has stamped its start", || stamp.exists());
    let text = fs::read_to_string(&stamp).unwrap();
    let (pid, ticks) = text.trim().split_once(' ').unwrap();
    let launcher = ProcessRef::open(pid.parse().unwrap()).unwrap();
    let ticks: u64 = ticks.parse().unwrap();
    assert_ne!(namespace(launcher.pid), namespace("self"));
    assert_eq!(ticks, launcher.start_ticks() + 50_000 * 100, "it sees another start than we do");
    (launcher, ticks)
}

#[test]
fn b26_a_launcher_in_another_time_namespace_lives() {
    with_other_clocks(test_name!(), |processes| {
        let (owner, ticks) = launcher(processes, "owner");
        let (dead, dead_ticks) = launcher(processes, "dead");
        let owned = |lease: String| {
            let spec = processes.spec("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease);
            spec.orphan_of_dead_leader()
        };
        let clock = |launcher: &ProcessRef| format!(":time={}", namespace(launcher.pid).unwrap());
        // By its own clock, and saying so; and by ours, as another process may have stamped it.
        let untold = owned(stamp(owner.pid, ticks));
        let told = owned(stamp(owner.pid, ticks) + &clock(&owner));
        let by_our_clock = owned(stamp(owner.pid, owner.start_ticks()));
        let unwanted =
            [owned(stamp(dead.pid, dead_ticks)), owned(stamp(dead.pid, dead_ticks) + &clock(&dead))];
        dead.kill();
        until("it is collected", || !Path::new(&format!("/proc/{}", dead.pid)).exists());
        let ran = act(processes).run().expect_code(4);
        for one in [&untold, &told] {
            doubted(&ran, one, "unclaimed", "time namespace");
        }
        spared(
            &ran,
            &by_our_clock,
            "unclaimed",
            &format!("its owner, pid {} in REAPER_OWNER, is alive", owner.pid),
        );
        unwanted.iter().for_each(|one| ended(&ran, one));
        assert!(owner.is_alive());
        // The same launcher, dead.
        owner.kill();
        until("it is collected", || !Path::new(&format!("/proc/{}", owner.pid)).exists());
        let ran = act(processes).run().expect_code(0);
        for one in [&untold, &told, &by_our_clock] {
            ended(&ran, one);
        }
    });
}

/// A scan with this grace; on a clock that is so many seconds ahead of ours.
fn scan(processes: &ProcessSet, how: &str, grace: &str, ahead: Option<&str>) -> Command {
    let scan = Reaper::new(&home(processes), ["scan", how, "--all", "--grace", grace, "--format", "json"]);
    let Some(ahead) = ahead else { return scan.command() };
    let mut unshare = Command::new(UNSHARE[0]);
    unshare.args(&UNSHARE[1..]).args(["--monotonic", ahead]);
    scan.through(unshare)
}

fn run(mut command: Command) -> Ran {
    Ran::from(command.output().unwrap())
}

/// The time namespace of what is remembered.
fn remembered(processes: &ProcessSet) -> Option<u64> {
    let text = fs::read_to_string(state_dir(&home(processes)).join("sightings.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["time_namespace"].as_u64()
}

#[test]
fn b27_a_sighting_is_not_carried_into_another_time_namespace() {
    with_other_clocks(test_name!(), |processes| {
        let orphan = orphan(processes);
        std::thread::sleep(Duration::from_millis(20));
        let seen = Running::spawn(scan(processes, "--yes", "60s", None));
        wait_for_sighting(&home(processes), &orphan);
        seen.kill();
        let ours = remembered(processes);
        assert_eq!(ours, namespace("self"));
        std::thread::sleep(Duration::from_millis(1100));
        // What was seen here counts here.
        let ran = run(scan(processes, "--dry-run", "1s", None)).expect_code(0);
        assert_eq!(ran.verdict(orphan.pid).0, "reap", "{}", ran.stdout);
        // And there it is seen for the first time.
        let ran = run(scan(processes, "--dry-run", "60s", FAR)).expect_code(0);
        assert_eq!(ran.verdict(orphan.pid).0, "wait", "{}", ran.stdout);
        assert_eq!(ran.judgement(orphan.pid).unwrap()["orphaned_s"], 0.0, "{}", ran.stdout);
        let acts = Running::spawn(scan(processes, "--yes", "60s", FAR));
        until("it is seen there", || remembered(processes) != ours);
        std::thread::sleep(Duration::from_millis(300));
        assert!(orphan.is_alive() && records(&home(processes)).is_empty());
        acts.kill();
        // Its grace there is a grace like any other.
        ended(&run(scan(processes, "--yes", "1s", FAR)).expect_code(0), &orphan);
    });
}

/// The kernel gives the number of a namespace that is gone to the next one that is made, at once.
#[test]
fn b27_a_sighting_is_not_carried_into_a_time_namespace_with_a_reused_number() {
    with_other_clocks(test_name!(), |processes| {
        let orphan = orphan(processes);
        std::thread::sleep(Duration::from_millis(20));
        let seen = Running::spawn(scan(processes, "--yes", "60s", Some("1")));
        wait_for_sighting(&home(processes), &orphan);
        seen.kill();
        for _ in 0..20 {
            let ran = run(scan(processes, "--dry-run", "60s", FAR)).expect_code(0);
            let judgement = ran.judgement(orphan.pid).unwrap();
            assert_eq!(
                (&judgement["verdict"], &judgement["orphaned_s"]),
                (&"wait".into(), &0.0.into()),
                "{judgement:#}"
            );
        }
        ended(&run(scan(processes, "--yes", "0s", FAR)).expect_code(0), &orphan);
    });
}
