//! Makes the public JSON of decisions and actions. Strings of other programs are escaped here, and enter a report
//! nowhere else.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::{Clock, Pid, StartClock};

use super::types::{self, ActionReport, JudgementReport, LeftAloneReport, Summary};
use reaper_engine::audit::record::{findings, millis};
use reaper_engine::audit::words::Gate;
use reaper_engine::format;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::escalation::Outcome;
use reaper_policy::escape::escape;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{LeftAlone, Plan};
use reaper_policy::verdict::Verdict;

/// The report of one judgement. `targets` are the processes that are ended with it, in order.
#[must_use]
pub fn judgement(j: &Judgement, targets: &[Pid], clock: &Clock, start_clock: StartClock) -> JudgementReport {
    let age = start_clock.age(j.id.start, clock);
    JudgementReport {
        pid: j.id.pid.get(),
        ppid: j.stat.ppid.map_or(0, Pid::get),
        uid: j.uid.map(|u| u.0),
        program: escape(&j.program),
        exe: j.exe.as_deref().map(escape),
        started_at: format::time(clock.realtime.saturating_sub(age)),
        age_s: seconds(age),
        profile: j.profiles.first().cloned(),
        marker: j.marker.clone(),
        verdict: types::Verdict::from(j.verdict).into(),
        decided_by: Gate::from(j.decided_by).into(),
        reason: j.reason().to_owned(),
        orphaned_s: seconds(j.seen_for),
        eligible_in_s: match j.verdict {
            Verdict::Reap => Some(0.0),
            Verdict::Wait(left) => Some(seconds(left)),
            _ => None,
        },
        rss_bytes: j.stat.rss_bytes,
        targets: targets.iter().copied().map(Pid::get).collect(),
        findings: findings(&j.findings),
    }
}

/// A duration in seconds, rounded to the millisecond.
#[must_use]
pub fn seconds(time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an f64 holds the milliseconds of 285,000 years")]
    let ms = time.as_millis() as f64;
    ms / 1000.0
}

/// The pids of the targets of each orphan, in the order of the plans.
#[must_use]
pub fn targets_by_root(plans: [&Plan; 2]) -> HashMap<Pid, Vec<Pid>> {
    let mut by_root: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for target in plans.into_iter().flat_map(|plan| &plan.targets) {
        by_root.entry(target.root.pid).or_default().push(target.id.pid);
    }
    by_root
}

/// The report of what was done to one target.
#[must_use]
pub fn action(ended: &Ended) -> ActionReport {
    ActionReport {
        pid: ended.target.id.pid.get(),
        root: ended.target.root.pid.get(),
        program: escape(&ended.target.program),
        signals: ended.signals.iter().copied().map(Into::into).collect(),
        outcome: ended.outcome.into(),
        took_ms: millis(ended.took),
        why: ended.why.clone(),
    }
}

/// The report of a tree member that is left alone.
#[must_use]
pub fn left_alone(left: &LeftAlone) -> LeftAloneReport {
    LeftAloneReport {
        pid: left.id.pid.get(),
        root: left.root.get(),
        program: escape(&left.program),
        reason: left.reason.clone(),
        ended: left.has_ended,
    }
}

/// The counts of what was decided and done. The second plan is the one for orphans in grace.
#[must_use]
pub fn summary(judgements: &[&Judgement], plans: [&Plan; 2], ended: &[Ended], dry_run: bool) -> Summary {
    let has_ended = |e: &&Ended| matches!(e.outcome, Outcome::Exited | Outcome::Killed);
    let reclaimed_bytes = if dry_run {
        plans.iter().flat_map(|plan| &plan.targets).map(|t| t.rss_bytes).sum()
    } else {
        ended.iter().filter(has_ended).map(|e| e.target.rss_bytes).sum()
    };
    let mut summary = Summary {
        deferred: plans.iter().map(|plan| plan.deferred.len()).sum(),
        zombies: ended.iter().filter(|e| e.zombie).count(),
        reclaimed_bytes,
        ..Summary::default()
    };
    for judgement in judgements {
        match judgement.verdict {
            Verdict::Reap => summary.reap += 1,
            Verdict::Wait(_) => summary.wait += 1,
            Verdict::Spare => summary.spare += 1,
            Verdict::Unknown => summary.unknown += 1,
        }
    }
    for ended in ended {
        match ended.outcome {
            Outcome::Exited => summary.exited += 1,
            Outcome::Killed => summary.killed += 1,
            Outcome::Gone => summary.gone += 1,
            Outcome::Spared => summary.spared += 1,
            Outcome::Denied => summary.denied += 1,
            Outcome::Survived => summary.survived += 1,
            // A scan is not interrupted, and the service keeps its own counts.
            Outcome::Interrupted => {}
        }
    }
    summary
}
