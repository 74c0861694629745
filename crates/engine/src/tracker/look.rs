//! The first look at a process that is not known yet, by its pid.
//!
//! Nearly all processes carry no marker, so the environment alone is searched first. What that leaves is opened and
//! judged; what cannot be read, or not in time, is judged by what can be told without its memory.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, StartTime, Why};

use super::environment::Environment;
use crate::context::Ground;
use crate::deadline;
use crate::inspect::Looker;
use crate::sightings::Sightings;
use reaper_policy::case::How;
use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;

/// What a look at one process came to.
#[derive(Debug, Clone)]
pub enum Look {
    /// There is no such process any more.
    Gone,
    /// It belongs to another user, so it was not looked at.
    Foreign,
    /// It has ended, and its parent has not collected it.
    Zombie(StartTime),
    /// Its environment was read, and leaves nothing to judge.
    Unmarked,
    /// It was judged, if only by what can be read without its memory.
    Judged(Arc<Judgement>, Environment),
    /// It exists, and not even that could be read.
    Failed(Environment),
}

impl Look {
    /// How the environment of the process could be read.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        match self {
            Self::Gone | Self::Foreign | Self::Zombie(_) => Environment::None,
            Self::Unmarked => Environment::Intact,
            Self::Judged(_, environment) | Self::Failed(environment) => *environment,
        }
    }

    /// When the process started, if it has ended and was not collected.
    #[must_use]
    pub fn zombie(&self) -> Option<StartTime> {
        match self {
            Self::Zombie(start) => Some(*start),
            Self::Judged(judgement, _) => Some(judgement.stat.start).filter(|_| judgement.stat.is_dead()),
            _ => None,
        }
    }
}

/// Looks at processes. What is read of their parents, owners and services is read once, so it is made anew for each
/// round of looks.
pub struct Inspector<H: Host> {
    looker: Arc<Looker<H>>,
    sightings: Arc<Sightings>,
    everything: bool,
    limit: Duration,
}

impl<H: Host> Inspector<H> {
    /// Begins a round of looks with this memory of earlier ones. With `everything`, unmarked processes are judged as
    /// well. No process may take longer than `limit`.
    #[must_use]
    pub fn new(ground: &Ground<H>, sightings: &Sightings, everything: bool, limit: Duration) -> Self {
        let (looker, sightings) = (Arc::new(Looker::new(ground)), Arc::new(sightings.clone()));
        Self { looker, sightings, everything, limit }
    }

    /// Looks at processes, in order.
    #[must_use]
    pub fn look(&self, pids: Vec<Pid>) -> Vec<(Pid, Look)> {
        let (looker, sightings, everything) =
            (Arc::clone(&self.looker), Arc::clone(&self.sightings), self.everything);
        let clock = self.looker.ground.host.clock();
        let looks = deadline::map(pids.clone(), self.limit, move |pid| {
            look(&looker, *pid, everything, |id| sightings.past(id, &clock))
        });
        let looks = looks.into_iter().map(Result::flatten);
        pids.into_iter().zip(looks).map(|(pid, look)| (pid, self.settle(pid, look))).collect()
    }

    fn settle(&self, pid: Pid, look: Fact<Look>) -> Look {
        let why = match look {
            Ok(look) => return look,
            Err(Why::Gone) => return Look::Gone,
            Err(why) => why,
        };
        let environment = Environment::unread(&why);
        match self.looker.judge_unread(pid, &why) {
            Ok(judgement) => Look::Judged(Arc::new(judgement), environment),
            Err(Why::Gone) => Look::Gone,
            Err(_) => Look::Failed(environment),
        }
    }
}

fn look<H: Host>(
    looker: &Looker<H>,
    pid: Pid,
    everything: bool,
    past: impl Fn(&ProcId) -> reaper_policy::past::Past,
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
        return first.map(|_| Look::Unmarked);
    }
    let judgement = looker.judge(&looker.ground.host.pin(pid)?, How::Candidate, past)?;
    let environment = Environment::of(&first, &judgement);
    Ok(Look::Judged(Arc::new(judgement), environment))
}
