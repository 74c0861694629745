//! The state of the service at one moment, as plain values for the publishers, the control socket and live views.
//! The controller makes them; nothing here holds a handle or refers to the controller.
//!
//! There are two kinds, because they are needed at different rates. An [`Overview`] is made after every event, without
//! an allocation for each process. A [`Snapshot`] also holds the judgements, and is made when a client asks.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reaper_platform::{Clock, Pid, ProcId, Scope, StartClock};

use super::pause::Pause;
use super::recent_errors::RecentError;
use crate::report::check::Check;
use crate::report::status::{Totals, Verdicts};
use reaper_engine::tracker::View;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Target;
use reaper_policy::verdict::{Finding, Verdict};

/// Largest JSON size of the judgements of a snapshot, in bytes: some 2500 judgements, fewer when names of processes are
/// long. The limit bounds the time in the event loop, and the memory in a small container.
const MAX_JSON: usize = 4 << 20;

/// Counts and states for the status line, the metrics and the probes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Counts of judged processes by verdict.
    pub verdicts: Verdicts,
    /// Counts of what was done since the start.
    pub totals: Totals,
    /// The number of targets that are being ended.
    pub ending: usize,
    /// How processes are listed, and how many could be read.
    pub visibility: View,
    /// The sweeps so far.
    pub sweeps: Sweeps,
    /// The names of the checks that failed at the start.
    pub failed_checks: Vec<&'static str>,
    /// Whether the last sweep succeeded and is recent, environments can be read, and no check failed at the start.
    pub is_ready: bool,
    /// Whether the service is paused.
    pub is_paused: bool,
    /// Whether the newest config was refused, so that an older one is in force.
    pub is_config_refused: bool,
}

/// The full state at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was made.
    pub at: Clock,
    /// The identity of the service.
    pub instance: Instance,
    /// Counts and states.
    pub overview: Overview,
    /// The pause, if the service is paused.
    pub pause: Option<Pause>,
    /// The config in force.
    pub config: ConfigInfo,
    /// The results of the checks at the start.
    pub checks: Vec<Check>,
    /// The time until the next sweep.
    pub next_sweep_in: Duration,
    /// The notable judgements by pid, within the size limit.
    pub judgements: Vec<Judged>,
    /// The number of notable judgements that were left out.
    pub omitted: usize,
    /// All orphans in grace, the next due first.
    pub waiting: Vec<Waiting>,
    /// The targets of the plans that are being carried out. Some of them may have ended already.
    pub targets: Vec<Target>,
    /// The last errors, newest last.
    pub errors: Vec<RecentError>,
    /// The destinations of the metrics.
    pub metrics: MetricsOutputs,
}

/// The identity of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its pid.
    pub pid: Pid,
    /// Which users' processes it covers.
    pub scope: Scope,
    /// When it was started.
    pub started: Clock,
    /// Converts the start times in the judgements.
    pub start_clock: StartClock,
}

/// The config in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigInfo {
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// When it was read.
    pub loaded: Clock,
    /// Why the newest version was refused, if it was.
    pub error: Option<String>,
    /// Warnings about settings that are allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The names of the profiles in use.
    pub profiles: Vec<String>,
    /// The time between two sweeps.
    pub interval: Duration,
    /// How long a process must have been seen orphaned before SIGTERM.
    pub grace: Duration,
    /// The time between SIGTERM and SIGKILL.
    pub term_timeout: Duration,
}

/// The sweeps so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// The number of sweeps.
    pub count: u64,
    /// The number of failed sweeps.
    pub failed: u64,
    /// When the last one ended.
    pub last: Option<Clock>,
    /// When the last one that succeeded ended.
    pub last_success: Option<Clock>,
    /// The duration of the last one.
    pub last_took: Duration,
    /// Whether the last one failed.
    pub is_failing: bool,
}

/// A judgement, brought up to the moment of the snapshot: how long its process has been orphaned, and when it may be
/// ended. The findings are those of the moment when it was judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The judgement.
    pub judgement: Judgement,
    /// The processes that are being ended with it, in that order. Empty before that: a tree is read when its orphan is
    /// due.
    pub targets: Vec<Pid>,
}

/// An orphan in grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its pid.
    pub pid: Pid,
    /// The name it is reported under, as the kernel gave it.
    pub program: Vec<u8>,
    /// The name of the profile that matches it.
    pub profile: Option<String>,
    /// The time since it was first seen orphaned.
    pub orphaned_for: Duration,
    /// The time until it may be ended.
    pub eligible_in: Duration,
}

