//! How many are ended at a time, and that no process is ended twice.

use std::time::Duration;

use reaper_testkit::{HangingMount, PidNamespace, ProcessSet, in_namespace, skip, test_name};

use super::service_process::{SOON, Service, eventually};

#[test]
fn agents_of_one_group_are_each_ended_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("sprout-app").own_session().child();
        let marked = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let deaf = marked("goose").behave("ignore-term").under(&launcher);
        let other = marked("claude").behave("ignore-term").under(&launcher);
        assert_eq!(deaf.pgid(), other.pgid());
        let service = Service::new(&processes.directory().join("home")).start();
        launcher.kill();
        assert!(deaf.wait_exit(SOON) && other.wait_exit(SOON), "{}", service.log_text());
        for agent in [&deaf, &other] {
            service.expect_outcome(agent.pid, "killed");
            assert_eq!(service.story(agent.pid), ["TERM", "KILL", "killed"]);
        }
        service.stop();
    });
}

#[test]
fn the_group_of_an_orphan_is_ended_although_its_members_were_known_before() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("sprout-app").own_session().child();
        let marked = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let agent = marked("goose").behave("ignore-term").under(&launcher);
        // Its own parent has gone already: only the group links it to the agent.
        let tool = marked("esbuild").by(&launcher).orphan();
        let stranger = processes.spec("esbuild").by(&launcher).orphan();
        assert_eq!((tool.ppid(), tool.pgid()), (1, agent.pgid()));
        let service = Service::new(&processes.directory().join("home")).set("term-timeout", "5s").start();
        launcher.kill();
        assert!(tool.wait_exit(SOON), "{}", service.log_text());
        assert!(agent.is_alive(), "together with the agent, not when that has ended\n{}", service.log_text());
        assert!(agent.wait_exit(SOON) && stranger.is_alive(), "{}", service.log_text());
        service.stop();
    });
}

#[test]
fn m16_a_target_that_survives_is_not_retried_at_every_tick() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let at = processes.directory().join("swamp");
        std::fs::create_dir(&at).unwrap();
        let swamp = match HangingMount::new(&at) {
            Ok(swamp) => swamp,
            Err(error) => return skip(test_name!(), &format!("no FUSE here: {error}")),
        };
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let stuck = marked.behave(format!("open={}", swamp.file.display())).orphan_of_dead_leader();
        let service = Service::new(&processes.directory().join("home"));
        let service = service.set("term-timeout", "300ms").set("kill-timeout", "300ms").start();
        service.expect_outcome(stuck.pid, "survived");
        let again = || (service.story(stuck.pid).len() > 3).then_some(());
        assert!(eventually(Duration::from_secs(4), again).is_none(), "{:?}", service.story(stuck.pid));
        assert_eq!(service.story(stuck.pid), ["TERM", "KILL", "survived"]);
        drop(swamp);
        assert!(stuck.wait_exit(SOON), "SIGKILL is still pending");
        service.stop();
    });
}
