//! A service that runs, one that does not answer, and what a service reports of its own sandbox.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};
use rustix::process::Signal;
use serde_json::Value;

use super::support::{doctor, exists, found, in_a_user_namespace, only_amiss, stand_in, steps};
use crate::common::{Ran, Reaper, home, until};

/// A service that ends with the test.
struct Service(Child, std::path::PathBuf);

impl Service {
    fn start(mut command: Command, home: &Path) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let service = Self(child, home.to_owned());
        until("the service answers", || service.ask().code == 0);
        service
    }

    fn ask(&self) -> Ran {
        Reaper::new(&self.1, ["status", "--format", "json"]).run()
    }

    fn status(&self) -> Value {
        self.ask().expect_code(0).json()
    }

    fn stop(self) -> String {
        let pid = i32::try_from(self.0.id()).unwrap();
        ProcessRef::open(pid).unwrap().signal(Signal::TERM.as_raw()).unwrap();
        String::from_utf8(self.0.wait_with_output().unwrap().stderr).unwrap()
    }
}

#[test]
fn a_running_service_is_named_and_spares_the_stand_in() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        // It would end any other orphan at once.
        let run = Reaper::new(&home, ["run"]).env("REAPER_GRACE", "0s").env("REAPER_INTERVAL", "100ms");
        let service = Service::start(run.command(), &home);
        let ran = doctor(&home).run().expect_code(0);
        only_amiss(&ran, &[]);
        found(&ran, "service", "ok", &format!("pid {}, ", service.status()["pid"]));
        assert_eq!(steps(&ran).last().unwrap(), "collected");
        let totals = service.status()["totals"].clone();
        assert_eq!((&totals["noticed"], &totals["exited"]), (&0.into(), &0.into()), "{totals}");
        let paused = Reaper::new(&home, ["pause"]).run().expect_code(0);
        drop(paused);
        found(&doctor(&home).run().expect_code(0), "service", "warn", "paused");
        let log = service.stop();
        assert!(!log.contains("degraded") && !log.contains("ERROR"), "{log}");
        found(&doctor(&home).run().expect_code(0), "service", "ok", "none runs");
    });
}

#[test]
fn a_service_that_does_not_answer_is_a_failure() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        found(&doctor(&home).run().expect_code(0), "service", "ok", "none runs");
        let _silent = UnixListener::bind("/run/reaper/control.sock").unwrap();
        let ran = doctor(&home).run().expect_code(4);
        only_amiss(&ran, &["service"]);
        found(&ran, "service", "fail", "does not answer");
        assert!(!exists(stand_in(&ran)), "the rest is tried all the same");
    });
}

#[test]
fn a_sandboxed_service_reports_it_in_log_status_and_doctor() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let (home, manager) = (home(&processes), processes.manager(1000));
        let run =
            |args: &[&str]| Reaper::new(&home, args).uid(1000).env("MANAGERPID", manager.pid.to_string());
        let Some(mut inside) = in_a_user_namespace(run(&["run"])) else {
            return skip(test_name!(), "unshare cannot make a user namespace for the current user");
        };
        let child = inside.stderr(Stdio::piped()).spawn().unwrap();
        let status = || run(&["status", "--format", "json"]).run();
        until("the service answers", || status().code == 0);
        let degraded = status().json()["degraded"].clone();
        let failed: Vec<&Value> =
            degraded.as_array().unwrap().iter().filter(|i| i["level"] == "fail").collect();
        assert_eq!(failed.len(), 1, "{degraded:#}");
        assert_eq!(failed[0]["check"], "sandbox");
        assert!(failed[0]["hint"].is_string());
        let text = run(&["status"]).run().expect_code(0).stdout;
        assert!(text.contains("degraded   sandbox: the environment of your service manager"), "{text}");
        assert!(text.contains("state      DEGRADED"), "{text}");
        assert_eq!(run(&["status", "--check", "live"]).run().code, 0);
        let ready = run(&["status", "--check", "ready"]).run().expect_code(4);
        assert!(ready.stderr.contains("not ready: degraded"), "{}", ready.stderr);
        let outside = run(&["doctor", "--format", "json"]).run().expect_code(4);
        found(&outside, "sandbox", "ok", "can be read");
        found(&outside, "service", "fail", "no marker of an agent can be seen");
        only_amiss(&outside, &["service"]);
        ProcessRef::open(i32::try_from(child.id()).unwrap()).unwrap().signal(Signal::TERM.as_raw()).unwrap();
        let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        assert!(log.contains("ERROR") && log.contains("sandbox: the environment of"), "{log}");
    });
}
