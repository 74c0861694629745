//! How long the service takes: from a parent's exit to its detection, and from the end of the grace to SIGTERM.

use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, measured, test_name};
use rustix::process::Signal;

use super::log_reader::now_us;
use super::service_process::{SOON, Service, eventually};
use crate::common::one_heavy_test;

const SAMPLES: usize = 60;

/// A launcher in a session of its own, and an agent below it.
pub fn launch(processes: &ProcessSet, name: &str) -> (ProcessRef, ProcessRef) {
    let launcher = processes.spec("sprout-app").own_session().child();
    let agent = processes.spec(name).env("SPROUT_MANAGED_AGENT", "1").under(&launcher);
    (launcher, agent)
}

/// Ends a process; returns when its exit was seen, by another thread than the one that ends it.
pub fn end(process: &ProcessRef) -> i64 {
    let watched = process.clone();
    let seen = std::thread::spawn(move || {
        assert!(watched.wait_exit(SOON));
        now_us()
    });
    std::thread::sleep(Duration::from_millis(5));
    process.signal(Signal::KILL.as_raw()).unwrap();
    seen.join().unwrap()
}

#[test]
fn a_known_agent_is_noticed_within_a_millisecond_of_its_parents_end() {
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd().timeout(Duration::from_secs(120)), test_name!(), || {
        let processes = ProcessSet::new();
        let pairs: Vec<(ProcessRef, ProcessRef)> =
            (0..SAMPLES).map(|_| launch(&processes, "goose")).collect();
        // Only the exit of a parent wakes it.
        let service =
            Service::new(&processes.directory().join("home")).set("interval", "1h").set("grace", "1h");
        let service = service.start();
        let mut late_us: Vec<i64> = Vec::new();
        for (launcher, agent) in &pairs {
            let ended = end(launcher);
            late_us.push(service.expect_verdict(agent.pid, "wait").at_us - ended);
        }
        late_us.sort_unstable();
        let at = |share: usize| late_us[share * (late_us.len() - 1) / 100];
        measured(&format!(
            "noticed after the parent's end, {SAMPLES} samples: median {} µs, p90 {} µs, worst {} µs",
            at(50),
            at(90),
            at(100)
        ));
        // The goal is 1 ms; the rest is for a machine that does something else as well.
        assert!(at(50) <= 10_000, "{late_us:?}");
        service.stop();
    });
}

#[test]
fn sigterm_is_sent_when_the_grace_is_over_and_not_at_the_next_tick() {
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (launcher, agent) = launch(&processes, "goose");
        let bystander = processes.spec("goose").orphan_of_dead_leader();
        let grace = Duration::from_millis(1500);
        let service = Service::new(&processes.directory().join("home")).set("interval", "1h");
        let service = service.set("grace", "1500ms").start();
        end(&launcher);
        let orphaned = Instant::now();
        service.expect_verdict(agent.pid, "wait");
        assert!(agent.wait_exit(SOON), "{}", service.log_text());
        let took = orphaned.elapsed();
        let after = took.saturating_sub(grace);
        measured(&format!(
            "ended {} µs after the end of a grace of {} ms",
            after.as_micros(),
            grace.as_millis()
        ));
        // The clock starts when it is noticed, which is after `orphaned` was taken or a little before.
        assert!(took >= grace - Duration::from_millis(50), "{took:?}\n{}", service.log_text());
        assert!(took <= grace + Duration::from_secs(2), "{took:?}\n{}", service.log_text());
        service.expect_outcome(agent.pid, "exited");
        assert_eq!(service.story(agent.pid), ["TERM", "exited"]);
        assert!(bystander.is_alive(), "it has no marker");
        service.stop();
    });
}

/// Neither exists before the first tick, and only an exit wakes the service after the requested sweeps.
#[test]
fn new_agents_are_known_after_one_tick_and_what_becomes_one_after_the_next() {
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service =
            Service::new(&processes.directory().join("home")).set("interval", "1h").set("grace", "1h");
        let service = service.start();
        let (launcher, agent) = launch(&processes, "goose");
        let shell = processes.spec("sprout-app").own_session().child();
        let goose = agent.exe().unwrap();
        let late = processes.spec("sh").env("SPROUT_MANAGED_AGENT", "1");
        let late = late.behave(format!("exec-on-usr1={}", goose.display())).under(&shell);
        service.cli(&["sweep"]).expect_code(0);
        let ended = end(&launcher);
        let noticed_us = service.expect_verdict(agent.pid, "wait").at_us - ended;
        measured(&format!(
            "a new agent, known after one look: noticed {noticed_us} µs after its parent's end"
        ));
        late.signal(Signal::USR1.as_raw()).unwrap();
        assert!(eventually(SOON, || (late.comm() == "goose").then_some(())).is_some());
        service.cli(&["sweep"]).expect_code(0);
        end(&shell);
        service.expect_verdict(late.pid, "wait");
        assert_eq!(service.status()["sweeps"]["count"], 3, "the first, and those that were asked for");
        service.stop();
    });
}
