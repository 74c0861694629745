//! Whether a service runs for this user, and what state it reports.

use crate::report::check::{Check, Level};
use crate::report::status::Status;
use reaper_engine::format;
use reaper_policy::escape::again;
use std::time::Duration;

const NAME: &str = "service";

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A service answers.
    Runs(Box<Status>),
    /// No service listens.
    Absent,
    /// The directory of its socket cannot be read, for this reason. The check of that directory has the remedy.
    Hidden(String),
    /// Something listens and does not answer as it should, for this reason.
    Silent(String),
}

/// Makes the check.
#[must_use]
pub fn check(found: &Found) -> Check {
    let status = match found {
        Found::Absent => {
            return Check::ok(NAME, "none runs for you; `reaper run` is one, `reaper scan` needs none");
        }
        Found::Hidden(why) => {
            return Check::skipped(NAME, format!("whether one runs is unknown: {why}"));
        }
        Found::Silent(why) => {
            return Check::fail(
                NAME,
                format!(
                    "something holds the service's socket and does not answer as it should: {}",
                    again(why)
                ),
                "look at its log and restart it; `reaper run` says which pid holds the lock",
            );
        }
        Found::Runs(status) => status,
    };
    let up = Duration::try_from_secs_f64(status.uptime_s).unwrap_or_default();
    let runs = format!("pid {}, version {}, up {}", status.pid, again(&status.version), format::span(up));
    if status.visibility.blind {
        return Check::fail(
            NAME,
            format!("{runs}: BLIND, it cannot read one environment"),
            "run `reaper doctor` where the service runs; its unit or its container is in the way (see sandbox)",
        );
    }
    if let Some(visibility_problem) = &status.visibility.problem {
        let hint = "see the check `namespace`, or run `reaper doctor` where the service runs";
        return Check::fail(NAME, format!("{runs}: {}", again(visibility_problem)), hint);
    }
    if let Some(degraded) = status.degraded.iter().find(|degraded| degraded.level.is(Level::Fail)) {
        let hint = degraded.hint.as_deref().unwrap_or("see its log");
        return Check::fail(NAME, format!("{runs}: {}", again(&degraded.what)), again(hint));
    }
    if !status.ready {
        return Check::fail(NAME, format!("{runs}: its sweeps fail"), "see its log");
    }
    if let Some(error) = &status.config.error {
        let hint = "mend the config, then `reaper reload`";
        return Check::warn(NAME, format!("{runs}: it refused the newest config: {}", again(error)), hint);
    }
    if status.version != env!("CARGO_PKG_VERSION") {
        return Check::warn(NAME, format!("{runs}: another version than this one"), "restart it");
    }
    if status.paused.is_some() {
        return Check::warn(
            NAME,
            format!("{runs}: paused, it ends nothing"),
            "`reaper resume` ends the pause",
        );
    }
    Check::ok(NAME, runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::{
        ConfigStatus, Degradation, Paused, STATUS, Scope, Sweeps, Totals, Verdicts, VisibilityStatus,
    };
    use reaper_engine::discover::method::Method;

    fn status() -> Status {
        Status {
            metrics: crate::report::status::MetricsStatus::default(),
            schema: STATUS.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: 7,
            scope: Scope::User.into(),
            started_at: String::new(),
            uptime_s: 3600.0,
            ready: true,
            paused: None,
            config: ConfigStatus {
                files: Vec::new(),
                loaded_at: String::new(),
                error: None,
                warnings: Vec::new(),
                profiles: Vec::new(),
                interval_s: 30.0,
                grace_s: 30.0,
                term_timeout_s: 10.0,
            },
            visibility: VisibilityStatus {
                method: Method::Children.into(),
                examined: 1,
                unreadable: 0,
                blind: false,
                problem: None,
            },
            degraded: Vec::new(),
            sweeps: Sweeps {
                count: 1,
                failed: 0,
                last_at: None,
                last_success_at: None,
                last_took_us: 0,
                next_in_s: 0.0,
            },
            verdicts: Verdicts::default(),
            waiting: Vec::new(),
            judgements: Vec::new(),
            judgements_omitted: 0,
            ending: 0,
            totals: Totals::default(),
            errors: Vec::new(),
        }
    }

    fn runs(change: impl FnOnce(&mut Status)) -> Check {
        let mut status = status();
        change(&mut status);
        check(&Found::Runs(Box::new(status)))
    }

    #[test]
    fn the_state_of_a_service_is_checked() {
        let well = runs(|_| ());
        assert_eq!(well.level, Level::Ok);
        assert!(well.what.starts_with("pid 7, version ") && well.what.ends_with("up 1 h 00 min"), "{well:?}");
        assert_eq!(runs(|s| s.visibility.blind = true).level, Level::Fail);
        assert_eq!(runs(|s| s.ready = false).level, Level::Fail);
        assert_eq!(runs(|s| s.version = "0.0.1".into()).level, Level::Warn);
        assert_eq!(runs(|s| s.config.error = Some("x".into())).level, Level::Warn);
        assert_eq!(runs(|s| s.paused = Some(Paused { until: None, left_s: None })).level, Level::Warn);
        let degraded = |level: Level| Degradation {
            check: "sandbox".into(),
            level: level.into(),
            what: "no marker can be seen".into(),
            hint: Some("remove it".into()),
        };
        let blind = runs(|s| s.degraded = vec![degraded(Level::Warn), degraded(Level::Fail)]);
        assert_eq!((blind.level, blind.hint.as_deref()), (Level::Fail, Some("remove it")));
        assert_eq!(runs(|s| s.degraded = vec![degraded(Level::Warn)]).level, Level::Ok);
    }

    #[test]
    fn an_absent_service_passes_and_a_silent_one_fails() {
        assert_eq!(check(&Found::Absent).level, Level::Ok);
        assert_eq!(check(&Found::Silent("timed out".into())).level, Level::Fail);
        assert_eq!(check(&Found::Hidden("permission denied".into())).level, Level::Skipped);
    }
}
