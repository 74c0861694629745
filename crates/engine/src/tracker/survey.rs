//! What can be seen of a tracker: all that its first tick saw and decided, and how well it can see.

use crate::discover::Census;
use crate::discover::method::Method;
use crate::visibility::Lonely;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;

/// What was seen and decided by one look at all processes.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What was looked at.
    pub census: Census,
    /// What was decided about each process that was judged, by pid.
    pub judgements: Vec<Judgement>,
    /// What is to be done now.
    pub plan: Plan,
    /// What would be done once the orphans in grace have waited long enough. Only ever shown.
    pub later: Plan,
    /// How many processes of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read, although there were processes to read them from.
    pub blind: bool,
    /// Why no process that we could look after can be here.
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

/// How well the service can see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// How the last census was taken.
    pub method: Option<Method>,
    /// How many processes it looked at.
    pub examined: usize,
    /// How many of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read, although there were processes to read them from.
    pub blind: bool,
    /// Why no process that we could look after can be here.
    pub lonely: Option<Lonely>,
}
