//! A sweep, from top to bottom: census, gates, plan, terminate, and another look at what is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Condition, Host, HostError, Pid, ProcId, StartTime, Why};

use crate::audit::record::Account;
use crate::context::Ground;
use crate::deadline;
use crate::discover;
use crate::discover::Census;
use crate::inspect::Looker;
use crate::sightings;
use crate::sightings::Sightings;
use crate::terminate;
use crate::terminate::outcome::Ended;
use crate::terminate::trouble::Trouble;
use crate::terminate::{Terminator, Watcher};
use crate::tree;
use crate::visibility::Lonely;
use reaper_policy::case::How;
use reaper_policy::escalation::Outcome;
use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;
use reaper_policy::past::Past;
use reaper_policy::plan::{LeftAlone, Plan, plan};
use reaper_policy::verdict::{Answer, Gate, Verdict};

/// Rounds of "look again and end what is new": a process can fork while it is being ended.
const MAX_ROUNDS: usize = 3;

/// What was seen and decided.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What was looked at.
    pub census: Census,
    /// What was decided about each process that is of any interest.
    pub judgements: Vec<Judgement>,
    /// What is to be done now.
    pub plan: Plan,
    /// What would be done once the orphans in grace have waited long enough. Only ever shown.
    pub later: Plan,
    /// How many processes of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read, although there were processes to read them from.
    pub blind: bool,
    /// Why nobody that we could look after can be here.
    pub lonely: Option<Lonely>,
    /// How many candidates could not even be judged as unknown.
    pub lost: usize,
    /// How many have ended and were not collected by their adopter.
    pub zombies: usize,
}

impl Survey {
    /// Whether everything that had to be seen was seen.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.census.complete && !self.blind && self.lonely.is_none() && self.lost == 0
    }

    /// What kept it from being complete, in words.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.blind {
            troubles.push("not one environment could be read, so no marker can be seen".to_owned());
        }
        troubles.extend(self.lonely.as_ref().map(Lonely::what));
        if !self.census.complete || self.lost > 0 {
            troubles.push("not all processes could be looked at, so there may be more orphans".to_owned());
        }
        troubles
    }

    /// Orphans, in grace or past it.
    pub fn orphans(&self) -> impl Iterator<Item = &Judgement> {
        self.judgements.iter().filter(|j| j.is_orphan())
    }
}

/// What became of one candidate at the first look.
pub(crate) enum Look {
    /// It is gone, or of no interest.
    Nothing,
    /// It has ended, and its parent has not collected it.
    Zombie(StartTime),
    /// It was judged; and how its environment was seen.
    Judged(Box<Judgement>, Sight),
}

/// How an environment was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// As `execve(2)` was given it.
    Clear,
    /// It was read, and proves nothing.
    Garbled,
    /// There is none any more: the process is on its way out.
    Released,
    /// The system keeps it from everybody.
    Withheld,
    /// Not at all.
    None,
}

