//! What the service knows at one moment, as plain values: all that its publishers, its control socket and a live view
//! read of it. The controller makes them and hands them down; nothing here holds a handle or refers to the controller.
//!
//! There are two of them, because they are asked for at different rates. An [`Overview`] is made after every event, and
//! takes no allocation for each process. A [`Snapshot`] holds the judgements as well, and is made when a client asks.

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

/// How much JSON the judgements of a snapshot may become, in bytes: some 2500 of them, fewer if names of processes are
/// made to be long. A reply is made in the event loop, and in a container whose memory is small.
const MAX_JSON: usize = 4 << 20;

/// Counts and states: what the status line, the metrics and the probes need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Judged processes by verdict.
    pub verdicts: Verdicts,
    /// What was done since the start.
    pub totals: Totals,
    /// How many targets are being ended.
    pub ending: usize,
    /// How processes are listed, and how many of them could be read.
    pub visibility: View,
    /// The sweeps so far.
    pub sweeps: Sweeps,
    /// The checks that failed at the start.
    pub failed_checks: Vec<&'static str>,
    /// Whether the last sweep succeeded and is recent, environments can be read, and no check failed at the start.
    pub is_ready: bool,
    /// Whether nothing is to be ended.
    pub is_paused: bool,
    /// Whether the config was refused when it was read last, so that an older one is in force.
    pub is_config_refused: bool,
}

/// Everything, at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was made.
    pub at: Clock,
    /// Which service this is.
    pub instance: Instance,
    /// Counts and states.
    pub overview: Overview,
    /// The pause, if nothing is to be ended.
    pub pause: Option<Pause>,
    /// The config in force.
    pub config: ConfigInfo,
    /// What the checks at the start found.
    pub checks: Vec<Check>,
    /// How long until the next sweep.
    pub next_sweep_in: Duration,
    /// The notable judgements by pid, as far as there is room for them.
    pub judgements: Vec<Judged>,
    /// How many notable judgements were left out.
    pub omitted: usize,
    /// All orphans in grace, the next one first.
    pub waiting: Vec<Waiting>,
    /// The targets of the plans that are being carried out. Some of them may have ended already.
    pub targets: Vec<Target>,
    /// The last errors, newest last.
    pub errors: Vec<RecentError>,
    /// Where the metrics go.
    pub metrics: MetricsOutputs,
}

/// Which service this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its process.
    pub pid: Pid,
    /// Whose processes it looks after.
    pub scope: Scope,
    /// When it was started.
    pub started: Clock,
    /// The clock of the start times in the judgements.
    pub start_clock: StartClock,
}

/// The config in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigInfo {
    /// The files that it came from.
    pub files: Vec<PathBuf>,
    /// When it was read.
    pub loaded: Clock,
    /// Why a newer version was refused.
    pub error: Option<String>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The profiles in use.
    pub profiles: Vec<String>,
    /// Between two sweeps.
    pub interval: Duration,
    /// Before SIGTERM.
    pub grace: Duration,
    /// Between SIGTERM and SIGKILL.
    pub term_timeout: Duration,
}

/// The sweeps so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// How many there were.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// When the last one ended.
    pub last: Option<Clock>,
    /// When the last one that succeeded ended.
    pub last_success: Option<Clock>,
    /// How long the last one took.
    pub last_took: Duration,
    /// Whether the last one failed.
    pub is_failing: bool,
}

/// A judgement, brought up to the moment of the snapshot: how long its process has been orphaned, and when it may be ended.
/// The findings are those of the moment when it was judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What was decided.
    pub judgement: Judgement,
    /// The processes that are being ended with it, in that order. Empty before that: a tree is read when its orphan is due.
    pub targets: Vec<Pid>,
}

/// An orphan in grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub pid: Pid,
    /// The name it is reported under, as the kernel gave it.
    pub program: Vec<u8>,
    /// The profile that claims it.
    pub profile: Option<String>,
    /// Since the first sighting as an orphan.
    pub orphaned_for: Duration,
    /// Until it may be ended.
    pub eligible_in: Duration,
}

/// Where the metrics go, and why they do not arrive there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsOutputs {
    /// The address that they are to be served on.
    pub listen: Option<SocketAddr>,
    /// Why they are not served.
    pub listen_error: Option<String>,
    /// The file that they are to be written to.
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

/// The notable ones of the judgements, and how many were left out. `seen_for` tells how long a process has been seen
/// orphaned by now, `targets` are those of the plans that are being carried out.
pub fn judged<'a>(
    judgements: impl Iterator<Item = &'a Judgement>,
    seen_for: impl Fn(&ProcId) -> Duration,
    targets: &[Target],
) -> (Vec<Judged>, usize) {
    let mut listed: Vec<&Judgement> = judgements.filter(|j| j.is_notable()).collect();
    let all = listed.len();
    // Orphans before doubts, and those before what is spared.
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

/// The most that a judgement becomes in JSON, in bytes. Names of processes are cut at 256 characters, and one character of
/// a name becomes ten bytes at most.
fn json_size(judgement: &Judgement) -> usize {
    const FIXED: usize = 700;
    let name = |name: &[u8]| (name.len() * 5).min(2560);
    let evidence = |finding: &Finding| finding.evidence.len() * 2;
    let names = name(&judgement.program) + judgement.exe.as_deref().map_or(0, name);
    FIXED + names + judgement.findings.iter().map(evidence).sum::<usize>() + judgement.reason().len() * 2
}

/// The orphans in grace, the next one first.
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

/// How long an orphan in grace still has to wait: what was left when it was judged, less the time since then.
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
    fn times_are_those_of_the_snapshot_whatever_the_grace_is() {
        let long = judgement(5, Verdict::Wait(SECOND * 30), SECOND * 10);
        let short = judgement(6, Verdict::Wait(SECOND * 4), SECOND * 10);
        let over = judgement(7, Verdict::Wait(SECOND), SECOND * 10);
        let newborn = judgement(8, Verdict::Wait(SECOND * 40), Duration::ZERO);
        let due = judgement(9, Verdict::Reap, SECOND * 40);
        let all = [long, short, over, newborn, due];
        // Three seconds after the judgement; the newborn one could not be noted yet.
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
    fn what_is_being_ended_is_listed_with_its_orphan() {
        let all = [judgement(5, Verdict::Reap, SECOND), judgement(6, Verdict::Reap, SECOND)];
        let (judged, _) = judged(all.iter(), |_| SECOND, &[target(9, 5), target(5, 5), target(7, 3)]);
        let targets: Vec<Vec<i32>> =
            judged.iter().map(|judged| judged.targets.iter().map(|pid| pid.get()).collect()).collect();
        assert_eq!(targets, [vec![9, 5], vec![]]);
    }

    #[test]
    fn where_there_are_too_many_the_orphans_are_kept() {
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
        // The longest that the names of a process can become.
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
