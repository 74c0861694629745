//! Published interfaces: the names and types of metrics, the answers over HTTP, the JSON of the status. Set
//! UPDATE_EXPECTED to write the first two anew, then read the difference; names are only ever added.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};
use serde::{Deserialize, Serialize};

use super::service_process::{Start, address, exchange};

fn expect(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/metrics/expected").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} differs; now it is\n{found}", path.display());
}

#[test]
fn metric_names_types_and_labels_are_as_published() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let service = Start::new(processes.directory(), "").run();
        let mut lines = Vec::new();
        for family in service.metrics().0 {
            let unit = if family.unit.is_empty() { String::new() } else { format!(" in {}", family.unit) };
            lines.push(format!("{} {}{unit}", family.name, family.kind));
            let label = |(name, value): &(String, String)| match name.as_str() {
                // These depend on the config, the version and the machine.
                "profile" | "version" | "of" => format!("{name}=…"),
                _ => format!("{name}={value}"),
            };
            let shown = |s: &super::format_reader::Sample| {
                format!("  {} {}", s.name, s.labels.iter().map(label).collect::<Vec<_>>().join(" "))
            };
            let samples: Vec<String> =
                family.samples.iter().map(|s| shown(s).trim_end().to_owned()).collect();
            let is_ordered = family.kind == "histogram";
            let sorted: BTreeSet<&String> = samples.iter().collect();
            let samples: Vec<&String> =
                if is_ordered { samples.iter().collect() } else { sorted.into_iter().collect() };
            lines.extend(samples.into_iter().cloned());
        }
        expect("names.txt", &(lines.join("\n") + "\n"));
    });
}

#[test]
fn http_answers_are_as_published() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let _service =
            Start::new(processes.directory(), &format!("[metrics]\nlisten = \"{address}\"\n")).run();
        let mut all = String::new();
        for request in [
            "GET /metrics HTTP/1.1\nHost: x",
            "HEAD /metrics HTTP/1.1\nHost: x",
            "GET /metrics?x=y HTTP/1.0",
            "GET /metrics HTTP/1.1\nHost: x\nAccept: text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "GET /metrics HTTP/1.1\nHost: x\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "GET /metrics HTTP/1.1\nHost: x\nAccept: */*",
            "GET /livez HTTP/1.1\nHost: x",
            "HEAD /livez HTTP/1.1\nHost: x",
            "GET /readyz HTTP/1.1\nHost: x\nConnection: keep-alive",
            "POST /metrics HTTP/1.1\nHost: x\nContent-Length: 0",
            "DELETE /readyz HTTP/1.1\nHost: x",
            "GET / HTTP/1.1\nHost: x",
            "GET /metrics/ HTTP/1.1\nHost: x",
            "POST /status HTTP/1.1\nHost: x\nContent-Length: 0",
            "GET /%2e%2e/metrics HTTP/1.1\nHost: x",
            "OPTIONS * HTTP/1.1\nHost: x",
            "hello",
        ] {
            let answer = exchange(address, format!("{}\r\n\r\n", request.replace('\n', "\r\n")).as_bytes());
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let lines = head
                .lines()
                .filter(|line| !line.starts_with("date: ") && !line.starts_with("content-length: "));
            let mut head: Vec<&str> = lines.collect();
            head[1..].sort_unstable();
            let body = match body.lines().last() {
                Some(last) if body.lines().count() > 1 => format!("… {last}"),
                _ => body.trim_end().to_owned(),
            };
            let body = if body.contains("} ") { "… the last sample".to_owned() } else { body };
            all += &format!("> {}\n{}\n\n{body}\n\n", request.replace('\n', "\n> "), head.join("\n"));
        }
        expect("http.txt", &all);
    });
}

