//! B34: a target that respawns as its own child on SIGTERM.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::service_process::{SOON, Service, eventually};

#[test]
fn b34_a_target_that_respawns_is_ended_by_the_service() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service =
            Service::new(&processes.directory().join("home")).set("interval", "200ms").set("grace", "0s");
        let service = service.set("term-timeout", "1s").start();
        let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let first = agent("goose").behave("return-on-term").orphan_of_dead_leader();
        let plain = agent("claude").orphan_of_dead_leader();
        assert!(first.wait_exit(SOON) && plain.wait_exit(SOON), "{}", service.log_text());
        let successor =
            || service.history().into_iter().find(|r| r["role"] == "successor" && r["event"] == "outcome");
        let second = eventually(SOON, successor).unwrap_or_else(|| panic!("{}", service.accounts()));
        let pid = i32::try_from(second["pid"].as_i64().unwrap()).unwrap();
        assert_eq!(
            (service.story(pid), &second["outcome"]),
            (vec!["KILL".to_owned(), "killed".to_owned()], &"killed".into())
        );
        assert_eq!(service.story(first.pid), ["TERM", "exited"]);
        assert_eq!(service.story(plain.pid), ["TERM", "exited"]);
        // It did not respawn a second time.
        service.cli(&["sweep"]).expect_code(0);
        let status = service.status();
        assert_eq!(
            (&status["verdicts"]["reap"], &status["verdicts"]["wait"]),
            (&0.into(), &0.into()),
            "{status:#}"
        );
        assert_eq!(
            service.history().iter().filter(|r| r["event"] == "outcome").count(),
            3,
            "{}",
            service.accounts()
        );
        service.stop();
    });
}