/// The destinations of the metrics, with their errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsOutputs {
    /// The configured address to serve them on.
    pub listen: Option<SocketAddr>,
    /// Why they are not served.
    pub listen_error: Option<String>,
    /// The configured file to write them to.
    pub textfile: Option<PathBuf>,
    /// Why it was not written.
    pub textfile_error: Option<String>,
}

/// Counts judgements by verdict.
pub fn count<'a>(judgements: impl Iterator<Item = &'a Judgement>) -> Verdicts {
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

/// The notable judgements, and how many were left out. `seen_for` returns how long a process has been seen orphaned by
/// now; `targets` are those of the plans that are being carried out.
pub fn judged<'a>(
    judgements: impl Iterator<Item = &'a Judgement>,
    seen_for: impl Fn(&ProcId) -> Duration,
    targets: &[Target],
) -> (Vec<Judged>, usize) {
    let mut listed: Vec<&Judgement> = judgements.filter(|j| j.is_notable()).collect();
    let all = listed.len();
    // Orphans first, then unknown verdicts, then spared ones.
    listed.sort_by_key(|j| (Reverse(j.is_orphan()), Reverse(j.verdict == Verdict::Unknown)));
    let mut room = MAX_JSON;
    let fits = |judgement: &&Judgement| match room.checked_sub(json_size(judgement)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    listed = listed.into_iter().take_while(fits).collect();
    listed.sort_by_key(|j| j.id.pid);
    let omitted = all - listed.len();
    let mut by_root: HashMap<ProcId, Vec<Pid>> = HashMap::new();
    for target in targets {
        by_root.entry(target.root).or_default().push(target.id.pid);
    }
    let judged = |judgement: &Judgement| {
        let orphaned_for = seen_for(&judgement.id);
        let mut judgement = judgement.clone();
        if let Some(left) = eligible_in(&judgement, orphaned_for) {
            judgement.verdict = Verdict::Wait(left);
        }
        judgement.seen_for = orphaned_for;
        Judged { targets: by_root.remove(&judgement.id).unwrap_or_default(), judgement }
    };
    (listed.into_iter().map(judged).collect(), omitted)
}

/// An upper bound of the JSON size of a judgement, in bytes. Names of processes are cut at 256 characters, and one
/// character of a name becomes ten bytes at most.
fn json_size(judgement: &Judgement) -> usize {
    const FIXED: usize = 700;
    let name = |name: &[u8]| (name.len() * 5).min(2560);
    let evidence = |finding: &Finding| finding.evidence.len() * 2;
    let names = name(&judgement.program) + judgement.exe.as_deref().map_or(0, name);
    FIXED + names + judgement.findings.iter().map(evidence).sum::<usize>() + judgement.reason().len() * 2
}

/// The orphans in grace, the next due first.
pub fn waiting<'a>(
    judgements: impl Iterator<Item = &'a Judgement>,
    seen_for: impl Fn(&ProcId) -> Duration,
) -> Vec<Waiting> {
    let mut all: Vec<Waiting> = judgements
        .filter_map(|judgement| {
            let orphaned_for = seen_for(&judgement.id);
            Some(Waiting {
                pid: judgement.id.pid,
                program: judgement.program.clone(),
                profile: judgement.profiles.first().cloned(),
                orphaned_for,
                eligible_in: eligible_in(judgement, orphaned_for)?,
            })
        })
        .collect();
    all.sort_by_key(|waiting| waiting.eligible_in);
    all
}

