//! What a user does to a running service: reload, pause, sweep, start a second one, stop it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use rustix::process::Signal;

use super::latency::{end, launch};
use super::service_process::{SOON, Service, eventually};

/// Long enough for anything that takes one second to have happened.
const WHILE: Duration = Duration::from_millis(2500);

fn orphan(processes: &ProcessSet) -> reaper_testkit::ProcessRef {
    processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader()
}

#[test]
fn a_reload_puts_a_new_grace_in_force() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = orphan(&processes);
        let service = Service::new(&processes.directory().join("home")).set("interval", "1h").unset("grace");
        service.config("grace = \"1h\"\n");
        let service = service.start();
        assert!(!agent.wait_exit(WHILE), "{}", service.log_text());
        service.config("grace = \"2s\"\n");
        service.cli(&["reload"]).expect_code(0);
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert_eq!(service.status()["config"]["grace_s"], 2.0);
        service.stop();
    });
}

#[test]
fn a_broken_config_is_reported_and_changes_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = orphan(&processes);
        let service = Service::new(&processes.directory().join("home")).unset("grace");
        service.config("grace = \"1h\"\n");
        let service = service.start();
        service.config("grace = \"0s\"\ngrease = \"1s\"\n");
        let refused = service.cli(&["reload"]).expect_code(4);
        assert!(refused.stderr.contains("unknown key `grease`"), "{}", refused.stderr);
        let status = service.status();
        assert_eq!(status["config"]["grace_s"], 3600.0);
        assert!(status["config"]["error"].as_str().unwrap().contains("grease"), "{status:#}");
        assert!(service.cli(&["status"]).expect_code(0).stdout.contains("REFUSED"));
        assert!(!agent.wait_exit(WHILE), "the old grace is in force\n{}", service.log_text());
        // A repaired one, taken in by the signal.
        service.config("grace = \"1s\"\n");
        service.signal(Signal::HUP);
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert_eq!(service.status()["config"]["error"], serde_json::Value::Null);
        service.stop();
    });
}

#[test]
fn agents_that_only_the_new_config_knows_are_noticed_at_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("my-app").own_session().child();
        let agent = processes.spec("my-agent").env("MY_AGENT_RUN", "7").under(&launcher);
        let service = Service::new(&processes.directory().join("home")).set("interval", "1h").start();
        let profile =
            "[[profile]]\nname = \"mine\"\nmarkers = [\"MY_AGENT_RUN\"]\nprograms = [\"my-agent\"]\n";
        service.config(profile);
        service.cli(&["reload"]).expect_code(0);
        end(&launcher);
        service.expect_verdict(agent.pid, "wait");
        service.stop();
    });
}

#[test]
fn sigusr1_and_the_sweep_command_sweep_at_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service =
            Service::new(&processes.directory().join("home")).set("interval", "1h").set("grace", "1h");
        let service = service.start();
        let first = orphan(&processes);
        std::thread::sleep(Duration::from_millis(300));
        let said = |pid| service.log_text().contains(&format!("(pid {pid})"));
        assert!(!said(first.pid), "nothing told it");
        service.signal(Signal::USR1);
        service.expect_verdict(first.pid, "wait");
        let second = orphan(&processes);
        service.cli(&["sweep"]).expect_code(0);
        assert!(said(second.pid), "the answer comes after the look");
        service.stop();
    });
}

#[test]
fn a_pause_lasts_over_a_crash_until_it_is_resumed() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = orphan(&processes);
        let service = Service::new(&processes.directory().join("home")).start();
        service.expect_verdict(agent.pid, "wait");
        service.cli(&["pause"]).expect_code(0);
        service.expect_verdict(agent.pid, "reap");
        assert!(!agent.wait_exit(WHILE), "{}", service.log_text());
        let service = service.crash().start();
        assert!(!agent.wait_exit(WHILE), "{}", service.log_text());
        let status = service.status();
        assert!(status["paused"].is_object() && status["verdicts"]["reap"] == 1, "{status:#}");
        let resumed = Instant::now();
        service.cli(&["resume"]).expect_code(0);
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert!(resumed.elapsed() < WHILE, "at once, not at the next look");
        assert!(service.status()["paused"].is_null());
        service.stop();
    });
}

#[test]
fn a_pause_with_an_end_ends_by_itself() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service =
            Service::new(&processes.directory().join("home")).set("grace", "0s").set("interval", "1h");
        let service = service.start();
        service.cli(&["pause", "2s"]).expect_code(0);
        let paused = Instant::now();
        let agent = orphan(&processes);
        service.cli(&["sweep"]).expect_code(0);
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert!(paused.elapsed() > Duration::from_millis(1900), "{:?}", paused.elapsed());
        service.stop();
    });
}

#[test]
fn a_pause_stops_an_escalation() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let deaf = marked.behave("ignore-term").orphan_of_dead_leader();
        let service = Service::new(&processes.directory().join("home")).set("grace", "0s").start();
        assert!(eventually(SOON, || (service.story(deaf.pid) == ["TERM"]).then_some(())).is_some());
        service.cli(&["pause"]).expect_code(0);
        assert!(!deaf.wait_exit(Duration::from_secs(4)), "no SIGKILL in a pause\n{}", service.log_text());
        assert_eq!(service.story(deaf.pid), ["TERM", "interrupted"]);
        service.cli(&["resume"]).expect_code(0);
        assert!(deaf.wait_exit(SOON), "{}", service.log_text());
        service.stop();
    });
}

#[test]
fn w15_a_second_service_names_the_first_and_exits() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).start();
        let second = service.cli(&["run"]).expect_code(4);
        assert!(second.stderr.contains(&format!("pid {}", service.alive.pid)), "{}", second.stderr);
        service.cli(&["status", "--check", "live"]).expect_code(0);
        service.cli(&["status", "--check", "ready"]).expect_code(0);
        let gone = (*service).clone();
        service.stop();
        assert!(!gone.socket().exists(), "the socket goes with it");
        gone.reaper(&["status", "--check", "live"]).run().expect_code(4);
    });
}

/// Everything below a directory, and when it was changed; but for the log.
fn tree(directory: &Path) -> BTreeSet<(PathBuf, std::time::SystemTime)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        if meta.is_dir() {
            found.extend(tree(&path));
        }
        if path.extension().is_none_or(|e| e != "now") && !path.ends_with("log") {
            found.insert((path, meta.modified().unwrap()));
        }
    }
    found
}

#[test]
fn a_dry_run_writes_nothing_and_signals_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (launcher, known) = launch(&processes, "goose");
        let agent = orphan(&processes);
        let home = processes.directory().join("home");
        let service = Service::new(&home).set("grace", "0s").arg("--dry-run");
        drop(service.reaper(&["--version"]).run());
        let before = tree(&home);
        let running = service.start();
        running.expect_verdict(agent.pid, "reap");
        end(&launcher);
        running.expect_verdict(known.pid, "reap");
        assert!(!agent.wait_exit(WHILE) && known.is_alive(), "{}", running.log_text());
        running.stop();
        assert_eq!(tree(&home), before);
    });
}
