//! Thousands of short-lived processes a second: no orphan is missed among them, and none of them is taken for another.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, measured, test_name};

use super::service_process::{Running, SOON, Service, eventually};
use crate::common::one_heavy_test;

/// The goal, in exits a second; the rate that is reached is printed.
const RATE: u32 = 5_000;
const FORKERS: u32 = 3;
const TIME: Duration = Duration::from_secs(12);

/// The number that was given to the newest process here.
fn newest_pid() -> i64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    load.trim().rsplit(' ').next().unwrap().parse().unwrap()
}

fn looks(service: &Running) -> u64 {
    service.status()["sweeps"]["count"].as_u64().unwrap()
}

#[test]
fn under_process_churn_every_orphan_is_found_within_two_ticks_and_no_other_dies() {
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd().timeout(Duration::from_secs(180)), test_name!(), || {
        let processes = ProcessSet::new();
        let init = processes.init();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let app = processes.spec("sprout-app").own_session().by(&init).child();
        let mut bystanders: Vec<ProcessRef> = (0..10).map(|_| marked.under(&app)).collect();
        bystanders.extend((0..10).map(|_| processes.spec("goose").orphan_of_dead_leader()));
        let forkers: Vec<ProcessRef> = (0..FORKERS)
            .map(|_| processes.spec("forker").behave(format!("churn={}", RATE / FORKERS)).by(&init).child())
            .collect();
        let service = Service::new(&processes.directory().join("home")).set("grace", "3s").start();

        let (began, mut at, mut forks) = (Instant::now(), newest_pid(), 0);
        let limit: i64 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
        let mut orphans = Vec::new();
        while began.elapsed() < TIME {
            let new: Vec<ProcessRef> = (0..8).map(|_| marked.orphan_of_dead_leader()).collect();
            let before = looks(&service);
            // The first look after this one may have begun before the last orphan was there.
            let seen = eventually(SOON, || (looks(&service) >= before + 2).then_some(()));
            assert!(seen.is_some(), "it looks no more\n{}", service.log_text());
            let log = service.log_text();
            for orphan in &new {
                assert!(log.contains(&format!("(pid {}): ", orphan.pid)), "missed: {}\n{log}", orphan.pid);
            }
            orphans.extend(new);
            let now = newest_pid();
            forks += (now - at).rem_euclid(limit);
            at = now;
        }
        let rate = forks * 1000 / began.elapsed().as_millis().max(1) as i64;
        measured(&format!("a churn of {rate} processes a second, {} orphans in it", orphans.len()));
        for orphan in &orphans {
            assert!(orphan.wait_exit(SOON), "{}", service.log_text());
        }
        drop(forkers.iter().map(ProcessRef::kill).collect::<Vec<()>>());
        assert!(bystanders.iter().all(ProcessRef::is_alive), "{}", service.log_text());
        let ours: HashSet<i64> = orphans.iter().map(|orphan| orphan.pid.into()).collect();
        for record in service.history() {
            assert!(ours.contains(&record["pid"].as_i64().unwrap()), "{record}");
        }
        service.stop();
    });
}
