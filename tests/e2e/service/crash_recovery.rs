//! The state that a killed service leaves to the next one.

use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use rustix::process::Signal;

use super::latency::{end, launch};
use super::service_process::{SOON, Service, eventually};

#[test]
fn the_grace_continues_over_a_crash() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (launcher, agent) = launch(&processes, "goose");
        let home = processes.directory().join("home");
        let grace = Duration::from_secs(4);
        let service = Service::new(&home).set("grace", "4s").start();
        end(&launcher);
        let orphaned = Instant::now();
        service.expect_verdict(agent.pid, "wait");
        std::thread::sleep(grace / 2);
        let service = service.crash().start();
        let left = service.status()["waiting"][0]["eligible_in_s"].as_f64().unwrap();
        assert!(left < 2.5, "{left}");
        assert!(agent.wait_exit(SOON));
        let took = orphaned.elapsed();
        assert!(took >= grace - Duration::from_millis(50), "{took:?}");
        assert!(took < grace + Duration::from_millis(1500), "{took:?}");
        service.expect_outcome(agent.pid, "exited");
        service.stop();
    });
}

#[test]
fn an_escalation_cut_short_by_a_crash_is_finished_by_the_next_service() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("sprout-app").own_session().child();
        let marked = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let deaf = marked("goose").behave("ignore-term").under(&launcher);
        let tool = marked("esbuild").behave("ignore-term").under(&deaf);
        let unmarked = processes.spec("goose").under(&deaf);
        let wanted = marked("goose").child();
        let service = Service::new(&processes.directory().join("home")).set("term-timeout", "3s");
        let first = service.start();
        end(&launcher);
        assert!(eventually(SOON, || (first.story(deaf.pid) == ["TERM"]).then_some(())).is_some());
        let cut = first.crash();
        assert_eq!(cut.story(deaf.pid), ["TERM"], "an intent without an outcome");
        let second = cut.start();
        assert!(deaf.wait_exit(SOON) && tool.wait_exit(SOON), "{}", second.log_text());
        second.expect_outcome(deaf.pid, "killed");
        assert_eq!(second.story(deaf.pid), ["TERM", "TERM", "KILL", "killed"]);
        assert!(unmarked.is_alive() && wanted.is_alive(), "{}", second.log_text());
        second.stop();
    });
}

#[test]
fn a_stopping_service_leaves_survivors_to_the_next_service() {
    in_namespace(&PidNamespace::new().systemd().timeout(Duration::from_secs(90)), test_name!(), || {
        let processes = ProcessSet::new();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let quick = marked.clone().behave("exit-after=1500").orphan_of_dead_leader();
        let deaf = marked.behave("ignore-term").orphan_of_dead_leader();
        let service = Service::new(&processes.directory().join("home")).set("term-timeout", "30s");
        let first = service.set("grace", "0s").start();
        let told = |pid| first.story(pid) == ["TERM"];
        assert!(eventually(SOON, || (told(deaf.pid) && told(quick.pid)).then_some(())).is_some());
        let asked = Instant::now();
        first.signal(Signal::TERM);
        let service = (*first).clone();
        assert_eq!(first.wait(), 0);
        assert!(asked.elapsed() < Duration::from_secs(11), "{:?}", asked.elapsed());
        assert!(!quick.is_alive() && deaf.is_alive(), "it waits for those that end, and kills no other");
        assert_eq!(service.story(quick.pid), ["TERM", "exited"]);
        assert_eq!(service.story(deaf.pid), ["TERM", "interrupted"]);
        let second = service.set("term-timeout", "1s").start();
        assert!(deaf.wait_exit(SOON), "{}", second.log_text());
        second.expect_outcome(deaf.pid, "killed");
        assert_eq!(second.story(deaf.pid), ["TERM", "interrupted", "TERM", "KILL", "killed"]);
        second.stop();
    });
}

#[test]
fn a_helper_keeps_its_owner_over_a_crash() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (_launcher, agent) = launch(&processes, "claude");
        // The shell that put it into the background leads the session, and ends: nothing that a single scan can
        // read links it to its agent any more.
        let shell = processes.spec("bash").env("SPROUT_MANAGED_AGENT", "1").own_session().under(&agent);
        let helper = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").under(&shell);
        let service = Service::new(&processes.directory().join("home")).start();
        end(&shell);
        assert!(helper.wait_until(|helper| helper.ppid() == 1));
        let said =
            format!("(pid {}): spare, the agent that it was last seen below, pid {}", helper.pid, agent.pid);
        service.expect_log(&said, |line| line.text.contains(&said));
        let two_graces = Duration::from_secs(2);
        assert!(!helper.wait_exit(two_graces), "its agent lives\n{}", service.log_text());
        let service = service.crash().start();
        assert!(!helper.wait_exit(two_graces), "its agent still lives\n{}", service.log_text());
        let ended = Instant::now();
        end(&agent);
        service.expect_verdict(helper.pid, "wait");
        assert!(helper.wait_exit(SOON), "{}", service.log_text());
        assert!(ended.elapsed() > Duration::from_millis(950), "its grace begins when its agent ends");
        service.stop();
    });
}

#[test]
fn a_watched_parents_end_proves_an_orphan_that_a_scan_cannot_prove() {
    // As in a container whose first process is a shell: it may have started any child of its own.
    in_namespace(&PidNamespace::new().init("sh", &["sh", "-c", "goose acp & wait"]), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("sprout-app").child();
        let agent = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").own_session().under(&launcher);
        let mains = processes
            .spec("goose")
            .env("SPROUT_MANAGED_AGENT", "1")
            .own_session()
            .by(&processes.init())
            .child();
        let service = Service::new(&processes.directory().join("home")).start();
        end(&launcher);
        assert!(agent.wait_until(|agent| agent.ppid() == 1));
        let other = processes.directory().join("other");
        let scan = Service::new(&other).reaper(&["scan", "--dry-run", "--format", "json"]).run();
        assert_eq!(scan.verdict(agent.pid), ("unknown".to_owned(), "orphan".to_owned()));
        service.expect_verdict(agent.pid, "wait");
        let service = service.crash().start();
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        service.expect_outcome(agent.pid, "exited");
        assert!(mains.is_alive(), "the end of its parent was not seen");
        service.stop();
    });
}
