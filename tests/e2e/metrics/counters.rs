//! What is counted, and that hostile names do not appear in metrics.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::service_process::{GEESE, Start, address, get};

const QUICK: &str = "grace = \"100ms\"\ninterval = \"100ms\"\nterm-timeout = \"300ms\"\n";

#[test]
fn orphans_are_counted_from_the_first_tick_to_the_end() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), QUICK).run();
        let metrics = service.metrics();
        for zero in [
            "reaper_orphans_noticed_total",
            "reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}",
            "reaper_terminated_total{outcome=\"killed\",profile=\"buzz\"}",
            "reaper_spared_total{gate=\"unprotected\"}",
            "reaper_reclaimed_bytes_total",
            "reaper_processes{verdict=\"wait\"}",
            "reaper_targets_ending",
            "reaper_paused",
            "reaper_blind",
        ] {
            assert_eq!(metrics.value(zero), Some(0.0), "{zero}");
        }
        assert_eq!(metrics.value("reaper_ready"), Some(1.0));
        let marked = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
        let _wrapper = marked("npm").orphan_of_dead_leader();
        let polite = marked("goose").orphan_of_dead_leader();
        let stubborn = marked("claude").behave("ignore-term").orphan_of_dead_leader();
        let kept = marked("codex").env("REAPER_KEEP", "1").orphan_of_dead_leader();
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}", 1.0);
        service.wait_for("reaper_terminated_total{outcome=\"killed\",profile=\"sprout\"}", 1.0);
        assert!(!polite.is_alive() && !stubborn.is_alive() && kept.is_alive());
        let metrics = service.metrics();
        assert_eq!(metrics.value("reaper_orphans_noticed_total"), Some(2.0));
        assert_eq!(metrics.value("reaper_spared_total{gate=\"unprotected\"}"), Some(1.0));
        assert_eq!(metrics.value("reaper_processes{verdict=\"spare\"}"), Some(1.0));
        let spared = metrics.0.iter().find(|family| family.name == "reaper_spared").unwrap();
        let total: f64 = spared.samples.iter().map(|sample| sample.value).sum();
        assert_eq!((spared.samples.len(), total), (3, 1.0), "a wrapper of nothing is no agent: {spared:?}");
        assert_eq!(metrics.value("reaper_processes{verdict=\"reap\"}"), Some(0.0));
        assert!(metrics.value("reaper_reclaimed_bytes_total").unwrap() > 8192.0);
        let sweeps = metrics.value("reaper_sweep_duration_seconds_count").unwrap();
        assert!(sweeps >= 2.0 && metrics.value("reaper_sweep_duration_seconds_sum").unwrap() > 0.0);
        let status = service.status();
        assert_eq!(
            status["totals"]["reclaimed_bytes"].as_f64(),
            metrics.value("reaper_reclaimed_bytes_total")
        );
        let (since, last) = (
            metrics.value("reaper_start_time_seconds").unwrap(),
            metrics.value("reaper_last_successful_sweep_timestamp_seconds").unwrap(),
        );
        assert!(since > 1.7e9 && last > since, "{since} {last}");
        let limit = metrics.value("reaper_memory_limit_bytes{of=\"machine\"}").unwrap();
        let available = metrics.value("reaper_memory_available_bytes{of=\"machine\"}").unwrap();
        assert!(limit > 1e8 && available > 0.0 && available <= limit, "{limit} {available}");
    });
}

#[test]
fn grace_pause_and_a_refused_config_are_shown() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), "interval = \"100ms\"\ngrace = \"1h\"\n").run();
        let _goose = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        service.wait_for("reaper_processes{verdict=\"wait\"}", 1.0);
        service.ask(&["pause"]).expect_code(0);
        assert_eq!(service.metrics().value("reaper_paused"), Some(1.0));
        service.ask(&["resume"]).expect_code(0);
        assert_eq!(service.metrics().value("reaper_paused"), Some(0.0));
        service.reload("grace = 1\n").expect_code(4);
        assert_eq!(service.metrics().value("reaper_config_last_reload_successful"), Some(0.0));
        let mine = "[[profile]]\nname = \"mine\"\nmarkers = [\"MINE\"]\nprograms = [\"abc\"]\n";
        service.reload(&format!("grace = \"1h\"\n{mine}")).expect_code(0);
        let metrics = service.metrics();
        assert_eq!(metrics.value("reaper_config_last_reload_successful"), Some(1.0));
        let begun = metrics.value("reaper_terminated_total{outcome=\"exited\",profile=\"mine\"}");
        assert_eq!(begun, Some(0.0), "a new profile begins at zero");
    });
}

#[test]
fn what_cannot_be_judged_is_counted() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), QUICK).run();
        let wiped = processes
            .spec("goose")
            .env("SPROUT_MANAGED_AGENT", "1")
            .behave("wipe-environ")
            .orphan_of_dead_leader();
        service.wait_for("reaper_unknown_total{gate=\"marker\"}", 1.0);
        service.wait_for("reaper_processes{verdict=\"unknown\"}", 1.0);
        assert!(wiped.is_alive());
    });
}

#[test]
fn r01_zombies_that_are_not_collected_are_counted() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(processes.init().uid().unwrap());
        let service = Start::new(processes.directory(), "interval = \"100ms\"\n").run();
        assert_eq!(service.metrics().value("reaper_init_zombies"), Some(0.0));
        let children = [processes.spec("one").under(&manager), processes.spec("two").under(&manager)];
        manager.signal(19).unwrap();
        assert!(manager.wait_until(|it| it.state() == 'T'));
        children.iter().for_each(reaper_testkit::ProcessRef::kill);
        service.wait_for("reaper_init_zombies", 2.0);
        manager.signal(18).unwrap();
        service.wait_for("reaper_init_zombies", 0.0);
    });
}

#[test]
fn r07_r08_a_hostile_name_reaches_no_metric() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let service =
            Start::new(processes.directory(), &format!("{QUICK}{GEESE}[metrics]\nlisten = \"{address}\"\n"))
                .run();
        let name = "goose-\"} 1\n# EOF\nevil{x=\"";
        let hostile = processes.spec(name).env("GOOSE_RUN", "secret").orphan_of_dead_leader();
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"geese\"}", 1.0);
        assert!(!hostile.is_alive());
        let (code, text) = get(address, "/metrics");
        assert_eq!(code, "200");
        assert!(!text.contains("evil") && !text.contains("secret") && !text.contains("goose"), "{text}");
        super::format_reader::Families::openmetrics(&text).unwrap();
        let status = service.status().to_string();
        assert!(!status.contains("secret"), "{status}");
    });
}

#[test]
fn a_process_that_is_being_ended_is_counted() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let config = "grace = \"0s\"\ninterval = \"100ms\"\nterm-timeout = \"1h\"\n";
        let service = Start::new(processes.directory(), config).run();
        let slow = processes
            .spec("goose")
            .env("SPROUT_MANAGED_AGENT", "1")
            .behave("ignore-term")
            .orphan_of_dead_leader();
        service.wait_for("reaper_targets_ending", 1.0);
        slow.kill();
        service.wait_for("reaper_targets_ending", 0.0);
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}", 1.0);
    });
}
