//! The status of the service: one line for the service manager, and the document for the control socket.

use std::path::PathBuf;

use reaper_platform::Clock;

use crate::report::check::{Check, Level};
use crate::report::scan::{judgement, seconds};
use crate::report::status::{
    ConfigStatus, Degradation, ErrorReport, MetricsStatus, Paused, STATUS, Status, Sweeps, VisibilityStatus,
    Waiting,
};
use crate::service::pause::Pause;
use crate::service::snapshot::{Overview, Snapshot};
use reaper_engine::audit::words::Word;
use reaper_engine::format;
use reaper_engine::visibility::VisibilityProblem;
use reaper_policy::escape::escape;

/// The line that `systemctl status` shows.
pub fn line(now: &Overview) -> String {
    let mut parts = Vec::new();
    if now.sweeps.is_failing {
        parts.push("processes cannot be listed".to_owned());
    }
    if now.visibility.blind {
        parts.push("blind: not one environment can be read".to_owned());
    }
    parts.extend(now.visibility.visibility_problem.as_ref().map(VisibilityProblem::what));
    if !now.failed_checks.is_empty() {
        parts.push(format!("degraded by {} (see `reaper doctor`)", now.failed_checks.join(", ")));
    }
    if now.is_config_refused {
        parts.push("the new config is refused".to_owned());
    }
    if now.is_paused {
        parts.push("paused".to_owned());
    }
    if now.verdicts.wait > 0 {
        parts.push(format!("{} in grace", format::count(now.verdicts.wait, "orphan")));
    }
    if now.ending > 0 {
        parts.push(format!("ending {}", format::count(now.ending, "process")));
    }
    if now.verdicts.unknown > 0 {
        parts.push(format!("{} could not be judged", format::count(now.verdicts.unknown, "process")));
    }
    let ended = now.totals.exited + now.totals.killed;
    parts.push(format!("{ended} ended so far"));
    parts.join("; ")
}

/// The public status document.
#[must_use]
pub fn document(snapshot: &Snapshot) -> Status {
    let Snapshot { at, instance, overview, config, metrics, .. } = snapshot;
    let sweeps = &overview.sweeps;
    let visibility = &overview.visibility;
    let time = |clock: &Clock| format::time(clock.realtime);
    let path = |path: &PathBuf| escape(path.as_os_str().as_encoded_bytes());
    Status {
        schema: STATUS.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: instance.pid.get(),
        scope: Word::Known(instance.scope.into()),
        started_at: time(&instance.started),
        uptime_s: seconds(at.monotonic.saturating_sub(instance.started.monotonic)),
        ready: overview.is_ready,
        paused: snapshot.pause.map(|pause| paused(pause, at)),
        config: ConfigStatus {
            files: config.files.iter().map(path).collect(),
            loaded_at: time(&config.loaded),
            error: config.error.clone(),
            warnings: config.warnings.clone(),
            profiles: config.profiles.clone(),
            interval_s: seconds(config.interval),
            grace_s: seconds(config.grace),
            term_timeout_s: seconds(config.term_timeout),
        },
        visibility: VisibilityStatus {
            method: visibility.method.map_or_else(|| Word::Other("none".to_owned()), Word::Known),
            examined: visibility.examined,
            unreadable: visibility.unreadable,
            blind: visibility.blind,
            problem: visibility.visibility_problem.as_ref().map(VisibilityProblem::what),
        },
        degraded: snapshot.checks.iter().filter(|check| check.level >= Level::Warn).map(degraded).collect(),
        sweeps: Sweeps {
            count: sweeps.count,
            failed: sweeps.failed,
            last_at: sweeps.last.as_ref().map(time),
            last_success_at: sweeps.last_success.as_ref().map(time),
            last_took_us: u64::try_from(sweeps.last_took.as_micros()).unwrap_or(u64::MAX),
            next_in_s: seconds(snapshot.next_sweep_in),
        },
        verdicts: overview.verdicts,
        waiting: snapshot
            .waiting
            .iter()
            .map(|waiting| Waiting {
                pid: waiting.pid.get(),
                program: escape(&waiting.program),
                profile: waiting.profile.clone(),
                orphaned_s: seconds(waiting.orphaned_for),
                eligible_in_s: seconds(waiting.eligible_in),
            })
            .collect(),
        judgements: snapshot
            .judgements
            .iter()
            .map(|judged| judgement(&judged.judgement, &judged.targets, at, instance.start_clock))
            .collect(),
        judgements_omitted: snapshot.omitted,
        ending: overview.ending,
        totals: overview.totals,
        errors: snapshot
            .errors
            .iter()
            .map(|error| ErrorReport { at: format::time(error.at), what: error.what.clone() })
            .collect(),
        metrics: MetricsStatus {
            listen: metrics.listen.map(|address| address.to_string()),
            listen_error: metrics.listen_error.clone(),
            textfile: metrics.textfile.as_ref().map(path),
            textfile_error: metrics.textfile_error.clone(),
        },
    }
}

fn paused(pause: Pause, now: &Clock) -> Paused {
    match pause {
        Pause::UntilResumed => Paused { until: None, left_s: None },
        Pause::Until(end) => {
            let left = end.saturating_sub(now.monotonic);
            Paused {
                until: Some(format::time(now.realtime.saturating_add(left))),
                left_s: Some(seconds(left)),
            }
        }
    }
}

fn degraded(check: &Check) -> Degradation {
    Degradation {
        check: check.name.to_owned(),
        level: check.level.into(),
        what: check.what.clone(),
        hint: check.hint.clone(),
    }
}