/// The remaining grace of an orphan: what was left when it was judged, less the time since then.
fn eligible_in(judgement: &Judgement, orphaned_for: Duration) -> Option<Duration> {
    match judgement.verdict {
        Verdict::Wait(left) => Some(left.saturating_sub(orphaned_for.saturating_sub(judgement.seen_for))),
        Verdict::Reap | Verdict::Spare | Verdict::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::scan as report;
    use reaper_platform::{StartTime, Stat, State, Uid};
    use reaper_policy::escape::escape;
    use reaper_policy::plan::Role;
    use reaper_policy::verdict::Gate;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(pid: i32) -> ProcId {
        ProcId { pid: Pid::new(pid).unwrap(), start: StartTime(7), generation: None }
    }

    fn judgement(pid: i32, verdict: Verdict, seen_for: Duration) -> Judgement {
        let id = id(pid);
        Judgement {
            id,
            stat: Stat {
                pid: id.pid,
                comm: b"goose".to_vec(),
                state: State(b'S'),
                threads: 1,
                ppid: Some(Pid::INIT),
                pgrp: None,
                session: None,
                start: id.start,
                rss_bytes: 4096,
                has_memory: true,
                environ_len: None,
                layout: None,
            },
            uid: Some(Uid(1000)),
            program: b"goose".to_vec(),
            exe: None,
            profiles: vec!["sprout".into()],
            marker: None,
            verdict,
            decided_by: Gate::Grace,
            findings: Vec::new(),
            wrappers: Vec::new(),
            hosts: Vec::new(),
            held_by: None,
            seen_for,
            is_wrapper: false,
        }
    }

    fn target(pid: i32, root: i32) -> Target {
        Target {
            id: id(pid),
            role: Role::Root,
            root: id(root),
            profiles: Vec::new(),
            uid: None,
            program: Vec::new(),
            rss_bytes: 0,
            group: None,
            comeback: None,
        }
    }

    #[test]
    fn times_are_relative_to_the_snapshot_for_any_grace() {
        let long = judgement(5, Verdict::Wait(SECOND * 30), SECOND * 10);
        let short = judgement(6, Verdict::Wait(SECOND * 4), SECOND * 10);
        let over = judgement(7, Verdict::Wait(SECOND), SECOND * 10);
        let newborn = judgement(8, Verdict::Wait(SECOND * 40), Duration::ZERO);
        let due = judgement(9, Verdict::Reap, SECOND * 40);
        let all = [long, short, over, newborn, due];
        // Three seconds after the judgement; the newborn process has no sighting yet.
        let seen_for = |id: &ProcId| match id.pid.get() {
            8 => Duration::ZERO,
            9 => SECOND * 43,
            _ => SECOND * 13,
        };
        let waiting: Vec<(i32, u64)> = waiting(all.iter(), seen_for)
            .iter()
            .map(|waiting| (waiting.pid.get(), waiting.eligible_in.as_secs()))
            .collect();
        assert_eq!(waiting, [(7, 0), (6, 1), (5, 27), (8, 40)], "the next one first");
        let (judged, omitted) = judged(all.iter(), seen_for, &[]);
        let now: Vec<Verdict> = judged.iter().map(|judged| judged.judgement.verdict).collect();
        let wait = |seconds| Verdict::Wait(SECOND * seconds);
        assert_eq!((now, omitted), (vec![wait(27), wait(1), wait(0), wait(40), Verdict::Reap], 0));
        assert_eq!(judged[4].judgement.seen_for, SECOND * 43);
    }

    #[test]
    fn targets_are_listed_with_their_orphan() {
        let all = [judgement(5, Verdict::Reap, SECOND), judgement(6, Verdict::Reap, SECOND)];
        let (judged, _) = judged(all.iter(), |_| SECOND, &[target(9, 5), target(5, 5), target(7, 3)]);
        let targets: Vec<Vec<i32>> =
            judged.iter().map(|judged| judged.targets.iter().map(|pid| pid.get()).collect()).collect();
        assert_eq!(targets, [vec![9, 5], vec![]]);
    }

    #[test]
    fn orphans_are_left_out_last() {
        const MANY: i32 = 9000;
        let unknown = (1..=MANY).map(|pid| judgement(pid, Verdict::Unknown, Duration::ZERO));
        let orphans = (1..=9).map(|n| judgement(MANY + n, Verdict::Reap, SECOND));
        let mut wrapper = judgement(MANY + 10, Verdict::Spare, Duration::ZERO);
        wrapper.decided_by = Gate::Orphan;
        let mut all: Vec<Judgement> = unknown.chain(orphans).chain([wrapper]).collect();
        let (short, omitted) = judged(all.iter(), |_| SECOND, &[]);
        assert_eq!(short.len() + omitted, all.len() - 1, "the wrapper is not notable");
        assert!((2500..9000).contains(&short.len()), "{}", short.len());
        assert!(short.is_sorted_by_key(|judged| judged.judgement.id.pid));
        assert_eq!(short.iter().filter(|judged| judged.judgement.is_orphan()).count(), 9);
        // The longest possible names of a process.
        for judgement in &mut all {
            let name = "\u{e0001}".repeat(300).into_bytes();
            judgement.program.clone_from(&name);
            judgement.exe = Some(name.clone());
            judgement.findings =
                Gate::ALL.map(|gate| Finding::no(gate, format!("not of {}", escape(&name)))).to_vec();
        }
        let (long, _) = judged(all.iter(), |_| SECOND, &[]);
        let clock = Clock { monotonic: SECOND, boottime: SECOND, realtime: SECOND };
        let report =
            |judged: &Judged| report::judgement(&judged.judgement, &[], &clock, StartClock::DayMicros);
        for judged in [short, long] {
            let json = serde_json::to_vec(&judged.iter().map(report).collect::<Vec<_>>()).unwrap();
            assert!((MAX_JSON / 3..=MAX_JSON).contains(&json.len()), "{}", json.len());
        }
        assert_eq!(super::count(all.iter()), Verdicts { reap: 9, unknown: 9000, ..Verdicts::default() });
    }
}
