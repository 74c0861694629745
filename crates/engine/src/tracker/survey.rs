//! Snapshots of a tracker: what its first tick saw and decided, and how complete its view is.

use crate::discover::Census;
use crate::discover::method::Method;
use crate::visibility::VisibilityProblem;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;

/// What one sweep over all processes saw and decided.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The census that it examined.
    pub census: Census,
    /// The judgements, by pid.
    pub judgements: Vec<Judgement>,
    /// The targets to end now.
    pub plan: Plan,
    /// The targets once the grace of all orphans is over. For display only.
    pub later: Plan,
    /// The number of processes in scope that could not be read.
    pub unreadable: usize,
    /// Whether no environment at all could be read, although there were processes to read.
    pub blind: bool,
    /// Why no process that reaper could look after is visible, if so.
    pub visibility_problem: Option<VisibilityProblem>,
    /// The number of candidates that could not even be judged as unknown.
    pub lost: usize,
    /// The number of zombies that their adopter did not collect.
    pub zombies: usize,
}

impl Survey {
    /// Whether the view was complete.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.census.complete && !self.blind && self.visibility_problem.is_none() && self.lost == 0
    }

    /// The reasons why the view was incomplete, in words.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.blind {
            troubles.push("not one environment could be read, so no marker can be seen".to_owned());
        }
        troubles.extend(self.visibility_problem.as_ref().map(VisibilityProblem::what));
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

/// How complete the service's view is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The method of the last census.
    pub method: Option<Method>,
    /// The number of processes that it examined.
    pub examined: usize,
    /// The number of processes in scope that could not be read.
    pub unreadable: usize,
    /// Whether no environment at all could be read, although there were processes to read.
    pub blind: bool,
    /// Why no process that reaper could look after is visible, if so.
    pub visibility_problem: Option<VisibilityProblem>,
}
