//! A launcher outside the PID namespace: its pid means nothing inside, and its death cannot be proven.

use std::process;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use super::real_programs::{Dead, says_the_truth_of_what_it_left};
use crate::common::{act, doubted, ended, lease, marked, of_no_namespace, only};

/// The variable that passes the launcher outside to the test inside.
const LAUNCHER: &str = "TEST_LAUNCHER";

/// This process as a launcher: outside the namespace it is the test itself, which waits for the end of the one inside.
fn this_process() -> String {
    of_no_namespace(&lease(&ProcessRef::open(process::id().cast_signed()).unwrap()))
}

#[test]
fn b25_a_living_launcher_outside_the_container_is_not_called_dead() {
    in_namespace(&PidNamespace::new().systemd().env(LAUNCHER, this_process()), test_name!(), || {
        let processes = ProcessSet::new();
        let outside = std::env::var(LAUNCHER).unwrap();
        assert_eq!(outside.split(':').count(), 3, "as launchers wrote it that know of no namespaces");
        let number = outside.split(':').next().unwrap();
        assert!(!std::path::Path::new("/proc").join(number).exists(), "no process has its number in here");
        let of_it = processes.spec("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", &outside);
        let of_it = of_it.orphan_of_dead_leader();
        let agent = marked(&processes, "goose").env("REAPER_OWNER", &outside).orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(4);
        let words = "its lease names no PID namespace, and this is a container";
        for one in [&of_it, &agent] {
            doubted(&ran, one, "unclaimed", words);
            only(&processes, one, "unclaimed");
        }
        assert_eq!(ran.json()["actions"].as_array().unwrap().len(), 0, "{}", ran.stdout);
        // One of a launcher in here is ended beside them: its lease says where it was.
        let left = Dead::new(&processes).spec(&processes, "anything").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(4);
        ended(&ran, &left);
        for one in [&of_it, &agent] {
            doubted(&ran, one, "unclaimed", words);
        }
        says_the_truth_of_what_it_left(&ran);
    });
}
