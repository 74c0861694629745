//! The file for node_exporter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::format_reader::Families;
use super::service_process::{Service, Start, poll};

fn config(path: &Path) -> String {
    format!("grace = \"0s\"\ninterval = \"100ms\"\n[metrics]\ntextfile = \"{}\"\n", path.display())
}

fn read(path: &Path) -> Option<Families> {
    let text = fs::read_to_string(path).ok()?;
    Some(Families::classic(&text).unwrap_or_else(|e| panic!("{e}\n{text}")))
}

fn value(path: &Path, sample: &str) -> Option<f64> {
    read(path)?.value(sample)
}

#[test]
fn the_file_follows_the_service_and_is_removed_with_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let path = processes.directory().join("reaper.prom");
        let service = Start::new(processes.directory(), &config(&path)).private().run();
        assert!(poll(|| path.exists()));
        // node_exporter is another user, whatever our umask.
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let exited = "reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}";
        assert_eq!(value(&path, exited), Some(0.0));
        for _ in 0..20 {
            processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
            // Whatever is there at any moment is whole: `read` panics at a torn file.
            assert!(read(&path).is_some());
        }
        assert!(
            poll(|| value(&path, exited) == Some(20.0)),
            "{}\n{}",
            fs::read_to_string(&path).unwrap(),
            service.log()
        );
        let last = "reaper_last_successful_sweep_timestamp_seconds";
        let before = value(&path, last).unwrap();
        assert!(
            poll(|| value(&path, last).unwrap() > before),
            "it is written again although nothing happens"
        );
        let names: Vec<_> =
            fs::read_dir(processes.directory()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(
            names.iter().filter(|name| name.to_string_lossy().ends_with(".prom")).count() == 1,
            "{names:?}"
        );
        service.stop();
        assert!(!path.exists(), "its numbers would mislead");
    });
}

fn troubles(service: &Service, about: &str) -> usize {
    let status = service.status();
    let all = status["errors"].as_array().unwrap();
    all.iter().filter(|trouble| trouble["what"].as_str().unwrap().contains(about)).count()
}

#[test]
fn a_missing_directory_is_reported_once_and_may_appear_later() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let path = processes.directory().join("later/reaper.prom");
        let service = Start::new(processes.directory(), &config(&path)).run();
        let sweeps = || service.metrics().value("reaper_sweep_duration_seconds_count").unwrap();
        let error = || service.status()["metrics"]["textfile_error"].clone();
        assert!(poll(|| error().is_string()));
        // Several attempts later it is still one trouble: one a second, at most.
        let before = sweeps();
        assert!(poll(|| sweeps() > before + 25.0));
        assert_eq!(troubles(&service, "later/reaper.prom"), 1);
        assert_eq!(service.log().matches("cannot write the metrics").count(), 1, "{}", service.log());
        let shown = service.ask(&["status"]).expect_code(0).stdout;
        assert!(shown.contains("metrics    cannot write the metrics to"), "{shown}");
        service.ask(&["status", "--check", "ready"]).expect_code(0);
        fs::create_dir(path.parent().unwrap()).unwrap();
        assert!(poll(|| error().is_null()) && path.exists());
    });
}

#[test]
fn a_reload_moves_or_disables_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (one, two) = (processes.directory().join("one.prom"), processes.directory().join("two.prom"));
        let service = Start::new(processes.directory(), &config(&one)).run();
        assert!(poll(|| one.exists()));
        service.reload(&config(&two)).expect_code(0);
        assert!(poll(|| two.exists()) && !one.exists());
        service.reload("").expect_code(0);
        assert!(poll(|| !two.exists()));
        assert!(service.status()["metrics"]["textfile"].is_null());
    });
}

#[test]
fn a_dry_run_writes_no_file() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let path = processes.directory().join("reaper.prom");
        let address = super::service_process::address();
        let home = processes.directory().join("home");
        let text = format!("{}listen = \"{address}\"\n", config(&path));
        let real = Start::new(processes.directory(), &text).run();
        assert!(poll(|| path.exists()));
        real.stop();
        assert!(!path.exists());
        let args = ["--config", &home.join("config.toml").display().to_string(), "-v", "run", "--dry-run"];
        let mut dry = crate::common::Reaper::new(&home, args).command();
        let log = home.join("dry.log");
        let mut dry = dry.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let goose = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let text = || fs::read_to_string(&log).unwrap();
        assert!(poll(|| text().contains("(pid")), "{}", text());
        assert!(std::net::TcpStream::connect(address).is_err() && !path.exists() && goose.is_alive());
        reaper_testkit::ProcessRef::open(dry.id().cast_signed()).unwrap().signal(15).unwrap();
        assert!(dry.wait().unwrap().success());
    });
}
