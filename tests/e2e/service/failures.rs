//! A service with a full disk or unreadable processes: it ends nothing without a record, reports that once, and
//! recovers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, skip, test_name};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::service_process::{Running, SOON, Service};

/// Longer than a grace, a term-timeout and a retry.
const WHILE: Duration = Duration::from_secs(4);

fn orphan(processes: &ProcessSet) -> reaper_testkit::ProcessRef {
    processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader()
}

/// How often the log has an error that says this.
fn said(service: &Running, what: &str) -> usize {
    service.log().iter().filter(|line| line.level == "ERROR" && line.text.contains(what)).count()
}

fn mount(arguments: &[&str], on: &Path) -> bool {
    Command::new("mount").args(arguments).arg(on).status().is_ok_and(|status| status.success())
}

#[test]
fn r11_with_a_full_disk_nothing_is_ended_until_there_is_space() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home"));
        std::fs::create_dir_all(service.state()).unwrap();
        if !mount(&["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"], &service.state()) {
            return skip(test_name!(), "nothing can be mounted here");
        }
        let service = service.start();
        let ballast = service.state().join("ballast");
        assert!(std::fs::write(&ballast, vec![0; 1 << 20]).is_err(), "it is full");
        let agent = orphan(&processes);
        service.expect_verdict(agent.pid, "reap");
        assert!(!agent.wait_exit(WHILE), "{}", service.log_text());
        let status = service.status();
        let errors = status["errors"].to_string();
        assert!(errors.contains("No space left") && errors.contains("account"), "{status:#}");
        assert_eq!(said(&service, "history.jsonl"), 1, "{}", service.log_text());
        assert_eq!(said(&service, "sightings.json"), 1, "{}", service.log_text());
        std::fs::remove_file(ballast).unwrap();
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        service.expect_outcome(agent.pid, "exited");
        assert_eq!(service.story(agent.pid).iter().filter(|word| *word == "TERM").count(), 1);
        service.stop();
    });
}

#[test]
fn r11_a_removed_state_directory_is_created_again() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let first = orphan(&processes);
        let service = Service::new(&processes.directory().join("home")).set("grace", "2s").start();
        service.expect_verdict(first.pid, "wait");
        std::fs::remove_dir_all(service.state()).unwrap();
        assert!(first.wait_exit(SOON), "{}", service.log_text());
        service.expect_outcome(first.pid, "exited");
        assert_eq!(service.story(first.pid), ["TERM", "exited"]);
        // Something else is in its place, for a while.
        std::fs::remove_dir_all(service.state()).unwrap();
        std::fs::write(service.state(), "in the way").unwrap();
        let second = orphan(&processes);
        service.expect_verdict(second.pid, "reap");
        assert!(!second.wait_exit(WHILE), "{}", service.log_text());
        std::fs::remove_file(service.state()).unwrap();
        assert!(second.wait_exit(SOON), "{}", service.log_text());
        service.expect_outcome(second.pid, "exited");
        service.stop();
    });
}

#[test]
fn while_processes_cannot_be_read_nothing_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = orphan(&processes);
        let service = Service::new(&processes.directory().join("home")).set("grace", "2s").start();
        service.expect_verdict(agent.pid, "wait");
        let pid = Pid::from_raw(service.alive.pid);
        // No file of /proc can be opened any more.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), maximum }).unwrap();
        service.expect_log("it cannot look", |line| {
            line.text.contains("nothing is ended before a sweep succeeds")
        });
        assert!(!agent.wait_exit(WHILE), "{}", service.log_text());
        assert_eq!(said(&service, "nothing is ended before a sweep succeeds"), 1, "{}", service.log_text());
        prlimit(pid, Resource::Nofile, before).unwrap();
        service.expect_log("it can look again", |line| line.text.contains("can be listed again"));
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert_eq!(service.status()["sweeps"]["failed"].as_u64().map(|n| n > 0), Some(true));
        service.stop();
    });
}

#[test]
fn m14_the_service_finds_orphans_while_init_is_hidden() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).uid(1000).start();
        assert_eq!(service.status()["visibility"]["method"], "children");
        let proc = Path::new("/proc");
        if !mount(&["-o", "remount,hidepid=2"], proc) {
            return skip(test_name!(), "/proc cannot be mounted anew here");
        }
        service.expect_status("it walks", |status| status["visibility"]["method"] == "walk");
        let agent =
            processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").uid(1000).orphan_of_dead_leader();
        let foreign = orphan(&processes);
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        assert!(mount(&["-o", "remount,hidepid=0"], proc));
        service
            .expect_status("it reads the list again", |status| status["visibility"]["method"] == "children");
        assert!(foreign.is_alive(), "it is root's");
        service.stop();
    });
}

#[test]
fn r06_an_unreadable_process_costs_little_and_hides_no_other() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let stuck =
            match marked.clone().behave("hang-environ").spawn(reaper_testkit::Shape::OrphanOfDeadLeader) {
                Ok(stuck) => stuck,
                Err(error) => return skip(test_name!(), &format!("no FUSE here: {error}")),
            };
        let service = Service::new(&processes.directory().join("home")).start();
        let agent = marked.orphan_of_dead_leader();
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        std::thread::sleep(Duration::from_secs(5));
        let threads = std::fs::read_dir(format!("/proc/{}/task", service.alive.pid)).unwrap().count();
        assert!(threads <= 6, "each attempt to read it leaves a thread behind: {threads}");
        assert!(stuck.is_alive(), "its marker was not read");
        assert_eq!(service.status()["visibility"]["unreadable"], 1);
        stuck.kill();
        service.stop();
    });
}

#[test]
fn w23_an_orphan_whose_session_began_outside_the_namespace_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // As `docker exec` leaves it: session and group have no number in here.
        let agent = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").by(&processes.init()).child();
        assert_eq!((agent.sid(), agent.pgid()), (0, 0));
        let service = Service::new(&processes.directory().join("home")).start();
        service.expect_verdict(agent.pid, "wait");
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        service.stop();
    });
}
