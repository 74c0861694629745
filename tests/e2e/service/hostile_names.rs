//! Names with escape sequences and newlines, in the log and in the status for the service manager.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::service_process::{SOON, Service, eventually};

const NAMES: [&[u8]; 4] = [
    b"goose-\x1b[2J\x1b]0;owned\x07",
    b"goose-\n2026-01-01T00:00:00.000000Z  INFO goose (pid 1): reap",
    b"goose-\xff\xfe\r\x08\x7f",
    "goose-\u{202e}\u{9b}31m\u{200b}".as_bytes(),
];

/// No byte that a terminal acts on, and nothing that is not UTF-8.
fn check(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (n, line) in text.lines().enumerate() {
        let bad = line.chars().find(|c| c.is_control() || matches!(*c, '\u{202e}' | '\u{200b}'));
        assert_eq!(bad, None, "{what}, line {n}: {line:?}");
    }
}

#[test]
fn r08_no_escape_sequence_in_a_name_reaches_log_status_or_history() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let notify = home.join("notify");
        let service = Service::new(&home).set("grace", "3s");
        drop(service.reaper(&["--version"]).run());
        service
            .config("[[profile]]\nname = \"geese\"\nmarkers = [\"GOOSE_RUN\"]\nprograms = [\"goose-*\"]\n");
        let manager = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
        manager.set_nonblocking(true).unwrap();
        let agents = NAMES.map(|name| {
            let spec = processes.spec(OsStr::from_bytes(name)).env("GOOSE_RUN", "1");
            spec.argv([OsStr::from_bytes(b"goose-\x1b[31m\n\xff")]).orphan_of_dead_leader()
        });
        let service = service.variable("NOTIFY_SOCKET", &notify).arg("--verbose").start();
        for agent in &agents {
            service.expect_verdict(agent.pid, "wait");
        }
        let status = service.cli(&["status"]).expect_code(0);
        assert!(status.stdout.contains("in grace   goose-"), "{}", status.stdout);
        check("status", status.stdout.as_bytes());
        let json = service.cli(&["status", "--format", "json"]).expect_code(0);
        assert_eq!(json.json()["waiting"].as_array().map(Vec::len), Some(NAMES.len()));
        check("status as JSON", json.stdout.as_bytes());
        for agent in &agents {
            assert!(agent.wait_exit(SOON), "{}", service.log_text());
            service.expect_outcome(agent.pid, "exited");
        }
        check("log", &service.raw_log());
        let forged = |line: &super::log_reader::Line| line.text.starts_with("goose (pid 1)");
        assert!(!service.log().iter().any(forged), "{}", service.log_text());
        check("history", &std::fs::read(service.state().join("history.jsonl")).unwrap());
        let mut told = Vec::new();
        let mut datagram = [0; 4096];
        while let Ok(length) = manager.recv(&mut datagram) {
            told.extend_from_slice(&datagram[..length]);
        }
        check("what the service manager was told", &told);
        service.stop();
    });
}

#[test]
fn the_service_manager_is_notified_of_readiness_and_status() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let notify = home.join("notify");
        let service = Service::new(&home);
        drop(service.reaper(&["--version"]).run());
        let manager = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
        manager.set_nonblocking(true).unwrap();
        let mut told = String::new();
        let mut hears = |words: &[&str]| {
            let heard = eventually(SOON, || {
                let mut datagram = [0; 4096];
                while let Ok(length) = manager.recv(&mut datagram) {
                    told.push_str(&String::from_utf8_lossy(&datagram[..length]));
                    told.push('\n');
                }
                words.iter().all(|word| told.contains(word)).then_some(())
            });
            assert!(heard.is_some(), "{words:?} in\n{told}");
            std::mem::take(&mut told)
        };
        let service = service.variable("NOTIFY_SOCKET", &notify).variable("WATCHDOG_USEC", "400000").start();
        hears(&["READY=1", "STATUS=0 ended so far", "WATCHDOG=1"]);
        let agent = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        hears(&["STATUS=1 orphan in grace", "WATCHDOG=1"]);
        assert!(agent.wait_exit(SOON));
        hears(&["STATUS=1 ended so far"]);
        service.signal(rustix::process::Signal::HUP);
        let reloaded = hears(&["RELOADING=1", "MONOTONIC_USEC=", "READY=1"]);
        assert!(reloaded.find("RELOADING=1") < reloaded.rfind("READY=1"), "{reloaded}");
        service.signal(rustix::process::Signal::TERM);
        hears(&["STOPPING=1"]);
        assert_eq!(service.wait(), 0);
    });
}
