//! The control socket and clients that are hostile or wrong.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde_json::{Value, json};

use super::service_process::{Running, SOON, Service};
use crate::common::set_mode;

/// Sends bytes and reads to the end, ignoring errors.
fn say(service: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(service.socket()).expect("it listens");
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    // It may hang up in the middle.
    drop(stream.write_all(bytes));
    let mut reply = Vec::new();
    drop(stream.read_to_end(&mut reply));
    reply
}

fn error_in(reply: &[u8]) -> String {
    let reply: Value = serde_json::from_slice(reply)
        .unwrap_or_else(|error| panic!("{error}: `{}`", String::from_utf8_lossy(reply)));
    assert_eq!(reply["schema"], "reaper.control/1");
    reply["error"].as_str().expect("it was refused").to_owned()
}

#[test]
fn garbage_and_huge_requests_are_refused_with_a_message() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).start();
        let deep = [b"[".repeat(4000), b"\n".to_vec()].concat();
        let endless = b"x".repeat(1 << 20);
        let other = br#"{"schema":"reaper.control/9","command":"status"}"#;
        let requests: [&[u8]; 6] =
            [b"\n", b"\0\xff\x1b[2J\n", b"GET / HTTP/1.1\r\n\r\n", &deep, &endless, other];
        for request in requests {
            let mut line = request.to_vec();
            line.push(b'\n');
            let why = error_in(&say(&service, &line));
            assert!(!why.is_empty() && !why.contains(['\x1b', '\0', '\n']), "{why:?}");
        }
        assert_eq!(service.status()["schema"], "reaper.status/1");
        let refused = service.ask(&json!({"schema": "reaper.control/1", "command": "pause", "for_s": -1.0}));
        assert!(refused["error"].as_str().is_some_and(|why| why.contains("for_s")), "{refused}");
        assert!(service.status()["paused"].is_null());
        service.stop();
    });
}

#[test]
fn slow_clients_delay_others_by_a_bounded_time() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).start();
        let mut idle = Vec::new();
        for n in 0..20 {
            let mut stream = UnixStream::connect(service.socket()).unwrap();
            if n % 2 == 0 {
                stream.write_all(b"{\"schema\":").unwrap();
            }
            idle.push(stream);
        }
        let asked = Instant::now();
        assert_eq!(service.status()["schema"], "reaper.status/1");
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        drop(idle);
        service.stop();
    });
}

#[test]
fn a_hundred_clients_at_once_are_all_answered() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).start();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..100).map(|_| scope.spawn(|| service.status())).collect();
            for client in clients {
                assert_eq!(client.join().unwrap()["pid"], service.alive.pid);
            }
        });
        service.stop();
    });
}

#[test]
fn another_user_is_refused_even_when_the_socket_is_open_to_all() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = processes.directory().join("home");
        let service = Service::new(&home).uid(1000).start();
        let mode = std::fs::metadata(service.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let as_user = |uid| service.reaper(&["pause"]).env("HOME", "/nowhere").uid_only(uid);
        assert!(as_user(1001).run().expect_code(4).stderr.contains("Permission denied"));
        let (stranger, root) = (as_user(1001), as_user(0));
        for path in [home.clone(), home.join("xdg"), home.join("xdg/reaper"), service.socket()] {
            set_mode(&path, 0o777);
        }
        let refused = stranger.run().expect_code(4);
        assert!(refused.stderr.contains("uid 1001 may not control"), "{}", refused.stderr);
        assert!(service.status()["paused"].is_null());
        root.run().expect_code(0);
        assert!(service.status()["paused"].is_object(), "root may");
        service.stop();
    });
}