/// Looks at all processes and decides. Nothing is changed.
///
/// # Errors
/// When processes cannot be listed at all.
pub fn survey<H: Host>(
    ground: &Ground<H>,
    sightings: &Sightings,
    everything: bool,
    limit: Duration,
) -> Result<Survey, HostError> {
    let census = discover::take(&ground.host, &ground.policy, ground.us.scope)?;
    let clock = ground.host.clock();
    let seen = Arc::new(sightings.clone());
    let looker = Arc::new(Looker::new(ground));
    let mut survey = Survey {
        unreadable: census.unreadable,
        judgements: Vec::new(),
        plan: Plan::default(),
        later: Plan::default(),
        blind: false,
        lonely: Lonely::look(ground, &census.children, !census.candidates.is_empty()),
        lost: 0,
        zombies: 0,
        census,
    };
    let (mut read, mut unread) = (0, 0);
    let mut zombies: Vec<(Pid, StartTime)> = Vec::new();
    let mut pending = survey.census.candidates.clone();
    let mut known: HashSet<Pid> = pending.iter().copied().collect();
    // Orphans whose parent is a wrapper hang below the adopters' children, so wrappers are followed down.
    while !pending.is_empty() {
        let seen = Arc::clone(&seen);
        let asked = std::mem::take(&mut pending);
        let looks = {
            let looker = Arc::clone(&looker);
            deadline::map(asked.clone(), limit, move |pid| {
                look(&looker, *pid, everything, |id| seen.past(id, &clock))
            })
        };
        for (pid, look) in asked.into_iter().zip(looks) {
            match look {
                Ok(Ok(Look::Nothing)) => read += 1,
                Ok(Ok(Look::Zombie(start))) => zombies.push((pid, start)),
                Ok(Ok(Look::Judged(judgement, sight))) => {
                    survey.unreadable += usize::from(!matches!(sight, Sight::Clear | Sight::Released));
                    match sight {
                        // What is withheld from everybody is no sign that we, of all, cannot see.
                        Sight::Released | Sight::Withheld => {}
                        // What a process did to its own environment says nothing of our sight.
                        Sight::Clear | Sight::Garbled => read += 1,
                        Sight::None => {
                            unread += usize::from(judgement.answer(Gate::Unprotected) != Answer::No);
                        }
                    }
                    if judgement.stat.is_dead() {
                        zombies.push((pid, judgement.stat.start));
                    }
                    if judgement.is_wrapper {
                        let children = survey.census.children(&*ground.host, pid).unwrap_or_default();
                        pending.extend(children.into_iter().filter(|c| known.insert(*c)));
                    }
                    survey.judgements.push(*judgement);
                }
                Ok(Err(Why::Gone)) => {}
                Ok(Err(why)) | Err(why) => match looker.judge_unread(pid, &why) {
                    Err(Why::Gone) => {}
                    judged => {
                        survey.unreadable += 1;
                        unread += 1;
                        survey.lost += usize::from(judged.is_err());
                        survey.judgements.extend(judged.ok());
                    }
                },
            }
        }
    }
    survey.blind = unread > 0 && read == 0;
    survey.judgements.sort_by_key(|j| j.id.pid);
    // Between its end and its collection every process is a zombie for a moment.
    survey.zombies = zombies.iter().filter(|(pid, start)| is_zombie(&*ground.host, *pid, *start)).count();
    let (due, waiting): (Vec<&Judgement>, Vec<&Judgement>) =
        survey.orphans().partition(|j| j.verdict == Verdict::Reap);
    let trees = |roots: &[&Judgement]| tree::read(ground, &survey.census, roots, &survey.judgements, limit);
    let (reach, cap) = (ground.policy.reach, ground.policy.max_targets.get());
    let now = plan(&trees(&due), reach, cap);
    let later = plan(&trees(&waiting), reach, usize::MAX);
    (survey.plan, survey.later) = (now, later);
    Ok(survey)
}

/// Looks at one candidate: at its environment alone first, because nearly all are unmarked.
pub(crate) fn look<H: Host>(
    looker: &Looker<H>,
    pid: Pid,
    everything: bool,
    past: impl Fn(&ProcId) -> Past,
) -> Fact<Look> {
    let first = looker.ground.host.glance_environ(pid, &looker.ground.wanted);
    if !everything && !looker.is_interesting(&first) {
        // A zombie has no environment any more.
        if first.as_ref().map_or(true, |scan| scan.len == 0)
            && let Ok(stat) = looker.ground.host.glance(pid)
            && stat.is_dead()
        {
            return Ok(Look::Zombie(stat.start));
        }
        return first.map(|_| Look::Nothing);
    }
    let process = looker.ground.host.pin(pid)?;
    let judgement = looker.judge(&process, How::Candidate, past)?;
    let sight = match first {
        _ if !judgement.stat.has_memory => Sight::Released,
        Ok(scan) if scan.condition == Condition::Intact => Sight::Clear,
        Ok(_) => Sight::Garbled,
        Err(Why::Withheld) => Sight::Withheld,
        Err(_) => Sight::None,
    };
    Ok(Look::Judged(Box::new(judgement), sight))
}

/// Whether the process that started then has ended and was not collected.
fn is_zombie<H: Host>(host: &H, pid: Pid, start: StartTime) -> bool {
    host.glance(pid).is_ok_and(|stat| stat.start == start && stat.is_dead())
}

/// Remembers the orphans that a survey saw, and forgets processes that are no more.
pub fn remember<H: Host>(ground: &Ground<H>, survey: &Survey, sightings: &mut Sightings) {
    let here = ground.host.here();
    let mut clock = ground.host.clock();
    if survey.orphans().any(|orphan| sightings::is_newborn(&orphan.id, &clock, here)) {
        // It could not be remembered yet, and its grace would begin with the next look only.
        ground.host.sleep(here.start_clock.unit() + Duration::from_millis(1));
        clock = ground.host.clock();
    }
    for orphan in survey.orphans() {
        sightings.note(orphan.id, &clock, here);
    }
    for host in survey.judgements.iter().flat_map(|j| &j.hosts) {
        sightings.note_host(*host, &clock, here);
    }
    // Who was in its place meanwhile must be seen orphaned for the whole grace anew.
    for spared in survey.judgements.iter().filter(|j| j.verdict == Verdict::Spare) {
        sightings.clear(&spared.id, &clock);
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

/// Joins the records of one sweep: when, and by whom.
fn sweep_id<H: Host>(ground: &Ground<H>) -> String {
    format!("{}-{}", ground.host.clock().realtime.as_millis(), ground.host.here().pid)
}