/// The document, declared a second time as a reader would: an unknown or missing field fails.
mod document {
    use super::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Status {
        pub schema: String,
        pub version: String,
        pub pid: i32,
        pub scope: String,
        pub started_at: String,
        pub uptime_s: f64,
        pub ready: bool,
        pub paused: Option<Paused>,
        pub config: Config,
        pub visibility: Sight,
        pub sweeps: Sweeps,
        pub verdicts: Verdicts,
        pub waiting: Vec<Waiting>,
        pub judgements: Vec<Judgement>,
        pub judgements_omitted: u64,
        pub ending: u64,
        pub totals: Totals,
        pub degraded: Vec<Degradation>,
        pub errors: Vec<Trouble>,
        pub metrics: Metrics,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Paused {
        pub until: Option<String>,
        pub left_s: Option<f64>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Config {
        pub files: Vec<String>,
        pub loaded_at: String,
        pub error: Option<String>,
        pub warnings: Vec<String>,
        pub profiles: Vec<String>,
        pub interval_s: f64,
        pub grace_s: f64,
        pub term_timeout_s: f64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Sight {
        pub method: String,
        pub examined: u64,
        pub unreadable: u64,
        pub blind: bool,
        pub problem: Option<String>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Sweeps {
        pub count: u64,
        pub failed: u64,
        pub last_at: Option<String>,
        pub last_success_at: Option<String>,
        pub last_took_us: u64,
        pub next_in_s: f64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Verdicts {
        pub reap: u64,
        pub wait: u64,
        pub spare: u64,
        pub unknown: u64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Waiting {
        pub pid: i32,
        pub program: String,
        pub profile: Option<String>,
        pub orphaned_s: f64,
        pub eligible_in_s: f64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Judgement {
        pub pid: i32,
        pub ppid: i32,
        pub uid: Option<u32>,
        pub program: String,
        pub exe: Option<String>,
        pub started_at: String,
        pub age_s: f64,
        pub profile: Option<String>,
        pub marker: Option<String>,
        pub verdict: String,
        pub decided_by: String,
        pub reason: String,
        pub orphaned_s: f64,
        pub eligible_in_s: Option<f64>,
        pub rss_bytes: u64,
        pub targets: Vec<i32>,
        pub findings: Vec<Finding>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Finding {
        pub gate: String,
        pub answer: String,
        pub evidence: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Totals {
        pub noticed: u64,
        pub exited: u64,
        pub killed: u64,
        pub gone: u64,
        pub spared: u64,
        pub denied: u64,
        pub survived: u64,
        pub interrupted: u64,
        pub reclaimed_bytes: u64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Degradation {
        pub check: String,
        pub level: String,
        pub what: String,
        pub hint: Option<String>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Trouble {
        pub at: String,
        pub what: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Metrics {
        pub listen: Option<String>,
        pub listen_error: Option<String>,
        pub textfile: Option<String>,
        pub textfile_error: Option<String>,
    }
}

#[test]
fn the_status_document_is_as_published() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // Something in every list: one in grace, a warning, a trouble, a pause.
        let config = "grace = \"1h\"\nterm-timeout = \"1ms\"\n[metrics]\ntextfile = \"/not/there/x.prom\"\n";
        let service = Start::new(processes.directory(), config).run();
        let goose = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        service.ask(&["sweep"]).expect_code(0);
        service.ask(&["pause", "10m"]).expect_code(0);
        assert_eq!(service.reload("grace = 30\n").code, 4, "a broken config is refused");
        let value = service.status();
        let document: document::Status = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), value, "a field is missing");
        assert_eq!((document.schema.as_str(), document.scope.as_str()), ("reaper.status/1", "user"));
        assert_eq!((document.waiting.len(), document.waiting[0].pid), (1, goose.pid));
        assert_eq!((document.verdicts.wait, document.totals.noticed), (1, 1));
        let [judgement] = document.judgements.as_slice() else { panic!("{value:#}") };
        assert_eq!((judgement.pid, judgement.verdict.as_str()), (goose.pid, "wait"));
        assert_eq!(judgement.eligible_in_s, Some(document.waiting[0].eligible_in_s));
        assert_eq!((judgement.findings.len(), document.judgements_omitted), (8, 0));
        let left = document.paused.unwrap().left_s.unwrap();
        assert!((1.0..=600.0).contains(&left), "{left}");
        assert!(document.config.error.unwrap().contains("a duration needs a unit"));
        assert!(document.config.warnings[0].contains("`term-timeout` is 1ms"));
        assert!(document.errors.iter().any(|trouble| trouble.what.contains("/not/there/x.prom")));
        assert!(document.metrics.textfile_error.unwrap().contains("hint: its directory must exist"));
        assert_eq!(document.metrics.textfile.unwrap(), "/not/there/x.prom");
        assert!(document.ready && document.visibility.method == "children" && document.sweeps.count >= 2);
    });
}

/// Every metric is explained, and no other is mentioned.
#[test]
fn the_docs_name_every_metric_and_no_other() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (names, docs) = (read("tests/e2e/metrics/expected/names.txt"), read("docs/metrics.md"));
    let samples: BTreeSet<&str> =
        names.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let spoken_of: BTreeSet<&str> =
        docs.split(|c| !is_word(c)).filter(|word| word.starts_with("reaper_")).collect();
    let unknown: Vec<_> = spoken_of
        .iter()
        .filter(|word| !samples.contains(*word) && !names.contains(&format!("{word} histogram")))
        .collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    for sample in samples {
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end)).unwrap_or(sample);
        let row = docs.lines().any(|line| {
            line.strip_prefix(&format!("| `{family}")).is_some_and(|rest| rest.starts_with(['`', '{']))
        });
        assert!(row, "`{family}` has no row");
    }
}