#[test]
fn the_socket_of_a_dead_service_is_replaced_and_any_other_file_is_not() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).start().crash();
        assert!(service.socket().exists());
        let again = service.start();
        assert_eq!(again.status()["pid"], again.alive.pid);
        let service = again.crash();
        std::fs::remove_file(service.socket()).unwrap();
        std::fs::write(service.socket(), "precious").unwrap();
        let refused = service.reaper(&["run"]).run().expect_code(4);
        assert!(
            refused.stderr.contains("control.sock") && refused.stderr.contains("hint:"),
            "{}",
            refused.stderr
        );
        assert_eq!(std::fs::read_to_string(service.socket()).unwrap(), "precious");
    });
}

/// What a scan says of a process, without what changes from one moment to the next.
fn judged(document: &Value) -> Vec<Value> {
    let mut judgements = document["judgements"].as_array().expect("it lists judgements").clone();
    for judgement in &mut judgements {
        let judgement = judgement.as_object_mut().unwrap();
        for field in ["started_at", "age_s", "orphaned_s", "eligible_in_s", "rss_bytes", "targets", "reason"]
        {
            assert!(judgement.remove(field).is_some(), "{field}");
        }
        for finding in
            judgement["findings"].as_array_mut().unwrap().iter_mut().filter(|f| f["gate"] == "grace")
        {
            finding["evidence"].take();
        }
    }
    judgements
}

#[test]
fn the_status_lists_every_judgement_as_a_scan_does() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let orphan = agent("goose").args(["acp"]).orphan_of_dead_leader();
        let _child = agent("my-tool").under(&orphan);
        let daemon = agent("claude").args(["daemon"]).orphan_in_session();
        let service = Service::new(&processes.directory().join("home")).set("grace", "1h").start();
        let first = service.expect_status("both are judged", |status| {
            status["verdicts"]["wait"] == 1 && status["verdicts"]["spare"] == 1
        });
        let scan = service.cli(&["scan", "--dry-run", "--format", "json"]).expect_code(0).json();
        assert_eq!(judged(&first), judged(&scan), "{first:#}");
        let printed = service.cli(&["status", "--format", "json"]).expect_code(0).json();
        assert_eq!(judged(&printed), judged(&scan));
        let of = |status: &Value, pid: i32| {
            let judgements = status["judgements"].as_array().unwrap();
            judgements.iter().find(|judgement| judgement["pid"] == pid).expect("it is listed").clone()
        };
        assert_eq!(
            (&first["judgements_omitted"], &of(&first, daemon.pid)["eligible_in_s"]),
            (&json!(0), &Value::Null)
        );
        std::thread::sleep(Duration::from_millis(1200));
        let second = service.status();
        let (before, after) = (of(&first, orphan.pid), of(&second, orphan.pid));
        let seconds = |judgement: &Value, field: &str| judgement[field].as_f64().unwrap();
        for (field, sign) in [("orphaned_s", 1.0), ("age_s", 1.0), ("eligible_in_s", -1.0)] {
            let passed = sign * (seconds(&after, field) - seconds(&before, field));
            assert!((1.0..30.0).contains(&passed), "{field}: {passed} s\n{before:#}\n{after:#}");
        }
        let sum = seconds(&after, "orphaned_s") + seconds(&after, "eligible_in_s");
        assert!((3599.9..=3600.1).contains(&sum), "{after:#}");
        assert_eq!(after["started_at"], before["started_at"]);
        service.stop();
    });
}

#[test]
fn what_is_being_ended_is_listed_below_its_orphan() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let orphan = agent("goose").behave("ignore-term").orphan_of_dead_leader();
        let child = agent("my-tool").behave("ignore-term").under(&orphan);
        let service = Service::new(&processes.directory().join("home")).set("term-timeout", "1h").start();
        let targets = |status: &Value| {
            let judgements = status["judgements"].as_array().unwrap();
            let of = judgements.iter().find(|judgement| judgement["pid"] == orphan.pid);
            of.map(|judgement| judgement["targets"].clone())
        };
        let wanted = json!([child.pid, orphan.pid]);
        service.expect_status("it is being ended", |status| targets(status) == Some(wanted.clone()));
        child.kill();
        orphan.kill();
        service.expect_status("it is gone", |status| targets(status).is_none());
        service.stop();
    });
}

