//! How much is logged, and in which form.

use reaper_testkit::{Stage, Troupe, here, play};
use serde_json::Value;

use crate::service::{Start, poll};

#[test]
fn the_config_sets_the_level_and_a_reload_changes_it() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let service = Start::new(troupe.directory(), "log-level = \"error\"\n").run();
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
    play(&Stage::new().systemd(), here!(), || {
        let quiet = "log-level = \"off\"\n";
        for (number, by_flag) in [false, true].into_iter().enumerate() {
            let troupe = Troupe::new();
            let directory = troupe.directory().join(number.to_string());
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

#[test]
fn json_is_one_object_a_line_and_names_nothing_in_the_raw() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let config = "log-format = \"json\"\ngrace = \"0s\"\ninterval = \"100ms\"\n";
        let service = Start::new(troupe.directory(), config).run();
        let name = "goose-\"}\n{\"message\":\"evil";
        let _hostile = troupe.actor(name).env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}", 1.0);
        let log = service.stop();
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        let ended = lines.iter().find(|line| line["outcome"] == "exited").unwrap();
        assert_eq!((&ended["profile"], &ended["signal"]), (&"sprout".into(), &"TERM".into()));
        assert!(lines.iter().all(|line| line["message"] != "evil"));
        let warned = |line: &Value| line["message"].as_str().is_some_and(|m| m.starts_with("`grace` is 0s"));
        assert!(lines.iter().any(warned), "the config's warnings are in the log, in its form");
    });
}
