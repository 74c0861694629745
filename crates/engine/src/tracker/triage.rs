//! The first inspection of an unknown process, by its pid.
//!
//! Nearly all processes carry no marker, so the environment alone is searched first. What remains is opened and judged;
//! what cannot be read, or not in time, is judged by the facts that need no access to its memory.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, StartTime, Why};

use super::environment::Environment;
use crate::context::Context;
use crate::deadline;
use crate::inspect::Inspector;
use crate::sightings::Sightings;
use reaper_policy::case::Capacity;
use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;

/// The result of inspecting one process.
#[derive(Debug, Clone)]
pub enum Triaged {
    /// The process no longer exists.
    Gone,
    /// It belongs to another user, so it was not inspected.
    Foreign,
    /// It has ended, and its parent has not collected it.
    Zombie(StartTime),
    /// Its environment was read and has no marker.
    Unmarked,
    /// It was judged, perhaps only by facts that need no access to its memory.
    Judged(Arc<Judgement>, Environment),
    /// It exists, but not even those facts could be read.
    Failed(Environment),
}

impl Triaged {
    /// The result of reading the environment of the process.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        match self {
            Self::Gone | Self::Foreign | Self::Zombie(_) => Environment::None,
            Self::Unmarked => Environment::Intact,
            Self::Judged(_, environment) | Self::Failed(environment) => *environment,
        }
    }

    /// The start time of the process, if it is a zombie.
    #[must_use]
    pub fn zombie(&self) -> Option<StartTime> {
        match self {
            Self::Zombie(start) => Some(*start),
            Self::Judged(judgement, _) => Some(judgement.stat.start).filter(|_| judgement.stat.is_dead()),
            _ => None,
        }
    }
}

/// Inspects processes in one round. Facts about parents, owners and services are read once and cached, so a new value
/// is made for each round.
pub struct Triage<H: Host> {
    inspector: Arc<Inspector<H>>,
    sightings: Arc<Sightings>,
    everything: bool,
    limit: Duration,
}

impl<H: Host> Triage<H> {
    /// Begins a round with these sightings. With `everything`, unmarked processes are judged as well. Reading one
    /// process may take at most `limit`.
    #[must_use]
    pub fn new(context: &Context<H>, sightings: &Sightings, everything: bool, limit: Duration) -> Self {
        let (inspector, sightings) = (Arc::new(Inspector::new(context)), Arc::new(sightings.clone()));
        Self { inspector, sightings, everything, limit }
    }

    /// Inspects processes; results are in order.
    #[must_use]
    pub fn run(&self, pids: Vec<Pid>) -> Vec<(Pid, Triaged)> {
        let (inspector, sightings, everything) =
            (Arc::clone(&self.inspector), Arc::clone(&self.sightings), self.everything);
        let clock = self.inspector.context.host.clock();
        let looks = deadline::map(pids.clone(), self.limit, move |pid| {
            look(&inspector, *pid, everything, |id| sightings.past(id, &clock))
        });
        let looks = looks.into_iter().map(Result::flatten);
        pids.into_iter().zip(looks).map(|(pid, look)| (pid, self.settle(pid, look))).collect()
    }

    fn settle(&self, pid: Pid, look: Fact<Triaged>) -> Triaged {
        let why = match look {
            Ok(look) => return look,
            Err(Why::Gone) => return Triaged::Gone,
            Err(why) => why,
        };
        let environment = Environment::unread(&why);
        match self.inspector.judge_unread(pid, &why) {
            Ok(judgement) => Triaged::Judged(Arc::new(judgement), environment),
            Err(Why::Gone) => Triaged::Gone,
            Err(_) => Triaged::Failed(environment),
        }
    }
}

fn look<H: Host>(
    inspector: &Inspector<H>,
    pid: Pid,
    everything: bool,
    past: impl Fn(&ProcId) -> reaper_policy::past::Past,
) -> Fact<Triaged> {
    let first = inspector.context.host.environ_of(pid, &inspector.context.wanted);
    if !everything && !inspector.is_interesting(&first) {
        // A zombie has no environment.
        if first.as_ref().map_or(true, |scan| scan.len == 0)
            && let Ok(stat) = inspector.context.host.stat_of(pid)
            && stat.is_dead()
        {
            return Ok(Triaged::Zombie(stat.start));
        }
        return first.map(|_| Triaged::Unmarked);
    }
    let judgement = inspector.judge(&inspector.context.host.open(pid)?, Capacity::Candidate, past)?;
    let environment = Environment::of(&first, &judgement);
    Ok(Triaged::Judged(Arc::new(judgement), environment))
}