/// The JSON with every number, time and text of the moment replaced, one field a line.
fn shape(value: &Value, name: &str, out: &mut String) {
    use std::fmt::Write as _;
    let kept = ["schema", "error", "scope", "method", "ready", "blind", "command"];
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                shape(value, &format!("{name}.{field}"), out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                shape(item, &format!("{name}[]"), out);
            }
        }
        _ => {
            let last = name.rsplit('.').next().unwrap_or_default();
            let shown = match value {
                Value::Number(_) => "number".to_owned(),
                Value::String(_) if !kept.contains(&last) => "text".to_owned(),
                other => other.to_string(),
            };
            writeln!(out, "  {name} {shown}").unwrap();
        }
    }
}

/// A published interface; UPDATE_EXPECTED=1 regenerates it. Fields are only ever added.
#[test]
fn the_protocol_is_as_published() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Service::new(&processes.directory().join("home")).set("grace", "1h").start();
        let _orphan = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let mut all = String::new();
        for request in [
            r#"{"schema":"reaper.control/1","command":"sweep"}"#,
            r#"{"schema":"reaper.control/1","command":"status"}"#,
            r#"{"schema":"reaper.control/1","command":"pause","for_s":60}"#,
            r#"{"schema":"reaper.control/1","command":"pause"}"#,
            r#"{"schema":"reaper.control/1","command":"resume"}"#,
            r#"{"schema":"reaper.control/1","command":"reload"}"#,
            r#"{"schema":"reaper.control/1","command":"metrics"}"#,
            r#"{"schema":"reaper.control/1","command":"pause","for_s":-1}"#,
            r#"{"schema":"reaper.control/1","command":"kill"}"#,
            r#"{"schema":"reaper.control/1","command":"status","more":1}"#,
            r#"{"schema":"reaper.control/2","command":"status"}"#,
            "status",
        ] {
            let reply = say(&service, format!("{request}\n").as_bytes());
            assert!(reply.ends_with(b"\n") && !reply.trim_ascii_end().contains(&b'\n'), "one line");
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            all += &format!("> {request}\n");
            // The whole document once; after that what the command changes.
            let mut told = String::new();
            shape(&reply, "reply", &mut told);
            let is_first = !all.contains("reply.status.version");
            let of_interest = |line: &&str| {
                is_first
                    || !line.contains("reply.status.")
                    || line.contains(".paused")
                    || line.contains(".status.schema")
            };
            told.lines().filter(of_interest).for_each(|line| all += &format!("{line}\n"));
        }
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/service/expected/control.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &all).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == all, "{} differs; now it is\n{all}", path.display());
        service.stop();
    });
}

/// Every field that the service sends is explained.
#[test]
fn the_docs_name_every_field_and_command() {
    let read = |name: &str| {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    };
    let (expected, docs) = (read("tests/e2e/service/expected/control.txt"), read("docs/control.md"));
    let (mut fields, mut commands) = (0, 0);
    for line in expected.lines() {
        let names = line.strip_prefix("  reply.").and_then(|line| line.split(' ').next());
        for name in names.into_iter().flat_map(|names| names.split('.')) {
            assert!(docs.contains(name.trim_end_matches("[]")), "{name} is not explained");
            fields += 1;
        }
        let request: Option<Value> = line.strip_prefix("> ").and_then(|line| serde_json::from_str(line).ok());
        if let Some(command) = request.as_ref().and_then(|r| r["command"].as_str()).filter(|c| *c != "kill") {
            assert!(docs.contains(&format!("| `{command}` |")), "{command} is not explained");
            commands += 1;
        }
    }
    assert!(fields > 50 && commands > 6, "{fields} fields, {commands} commands");
}
