//! What the service says of itself.

use std::time::Duration;

use reaper_platform::{Clock, Host, Scope};

use super::pause::Pause;
use super::warden::Warden;
use crate::doctor::{Check, Level};
use crate::report::build::seconds;
use crate::report::status::{
    ConfigStatus, Impaired, MetricsStatus, Paused, STATUS, SightStatus, Status, Sweeps, Verdicts, Waiting,
};
use reaper_engine::format;
use reaper_engine::tracker::View;
use reaper_engine::visibility::Lonely;
use reaper_policy::escape::escape;
use reaper_policy::judgement::Judgement;
use reaper_policy::verdict::Verdict;

/// One honest line, for `systemctl status`.
pub fn line<H: Host>(warden: &Warden<H>) -> String {
    let verdicts = verdicts(warden.tracker.judgements());
    let sight = warden.tracker.view();
    let mut parts = Vec::new();
    if warden.looks.failing {
        parts.push("processes cannot be listed".to_owned());
    }
    if sight.blind {
        parts.push("blind: not one environment can be read".to_owned());
    }
    parts.extend(sight.lonely.as_ref().map(Lonely::what));
    let failed: Vec<&str> = failed(&warden.setup.checks).collect();
    if !failed.is_empty() {
        parts.push(format!("impaired by {} (see `reaper doctor`)", failed.join(", ")));
    }
    if warden.config_error.is_some() {
        parts.push("the new config is refused".to_owned());
    }
    if warden.pause.is_some() {
        parts.push("paused".to_owned());
    }
    if verdicts.wait > 0 {
        parts.push(format!("{} in grace", format::count(verdicts.wait, "orphan")));
    }
    let ending = warden.executions.as_ref().map_or(0, super::execution::Executions::left);
    if ending > 0 {
        parts.push(format!("ending {}", format::count(ending, "process")));
    }
    if verdicts.unknown > 0 {
        parts.push(format!("{} could not be judged", format::count(verdicts.unknown, "process")));
    }
    let ended = warden.totals.exited + warden.totals.killed;
    parts.push(format!("{ended} ended so far"));
    parts.join("; ")
}

/// Everything.
pub fn document<H: Host>(warden: &Warden<H>) -> Status {
    let clock = warden.clock();
    let since = |then: &Clock| clock.monotonic.saturating_sub(then.monotonic);
    let sight = warden.tracker.view();
    let policy = &warden.tracker.ground().policy;
    let time = |clock: &Clock| format::time(clock.realtime);
    Status {
        schema: STATUS.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: warden.setup.host.here().pid.get(),
        scope: if warden.setup.scope == Scope::Everyone { "all-users" } else { "user" }.to_owned(),
        started_at: time(&warden.started),
        uptime_s: seconds(since(&warden.started)),
        ready: is_ready(warden, &sight),
        paused: warden.pause.map(|pause| match pause {
            Pause::UntilResumed => Paused { until: None, left_s: None },
            Pause::Until(end) => {
                let left = end.saturating_sub(clock.monotonic);
                Paused {
                    until: Some(format::time(clock.realtime.saturating_add(left))),
                    left_s: Some(seconds(left)),
                }
            }
        }),
        config: ConfigStatus {
            files: warden
                .setup
                .settings
                .files()
                .iter()
                .map(|path| escape(path.as_os_str().as_encoded_bytes()))
                .collect(),
            loaded_at: time(&warden.loaded),
            error: warden.config_error.clone(),
            warnings: warden.setup.settings.warnings().iter().map(ToString::to_string).collect(),
            profiles: policy.profiles.iter().map(|profile| profile.name.clone()).collect(),
            interval_s: seconds(policy.interval),
            grace_s: seconds(policy.grace),
            term_timeout_s: seconds(policy.term_timeout),
        },
        sight: SightStatus {
            method: sight.method.map_or("none", reaper_engine::discover::Method::name).to_owned(),
            examined: sight.examined,
            unreadable: sight.unreadable,
            blind: sight.blind,
            lonely: sight.lonely.as_ref().map(Lonely::what),
        },
        impaired: impaired(&warden.setup.checks),
        sweeps: Sweeps {
            count: warden.looks.count,
            failed: warden.looks.failed,
            last_at: warden.looks.last.as_ref().map(time),
            last_success_at: warden.looks.last_success.as_ref().map(time),
            last_took_us: u64::try_from(warden.looks.last_took.as_micros()).unwrap_or(u64::MAX),
            next_in_s: seconds(warden.next_tick.saturating_sub(clock.monotonic)),
        },
        verdicts: verdicts(warden.tracker.judgements()),
        waiting: waiting(warden, &clock),
        ending: warden.executions.as_ref().map_or(0, super::execution::Executions::left),
        totals: warden.totals,
        errors: warden.troubles.iter().cloned().collect(),
        metrics: MetricsStatus {
            listen: warden.listen().map(|address| address.to_string()),
            listen_error: warden.outputs.listen_error.clone(),
            textfile: warden.outputs.textfile.path().map(|path| escape(path.as_os_str().as_encoded_bytes())),
            textfile_error: warden.outputs.textfile.error().map(str::to_owned),
        },
    }
}

/// Whether we see what we must see.
pub(super) fn is_ready<H: Host>(warden: &Warden<H>, sight: &View) -> bool {
    warden.is_well()
        && !sight.blind
        && sight.lonely.is_none()
        && failed(&warden.setup.checks).next().is_none()
}

/// What keeps us from our job, since the start.
fn failed(checks: &[Check]) -> impl Iterator<Item = &'static str> {
    checks.iter().filter(|check| check.level == Level::Fail).map(|check| check.name)
}

fn impaired(checks: &[Check]) -> Vec<Impaired> {
    let checks = checks.iter().filter(|check| check.level >= Level::Warn);
    checks
        .map(|check| Impaired {
            check: check.name.to_owned(),
            level: check.level.name().to_owned(),
            what: check.what.clone(),
            hint: check.hint.clone(),
        })
        .collect()
}

pub(super) fn verdicts<'a>(judgements: impl Iterator<Item = &'a Judgement>) -> Verdicts {
    let mut count = Verdicts::default();
    for judgement in judgements.filter(|j| j.is_notable()) {
        match judgement.verdict {
            Verdict::Reap => count.reap += 1,
            Verdict::Wait(_) => count.wait += 1,
            Verdict::Spare => count.spare += 1,
            Verdict::Unknown => count.unknown += 1,
        }
    }
    count
}

fn waiting<H: Host>(warden: &Warden<H>, clock: &Clock) -> Vec<Waiting> {
    let grace = warden.tracker.ground().policy.grace;
    let mut all: Vec<(Duration, Waiting)> = warden
        .tracker
        .judgements()
        .filter(|j| matches!(j.verdict, Verdict::Wait(_)))
        .map(|j| {
            let seen = warden.tracker.sightings.seen_for(&j.id, clock);
            let left = grace.saturating_sub(seen);
            let waiting = Waiting {
                pid: j.id.pid.get(),
                program: escape(&j.program),
                profile: j.profiles.first().cloned(),
                orphaned_s: seconds(seen),
                eligible_in_s: seconds(left),
            };
            (left, waiting)
        })
        .collect();
    all.sort_by_key(|(left, _)| *left);
    all.into_iter().map(|(_, waiting)| waiting).collect()
}
