//! The metrics of the service in the OpenMetrics text format; `docs/metrics.md` describes each name.
//!
//! Labels hold our own words and names of profiles, never strings of other programs: the name of a process can neither
//! add a series nor forge a line.

pub mod classic;
pub mod memory;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use memory::{Memory, Room};

use crate::service::snapshot::Overview;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;
use reaper_policy::policy::Policy;
use reaper_policy::verdict::{Gate, Verdict};

/// The media type of [`Metrics::text`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the output of [`classic::classic`].
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Histogram buckets in seconds: an idle sweep takes tens of microseconds, a walk on a large machine hundreds of
/// milliseconds.
const BUCKETS: [f64; 14] =
    [50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// The gates that spare marked agents. Processes that other gates spare are no agents, and are not counted.
const SPARING: [Gate; 3] = [Gate::Unsupervised, Gate::Unclaimed, Gate::Unprotected];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    outcome: &'static str,
    profile: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByGate {
    gate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByVerdict {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    of: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

type Bytes = Gauge<u64, AtomicU64>;
type Seconds = Gauge<f64, AtomicU64>;

/// Counters since the start, and gauges of the last state.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    noticed: Counter,
    terminated: Family<ByEnd, Counter>,
    spared: Family<ByGate, Counter>,
    unknown: Family<ByGate, Counter>,
    reclaimed: Counter,
    sweeps: Histogram,
    failed: Counter,
    last_success: Seconds,
    processes: Family<ByVerdict, Gauge>,
    ending: Gauge,
    zombies: Gauge,
    unreadable: Gauge,
    ready: Gauge,
    blind: Gauge,
    paused: Gauge,
    config: Gauge,
    memory: Family<Of, Bytes>,
    available: Family<Of, Bytes>,
}

impl Metrics {
    /// All metrics at zero. `started` is the time since 1970.
    #[must_use]
    pub fn new(started: Duration) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("reaper"),
            noticed: Counter::default(),
            terminated: Family::default(),
            spared: Family::default(),
            unknown: Family::default(),
            reclaimed: Counter::default(),
            sweeps: Histogram::new(BUCKETS),
            failed: Counter::default(),
            last_success: Gauge::default(),
            processes: Family::default(),
            ending: Gauge::default(),
            zombies: Gauge::default(),
            unreadable: Gauge::default(),
            ready: Gauge::default(),
            blind: Gauge::default(),
            paused: Gauge::default(),
            config: Gauge::default(),
            memory: Family::default(),
            available: Family::default(),
        };
        metrics.register(started);
        for gate in SPARING {
            drop(metrics.spared.get_or_create(&ByGate { gate: gate.name() }));
        }
        for gate in Gate::ALL {
            drop(metrics.unknown.get_or_create(&ByGate { gate: gate.name() }));
        }
        metrics
    }

    fn register(&mut self, started: Duration) {
        let r = &mut self.registry;
        let version = Build { version: env!("CARGO_PKG_VERSION") };
        r.register("build", "The version that runs", Info::new(version));
        let start = Seconds::default();
        start.set(started.as_secs_f64());
        let unit = Unit::Seconds;
        r.register_with_unit("start_time", "When the service started, since 1970", unit, start);

        let help = "Orphaned agents that were noticed";
        r.register("orphans_noticed", help, self.noticed.clone());
        let help = "Processes that were to be ended, by what became of them";
        r.register("terminated", help, self.terminated.clone());
        let help = "Marked agents that were spared for a deliberate reason, by the gate that spared them";
        r.register("spared", help, self.spared.clone());
        let help = "Processes that could not be judged, by the gate that could not tell";
        r.register("unknown", help, self.unknown.clone());
        let help = "Resident memory of the processes that ended";
        r.register_with_unit("reclaimed", help, Unit::Bytes, self.reclaimed.clone());

        let help = "How long sweeps took";
        r.register_with_unit("sweep_duration", help, Unit::Seconds, self.sweeps.clone());
        r.register("sweep_failures", "Sweeps that failed", self.failed.clone());
        let help = "When the last successful sweep ended, since 1970";
        let last_success = self.last_success.clone();
        r.register_with_unit("last_successful_sweep_timestamp", help, Unit::Seconds, last_success);

        let help = "Processes of interest by verdict; those that wait are orphans in grace";
        r.register("processes", help, self.processes.clone());
        r.register("targets_ending", "Processes that are being ended", self.ending.clone());
        let help = "Children of init and other adopters that ended and were not collected";
        r.register("init_zombies", help, self.zombies.clone());
        let help = "Processes that the last sweep could not read";
        r.register("unreadable_processes", help, self.unreadable.clone());

        r.register("ready", "1 when the service sees what it must see", self.ready.clone());
        r.register("blind", "1 when not one environment can be read", self.blind.clone());
        r.register("paused", "1 while nothing is to be ended", self.paused.clone());
        let help = "1 when the config was taken when it was read last, 0 when it was refused";
        r.register("config_last_reload_successful", help, self.config.clone());

        let help = "Memory of the machine, and what its cgroup allows to a container";
        r.register_with_unit("memory_limit", help, Unit::Bytes, self.memory.clone());
        let help = "What of it is left";
        r.register_with_unit("memory_available", help, Unit::Bytes, self.available.clone());
    }

    /// Creates the counters of each profile at zero: a counter that first appears at one shows no increase.
    pub fn begin(&self, policy: &Policy) {
        for profile in &policy.profiles {
            for outcome in Outcome::ALL {
                drop(self.terminated.get_or_create(&ByEnd::new(outcome, &profile.name)));
            }
        }
    }

    /// Counts a sweep.
    pub fn swept(&self, took: Duration, is_success: bool) {
        self.sweeps.observe(took.as_secs_f64());
        self.failed.inc_by(u64::from(!is_success));
    }

    /// Counts a process of interest that appeared, or whose verdict changed.
    pub fn judged(&self, judgement: &Judgement) {
        let gate = ByGate { gate: judgement.decided_by.name() };
        match judgement.verdict {
            _ if !judgement.is_notable() => {}
            Verdict::Spare => {
                self.spared.get_or_create(&gate).inc();
            }
            Verdict::Unknown => {
                self.unknown.get_or_create(&gate).inc();
            }
            Verdict::Reap | Verdict::Wait(_) => {
                self.noticed.inc_by(u64::from(judgement.seen_for.is_zero()));
            }
        }
    }

    /// Counts the outcome of a target.
    pub fn ended(&self, ended: &Ended) {
        let profile = ended.target.profiles.first().map_or("none", String::as_str);
        self.terminated.get_or_create(&ByEnd::new(ended.outcome, profile)).inc();
        if matches!(ended.outcome, Outcome::Exited | Outcome::Killed) {
            self.reclaimed.inc_by(ended.target.rss_bytes);
        }
    }

    /// All metrics as OpenMetrics text, with the gauges set from `now`. `zombies` is the number of unreaped children of
    /// init and other adopters.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn text(&self, now: &Overview, zombies: usize, memory: Memory) -> Result<String, fmt::Error> {
        self.read(now, zombies, memory);
        let mut out = String::with_capacity(8192);
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    fn read(&self, now: &Overview, zombies: usize, memory: Memory) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let last_success = now.sweeps.last_success.map_or(Duration::ZERO, |clock| clock.realtime);
        self.last_success.set(last_success.as_secs_f64());
        let v = &now.verdicts;
        for (verdict, n) in [("reap", v.reap), ("wait", v.wait), ("spare", v.spare), ("unknown", v.unknown)] {
            self.processes.get_or_create(&ByVerdict { verdict }).set(count(n));
        }
        self.ending.set(count(now.ending));
        self.zombies.set(count(zombies));
        self.unreadable.set(count(now.visibility.unreadable));
        self.ready.set(i64::from(now.is_ready));
        self.blind.set(i64::from(now.visibility.blind));
        self.paused.set(i64::from(now.is_paused));
        self.config.set(i64::from(!now.is_config_refused));
        self.memory.clear();
        self.available.clear();
        for (of, room) in [("machine", memory.machine), ("cgroup", memory.cgroup)] {
            if let Some(Room { limit, available }) = room {
                self.memory.get_or_create(&Of { of }).set(limit);
                self.available.get_or_create(&Of { of }).set(available);
            }
        }
    }
}

