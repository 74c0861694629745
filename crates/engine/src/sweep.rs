//! The steps after a survey: recording sightings, ending the planned targets, and a follow-up for what they left
//! behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, StartTime, Why};

use crate::audit::record::Account;
use crate::context::Context;
use crate::sightings;
use crate::sightings::Sightings;
use crate::terminate;
use crate::terminate::outcome::Ended;
use crate::terminate::trouble::Trouble;
use crate::terminate::{Terminator, Watcher};
use crate::tracker::Survey;
use crate::tree;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{LeftAlone, Plan};

/// Rounds of ending followed by a search for new processes: a process can fork while it is being ended.
const MAX_ROUNDS: usize = 3;

/// Records the orphans of a survey as sightings, and drops processes that no longer exist.
pub fn remember<H: Host>(context: &Context<H>, survey: &Survey, sightings: &mut Sightings) {
    let here = context.host.info();
    let mut clock = context.host.clock();
    if survey.orphans().any(|orphan| sightings::is_newborn(&orphan.id, &clock, here)) {
        // Too young to be recorded yet; without the wait its grace would only begin with the next sweep.
        context.host.sleep(here.start_clock.unit() + Duration::from_millis(1));
        clock = context.host.clock();
    }
    for judgement in &survey.judgements {
        sightings.take_in(judgement, &clock, here);
    }
    sightings.retain(|pid| context.host.exists(pid) != Ok(false));
}

/// Ends the planned targets, then searches for processes that were forked or orphaned meanwhile and ends those.
/// `judged` holds the judgements that the plan was made from. Returns the outcome of each target, and the error that
/// stopped the work early, if any.
pub fn end<H: Host>(
    context: &Context<H>,
    plan: &Plan,
    judged: &[Judgement],
    sightings: &Sightings,
    account: &mut dyn Account,
    watcher: &mut dyn Watcher,
    limit: Duration,
) -> (Vec<Ended>, Option<Trouble>) {
    let sweep = sweep_id(context);
    let since = context.host.info().start_clock.now(&context.host.clock());
    let seen = Arc::new(sightings.clone());
    let host = Arc::clone(&context.host);
    let past = Arc::new(move |id: &ProcId| seen.past(id, &host.clock()));
    let mut terminator = Terminator { context, past, account, watcher, sweep: &sweep, limit, trouble: None };
    let mut ended: Vec<Ended> = Vec::new();
    let mut targets = plan.targets.clone();
    let room = context.policy.max_targets.get();
    for _ in 0..MAX_ROUNDS {
        if targets.is_empty() || terminator.trouble.is_some() || terminator.watcher.is_stopped() {
            break;
        }
        ended.extend(terminator.run(&targets));
        targets = terminate::successors(context, &ended, limit);
        let known: HashSet<ProcId> = targets.iter().map(|target| target.id).collect();
        let others = tree::leftovers(context, &ended, judged, since, limit);
        targets.extend(others.into_iter().filter(|target| !known.contains(&target.id)));
        targets.truncate(room.saturating_sub(ended.len()));
    }
    let trouble = terminator.trouble;
    settle(&*context.host, &mut ended);
    (ended, trouble)
}

/// Updates the processes that were left alone after a sweep: removes those that were ended after all, and marks those
/// that have exited by themselves.
pub fn still_left_alone<H: Host>(host: &H, left: &mut Vec<LeftAlone>, ended: &[Ended]) {
    let took_down = |id: &ProcId| {
        ended.iter().any(|e| e.target.id == *id && matches!(e.outcome, Outcome::Exited | Outcome::Killed))
    };
    left.retain(|left| !took_down(&left.id));
    for left in left {
        left.has_ended = match host.stat_of(left.id.pid) {
            Ok(stat) => stat.start != left.id.start || stat.is_dead(),
            Err(why) => why == Why::Gone && host.exists(left.id.pid) == Ok(false),
        };
    }
}

/// Waits up to 500 ms for init to collect the ended processes, so that only lasting zombies are reported.
fn settle<H: Host>(host: &H, ended: &mut [Ended]) {
    const LIMIT: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_millis(20);
    let (mut waited, mut step) = (Duration::ZERO, Duration::from_micros(100));
    loop {
        for e in ended.iter_mut().filter(|e| e.zombie) {
            e.zombie = is_zombie(host, e.target.id.pid, e.target.id.start);
        }
        if waited >= LIMIT || ended.iter().all(|e| !e.zombie) {
            return;
        }
        host.sleep(step);
        waited += step;
        step = (step * 2).min(LONGEST);
    }
}

/// Whether the process with this pid and start time is an uncollected zombie.
fn is_zombie<H: Host>(host: &H, pid: Pid, start: StartTime) -> bool {
    host.stat_of(pid).is_ok_and(|stat| stat.start == start && stat.is_dead())
}

/// The id that the records of one sweep share: its time in milliseconds since 1970, and our pid.
fn sweep_id<H: Host>(context: &Context<H>) -> String {
    format!("{}-{}", context.host.clock().realtime.as_millis(), context.host.info().pid)
}
