//! A sweep, from top to bottom: census, gates, plan, terminate, and another look at what is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, HostError, Pid, ProcId, Why};

use crate::census::{self, Census};
use crate::facts::Fact;
use crate::gates::How;
use crate::look::{Ground, Judgement, Looker};
use crate::patience;
use crate::plan::{Plan, plan};
use crate::report::history::Account;
use crate::sightings::{Past, Sightings};
use crate::state::StateError;
use crate::terminate::{Ended, Terminator, Watcher};
use crate::tree;
use crate::verdict::{Answer, Gate, Verdict};

/// Rounds of "look again and end what is new": a process can fork while it is being ended.
const MAX_ROUNDS: usize = 3;

/// What was seen and decided.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What was looked at.
    pub census: Census,
    /// What was decided about each process that is of any interest.
    pub judgements: Vec<Judgement>,
    /// What would be done.
    pub plan: Plan,
    /// How many processes of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read, although there were processes to read them from.
    pub blind: bool,
}

impl Survey {
    /// Whether everything that had to be seen was seen.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.blind
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
    /// It was judged; and whether its environment could be read.
    Judged(Box<Judgement>, bool),
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
    let census = census::take(&*ground.host, &ground.policy, ground.us.scope)?;
    let clock = ground.host.clock();
    let seen = Arc::new(sightings.clone());
    let looker = Arc::new(Looker::new(ground));
    let mut survey = Survey {
        unreadable: census.unreadable,
        judgements: Vec::new(),
        plan: Plan::default(),
        blind: false,
        census,
    };
    let (mut read, mut unread) = (0, 0);
    let mut pending = survey.census.candidates.clone();
    let mut known: HashSet<Pid> = pending.iter().copied().collect();
    // Orphans whose parent is a wrapper hang below the adopters' children, so wrappers are followed down.
    while !pending.is_empty() {
        let (looker, seen) = (Arc::clone(&looker), Arc::clone(&seen));
        let asked = std::mem::take(&mut pending);
        let looks = patience::map(asked.clone(), limit, move |pid| {
            look(&looker, *pid, everything, |id| seen.past(id, &clock))
        });
        for (pid, look) in asked.into_iter().zip(looks) {
            match look {
                Ok(Ok(Look::Nothing)) => read += 1,
                Ok(Ok(Look::Judged(judgement, readable))) => {
                    if readable {
                        read += 1;
                    } else {
                        survey.unreadable += 1;
                        unread += usize::from(judgement.answer(Gate::Unprotected) != Answer::No);
                    }
                    if judgement.is_wrapper {
                        let children = survey.census.children(&*ground.host, pid).unwrap_or_default();
                        pending.extend(children.into_iter().filter(|c| known.insert(*c)));
                    }
                    survey.judgements.push(*judgement);
                }
                Ok(Err(Why::Gone)) => {}
                Ok(Err(_)) | Err(_) => {
                    survey.unreadable += 1;
                    unread += 1;
                }
            }
        }
    }
    survey.blind = unread > 0 && read == 0;
    survey.judgements.sort_by_key(|j| j.id.pid);
    let roots: Vec<&Judgement> = survey.judgements.iter().filter(|j| j.verdict == Verdict::Reap).collect();
    let apart = roots.iter().map(|root| root.id.pid).collect();
    let trees = tree::read(ground, &survey.census, &roots, &apart, limit);
    survey.plan = plan(&trees, ground.policy.reach(), ground.policy.max_targets().get());
    Ok(survey)
}

/// Looks at one candidate: at its environment alone first, because nearly all are unmarked.
pub(crate) fn look<H: Host>(
    looker: &Looker<H>,
    pid: Pid,
    everything: bool,
    past: impl Fn(&ProcId) -> Past,
) -> Fact<Look> {
    let first = looker.host.glance_environ(pid, &looker.wanted);
    if !everything && !looker.is_interesting(&first) {
        return match first {
            Err(why) => Err(why),
            Ok(_) => Ok(Look::Nothing),
        };
    }
    let process = looker.host.pin(pid)?;
    let judgement = looker.judge(&process, How::Candidate, past)?;
    Ok(Look::Judged(Box::new(judgement), first.is_ok()))
}

/// Remembers the orphans that a survey saw, and forgets processes that are no more.
pub fn remember<H: Host>(ground: &Ground<H>, survey: &Survey, sightings: &mut Sightings) {
    let (clock, here) = (ground.host.clock(), ground.host.here());
    for orphan in survey.orphans() {
        sightings.note(orphan.id, &clock, here);
    }
    for spared in survey.judgements.iter().filter(|j| j.verdict == Verdict::Spare) {
        sightings.clear(&spared.id, &clock);
    }
    sightings.retain(|pid| ground.host.exists(pid) != Ok(false));
}

/// Ends what was planned, then looks again for what was forked or orphaned meanwhile. Beside what
/// became of the targets, it returns why an account could not be written, if one could not.
///
/// # Errors
/// When processes cannot be waited for.
pub fn end<H: Host>(
    ground: &Ground<H>,
    plan: &Plan,
    sightings: &Sightings,
    account: &mut dyn Account,
    watcher: &mut dyn Watcher,
    limit: Duration,
) -> Result<(Vec<Ended>, Option<StateError>), HostError> {
    let sweep = sweep_id(ground);
    let seen = Arc::new(sightings.clone());
    let host = Arc::clone(&ground.host);
    let past = Arc::new(move |id: &ProcId| seen.past(id, &host.clock()));
    let mut terminator = Terminator { ground, past, account, watcher, sweep: &sweep, limit, trouble: None };
    let mut ended: Vec<Ended> = Vec::new();
    let mut targets = plan.targets.clone();
    let room = ground.policy.max_targets().get();
    for _ in 0..MAX_ROUNDS {
        if targets.is_empty() || terminator.trouble.is_some() || terminator.watcher.is_stopped() {
            break;
        }
        ended.extend(terminator.run(&targets)?);
        targets = tree::leftovers(ground, &ended, limit);
        targets.truncate(room.saturating_sub(ended.len()));
    }
    Ok((ended, terminator.trouble))
}

/// Joins the records of one sweep: when, and by whom.
fn sweep_id<H: Host>(ground: &Ground<H>) -> String {
    format!("{}-{}", ground.host.clock().realtime.as_millis(), ground.host.here().pid)
}