impl ByEnd {
    fn new(outcome: Outcome, profile: &str) -> Self {
        Self { outcome: outcome.name(), profile: profile.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::{Pid, ProcId, StartTime};
    use reaper_policy::plan::{Role, Target};

    fn text() -> String {
        let metrics = Metrics::new(Duration::from_secs(1_700_000_000));
        metrics.swept(Duration::from_micros(120), true);
        metrics.swept(Duration::from_secs(7), false);
        let room = Room { limit: 100, available: 40 };
        let ready = Overview { is_ready: true, ..Overview::default() };
        metrics.text(&ready, 0, Memory { machine: Some(room), cgroup: None }).unwrap()
    }

    #[test]
    fn a_sweep_falls_into_one_bucket_and_into_all_above_it() {
        let text = text();
        for line in [
            "reaper_sweep_duration_seconds_bucket{le=\"0.0001\"} 0",
            "reaper_sweep_duration_seconds_bucket{le=\"0.00025\"} 1",
            "reaper_sweep_duration_seconds_bucket{le=\"1.0\"} 1",
            "reaper_sweep_duration_seconds_bucket{le=\"+Inf\"} 2",
            "reaper_sweep_duration_seconds_count 2",
            "reaper_sweep_failures_total 1",
            "reaper_start_time_seconds 1700000000.0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn only_ended_processes_count_as_reclaimed_memory() {
        let metrics = Metrics::new(Duration::ZERO);
        let id = ProcId { pid: Pid::INIT, start: StartTime(1), generation: None };
        for (n, outcome) in Outcome::ALL.into_iter().enumerate() {
            let target = Target {
                uid: None,
                id,
                role: Role::Root,
                root: id,
                profiles: vec!["mine".into(), "second".into()],
                program: b"x".to_vec(),
                rss_bytes: 1 << n,
                group: None,
                comeback: None,
            };
            let (signals, took) = (Vec::new(), Duration::ZERO);
            metrics.ended(&Ended {
                target,
                signals,
                outcome,
                took,
                why: None,
                zombie: false,
                unsure: false,
                fell: None,
                image: None,
            });
        }
        let text = metrics.text(&Overview::default(), 0, Memory::default()).unwrap();
        for outcome in Outcome::ALL {
            let line =
                format!("reaper_terminated_total{{outcome=\"{}\",profile=\"mine\"}} 1\n", outcome.name());
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(!text.contains("\"second\""), "one profile a process");
        assert!(text.contains("reaper_reclaimed_bytes_total 3\n"), "exited and killed: {text}");
    }

    #[test]
    fn unknown_values_are_left_out() {
        let metrics = Metrics::new(Duration::ZERO);
        let room = Some(Room { limit: 100, available: 40 });
        let text = |memory| metrics.text(&Overview::default(), 0, memory).unwrap();
        let both = text(Memory { machine: room, cgroup: room });
        assert!(both.contains("reaper_memory_limit_bytes{of=\"cgroup\"} 100"));
        let text = text(Memory { machine: room, cgroup: None });
        assert!(text.contains("{of=\"machine\"} 100") && !text.contains("cgroup\"}"), "{text}");
    }

    #[test]
    fn the_older_format_has_the_same_samples_without_new_keywords() {
        let new = Metrics::new(Duration::ZERO).text(&Overview::default(), 0, Memory::default()).unwrap();
        let old = classic::classic(&new);
        let samples =
            |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(samples(&new), samples(&old));
        assert!(samples(&old).len() > 30);
        for line in [
            "# HELP reaper_build_info The version that runs.\n# TYPE reaper_build_info gauge",
            "# HELP reaper_sweep_failures_total Sweeps that failed.\n# TYPE reaper_sweep_failures_total counter",
            "# TYPE reaper_sweep_duration_seconds histogram",
            "# TYPE reaper_ready gauge",
        ] {
            assert!(old.contains(line), "{line}\n{old}");
        }
        for word in ["# UNIT", "# EOF", " info\n"] {
            assert!(new.contains(word) && !old.contains(word), "{word}");
        }
    }
}
