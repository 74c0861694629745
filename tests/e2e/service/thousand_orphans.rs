//! Thousands of orphans at once.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, measured, test_name};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::service_process::Service;
use crate::common::one_heavy_test;

const ORPHANS: usize = 2_000;
/// The slowest answer on the socket. A build for tests is ten times slower than the real one, and the machine may have
/// other work.
const SLOWEST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 28 } else { 2 });

#[test]
fn r12_thousands_are_ended_in_several_sweeps_and_the_socket_answers_meanwhile() {
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd().timeout(Duration::from_secs(240)), test_name!(), || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let processes = ProcessSet::new();
        let launcher = processes.spec("sprout-app").own_session().child();
        let agent = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let agents: Vec<ProcessRef> = (0..ORPHANS).map(|_| agent.under(&launcher)).collect();
        let wanted = agent.child();
        let service = Service::new(&processes.directory().join("home")).set("grace", "2s").start();
        launcher.kill();
        let began = Instant::now();
        let (mut slowest, mut answers) = (Duration::ZERO, 0);
        while agents.iter().any(ProcessRef::is_alive) {
            let asked = Instant::now();
            assert_eq!(service.status()["ready"], true);
            slowest = slowest.max(asked.elapsed());
            answers += 1;
            assert!(began.elapsed() < Duration::from_secs(200), "{:#}", service.status());
            std::thread::sleep(Duration::from_millis(20));
        }
        measured(&format!(
            "{ORPHANS} orphans ended in {:.1} s, grace included; {answers} times asked meanwhile, the slowest answer {} ms",
            began.elapsed().as_secs_f64(),
            slowest.as_millis()
        ));
        service.expect_status("all are accounted for", |status| {
            status["totals"]["exited"] == ORPHANS && status["verdicts"]["reap"] == 0 && status["ending"] == 0
        });
        assert!(slowest <= SLOWEST, "{slowest:?}");
        let mut sweeps: HashMap<String, usize> = HashMap::new();
        let mut told = HashSet::new();
        for record in service.history().iter().filter(|record| record["signal"] == "TERM") {
            *sweeps.entry(record["sweep"].as_str().unwrap().to_owned()).or_default() += 1;
            assert!(told.insert(record["pid"].as_i64().unwrap()), "twice: {record}");
        }
        assert_eq!(told.len(), ORPHANS);
        assert!(sweeps.values().all(|targets| *targets <= 256), "{sweeps:?}");
        assert!(wanted.is_alive(), "its parent lives");
        service.stop();
    });
}
