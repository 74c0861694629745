//! How much is logged, and in which format.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde_json::Value;

use super::service_process::{GEESE, Start, poll};

#[test]
fn the_config_sets_the_level_and_a_reload_changes_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), "log-level = \"error\"\n").run();
        service.ask(&["pause"]).expect_code(0);
        service.reload("log-level = \"info\"\n").expect_code(0);
        service.ask(&["resume"]).expect_code(0);
        assert!(poll(|| service.log().contains("resumed")), "{}", service.log());
        assert!(service.log().contains("the config was read again"));
        assert!(
            !service.log().contains("paused") && !service.log().contains("watching"),
            "{}",
            service.log()
        );
        service.reload("log-level = \"inof\"\n").expect_code(4);
        service.reload("log-level = \"off\"\n").expect_code(0);
        service.ask(&["resume"]).expect_code(0);
        let log = service.stop();
        assert_eq!(log.matches("resumed").count(), 1, "{log}");
        assert!(log.contains("unknown log level `inof`") && !log.contains("stopped"), "{log}");
    });
}

#[test]
fn rust_log_and_the_flag_win_over_the_config() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let quiet = "log-level = \"off\"\n";
        for (number, by_flag) in [false, true].into_iter().enumerate() {
            let processes = ProcessSet::new();
            let directory = processes.directory().join(number.to_string());
            std::fs::create_dir(&directory).unwrap();
            let start = Start::new(&directory, quiet);
            let start = if by_flag { start.arg("-v") } else { start.env("RUST_LOG", "reaper=info") };
            let service = start.run();
            service.reload(quiet).expect_code(0);
            service.ask(&["pause"]).expect_code(0);
            let log = service.stop();
            assert!(log.contains("watching") && log.contains("paused") && log.contains("stopped"), "{log}");
        }
    });
}

/// The fields of a datagram in the journal's native protocol: `NAME=value`, or `NAME`, a length and the value.
fn fields(mut datagram: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some(at) = datagram.iter().position(|&byte| byte == b'=' || byte == b'\n') {
        let (name, rest) = (&datagram[..at], &datagram[at + 1..]);
        let (value, length) = if datagram[at] == b'=' {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
            (&rest[..end], end)
        } else {
            let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            (&rest[8..8 + length], 8 + length)
        };
        fields.push(format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        datagram = &rest[length + 1..];
    }
    fields
}

#[test]
fn the_journal_gets_the_fields_and_standard_error_gets_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        std::fs::create_dir_all("/run/systemd/journal").unwrap();
        let journal = std::os::unix::net::UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        journal.set_read_timeout(Some(super::service_process::PATIENCE)).unwrap();
        let processes = ProcessSet::new();
        let config = "log-format = \"journal\"\ngrace = \"1ms\"\ninterval = \"100ms\"\n";
        let service = Start::new(processes.directory(), config).run();
        let goose = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let mut buffer = [0; 1 << 16];
        let ended = loop {
            let length = journal.recv(&mut buffer).unwrap();
            let fields = fields(&buffer[..length]);
            if fields.iter().any(|field| field.starts_with("MESSAGE_ID=")) {
                break fields;
            }
        };
        for field in [
            format!("MESSAGE_ID={}", reaper::service::publish::log::ENDED),
            format!("REAPER_PID={}", goose.pid),
            "REAPER_OUTCOME=exited".to_owned(),
            "SYSLOG_IDENTIFIER=reaper".to_owned(),
        ] {
            assert!(ended.contains(&field), "{field}: {ended:?}");
        }
        assert_eq!(service.stop(), "");
    });
}

#[test]
fn without_a_journal_standard_error_says_so() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), "log-format = \"journal\"\n").run();
        let log = service.stop();
        assert!(log.contains("the journal cannot be reached") && log.contains("stopped"), "{log}");
    });
}

#[test]
fn the_json_log_is_one_object_a_line_with_escaped_names() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let config = format!("log-format = \"json\"\ngrace = \"0s\"\ninterval = \"100ms\"\n{GEESE}");
        let service = Start::new(processes.directory(), &config).run();
        let name = "goose-\"}\n{\"message\":\"evil";
        let _hostile = processes.spec(name).env("GOOSE_RUN", "1").orphan_of_dead_leader();
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"geese\"}", 1.0);
        let log = service.stop();
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        let ended = lines.iter().find(|line| line["outcome"] == "exited").unwrap();
        assert_eq!((&ended["profile"], &ended["signal"]), (&"geese".into(), &"TERM".into()));
        assert!(lines.iter().all(|line| line["message"] != "evil"));
        let warned = |line: &Value| line["message"].as_str().is_some_and(|m| m.starts_with("`grace` is 0s"));
        assert!(lines.iter().any(warned), "the config's warnings are in the log, in its form");
    });
}
