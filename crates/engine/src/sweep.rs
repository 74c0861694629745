//! What follows a survey: remembering what it saw, ending what was planned, and another look at what is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, StartTime, Why};

use crate::audit::record::Account;
use crate::context::Ground;
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

/// Rounds of "look again and end what is new": a process can fork while it is being ended.
const MAX_ROUNDS: usize = 3;

/// Remembers the orphans that a survey saw, and forgets processes that are no more.
pub fn remember<H: Host>(ground: &Ground<H>, survey: &Survey, sightings: &mut Sightings) {
    let here = ground.host.here();
    let mut clock = ground.host.clock();
    if survey.orphans().any(|orphan| sightings::is_newborn(&orphan.id, &clock, here)) {
        // It could not be remembered yet, and its grace would begin with the next look only.
        ground.host.sleep(here.start_clock.unit() + Duration::from_millis(1));
        clock = ground.host.clock();
    }
    for judgement in &survey.judgements {
        sightings.take_in(judgement, &clock, here);
    }
    sightings.retain(|pid| ground.host.exists(pid) != Ok(false));
}

/// Ends what was planned, then looks again for what was forked or orphaned meanwhile. `judged` is what the look
/// before the plan made of every process by itself. Beside what became of the targets, it returns what kept the work
/// from being done to its end, if anything did.
pub fn end<H: Host>(
    ground: &Ground<H>,
    plan: &Plan,
    judged: &[Judgement],
    sightings: &Sightings,
    account: &mut dyn Account,
    watcher: &mut dyn Watcher,
    limit: Duration,
) -> (Vec<Ended>, Option<Trouble>) {
    let sweep = sweep_id(ground);
    let since = ground.host.here().start_clock.now(&ground.host.clock());
    let seen = Arc::new(sightings.clone());
    let host = Arc::clone(&ground.host);
    let past = Arc::new(move |id: &ProcId| seen.past(id, &host.clock()));
    let mut terminator = Terminator { ground, past, account, watcher, sweep: &sweep, limit, trouble: None };
    let mut ended: Vec<Ended> = Vec::new();
    let mut targets = plan.targets.clone();
    let room = ground.policy.max_targets.get();
    for _ in 0..MAX_ROUNDS {
        if targets.is_empty() || terminator.trouble.is_some() || terminator.watcher.is_stopped() {
            break;
        }
        ended.extend(terminator.run(&targets));
        targets = terminate::successors(ground, &ended, limit);
        let known: HashSet<ProcId> = targets.iter().map(|target| target.id).collect();
        let others = tree::leftovers(ground, &ended, judged, since, limit);
        targets.extend(others.into_iter().filter(|target| !known.contains(&target.id)));
        targets.truncate(room.saturating_sub(ended.len()));
    }
    let trouble = terminator.trouble;
    settle(&*ground.host, &mut ended);
    (ended, trouble)
}

/// After a sweep, what was left alone is there, or the report says what became of it: what was taken down after all is not
/// said to be left alone, and what has ended by itself is said to have.
pub fn still_left_alone<H: Host>(host: &H, left: &mut Vec<LeftAlone>, ended: &[Ended]) {
    let took_down = |id: &ProcId| {
        ended.iter().any(|e| e.target.id == *id && matches!(e.outcome, Outcome::Exited | Outcome::Killed))
    };
    left.retain(|left| !took_down(&left.id));
    for left in left {
        left.has_ended = match host.glance(left.id.pid) {
            Ok(stat) => stat.start != left.id.start || stat.is_dead(),
            Err(why) => why == Why::Gone && host.exists(left.id.pid) == Ok(false),
        };
    }
}

/// Gives init a moment to collect what has ended: only what is still a zombie then is worth a word.
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

/// Whether the process that started then has ended and was not collected.
fn is_zombie<H: Host>(host: &H, pid: Pid, start: StartTime) -> bool {
    host.glance(pid).is_ok_and(|stat| stat.start == start && stat.is_dead())
}

/// Joins the records of one sweep: when, and by whom.
fn sweep_id<H: Host>(ground: &Ground<H>) -> String {
    format!("{}-{}", ground.host.clock().realtime.as_millis(), ground.host.here().pid)
}
