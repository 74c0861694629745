//! The plans that are being executed, on threads of their own.

use std::collections::HashSet;

use reaper_platform::{ProcId, StartTime};

use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;

/// The plans that are being executed.
#[derive(Debug, Default)]
pub struct Ending {
    /// Their targets, and the roots of trees that were started from their leaves only.
    ids: HashSet<ProcId>,
    /// Each with its beginning, as the start time of a process that starts then.
    plans: Vec<(StartTime, Plan)>,
}

impl Ending {
    /// Whether a process is being ended.
    #[must_use]
    pub fn has(&self, id: &ProcId) -> bool {
        self.ids.contains(id)
    }

    /// Whether a process or its parent is being ended: what a wrapper starts meanwhile is inspected when that is over.
    #[must_use]
    pub fn concerns(&self, judgement: &Judgement) -> bool {
        let parent = judgement.stat.ppid;
        self.has(&judgement.id) || self.ids.iter().any(|id| Some(id.pid) == parent)
    }

    /// All processes that are being ended.
    #[must_use]
    pub const fn ids(&self) -> &HashSet<ProcId> {
        &self.ids
    }

    /// Records that a plan begins.
    pub fn begin(&mut self, now: StartTime, plan: &Plan) {
        self.ids.extend(everything(plan));
        if !plan.targets.is_empty() {
            self.plans.push((now, plan.clone()));
        }
    }

    /// Records that a plan is over; returns the processes that are no longer being ended.
    pub fn finish(&mut self, plan: &Plan) -> Vec<ProcId> {
        if let Some(at) = self.plans.iter().position(|(_, running)| running == plan) {
            self.plans.remove(at);
        }
        let over: Vec<ProcId> = everything(plan).collect();
        for id in &over {
            self.ids.remove(id);
        }
        over
    }

    /// Whether an orphan may be the successor of a target. The thread that ends that target then finds and ends it, and
    /// a second thread must not send it signals.
    #[must_use]
    pub fn may_have_become(&self, judgement: &Judgement) -> bool {
        self.plans.iter().any(|(began, plan)| {
            judgement.id.start >= *began
                && plan.targets.iter().any(|t| t.program == judgement.program && t.uid == judgement.uid)
        })
    }
}

/// The targets of a plan, and the roots of trees that are started from their leaves only.
fn everything(plan: &Plan) -> impl Iterator<Item = ProcId> + '_ {
    plan.targets.iter().flat_map(|target| [target.id, target.root])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judgement, plan};
    use super::*;
    use reaper_policy::verdict::Verdict;

    #[test]
    fn targets_are_being_ended_until_their_own_plan_is_over() {
        let (one, two) = (judgement(2, Verdict::Reap), judgement(3, Verdict::Reap));
        let (first, second) = (plan(&[&one]), plan(&[&two]));
        let mut ending = Ending::default();
        ending.begin(one.id.start, &first);
        ending.begin(one.id.start, &second);
        assert!(ending.has(&one.id) && ending.has(&two.id));
        assert!(ending.finish(&first).iter().all(|id| *id == one.id));
        assert!(!ending.has(&one.id) && ending.has(&two.id));
        ending.finish(&second);
        assert!(ending.ids().is_empty() && ending.plans.is_empty());
    }

    #[test]
    fn children_of_a_target_are_left_to_its_end() {
        let (target, mut child) = (judgement(2, Verdict::Reap), judgement(3, Verdict::Reap));
        let mut ending = Ending::default();
        ending.begin(target.id.start, &plan(&[&target]));
        assert!(ending.concerns(&target) && !ending.concerns(&child));
        child.stat.ppid = Some(target.id.pid);
        assert!(ending.concerns(&child));
    }

    #[test]
    fn the_same_program_started_since_may_be_a_successor() {
        let target = judgement(2, Verdict::Reap);
        let mut ending = Ending::default();
        let mut other = judgement(3, Verdict::Reap);
        let began = StartTime(other.id.start.0 + 5);
        ending.begin(began, &plan(&[&target]));
        assert!(!ending.may_have_become(&other), "it was running before");
        other.id.start = began;
        assert!(ending.may_have_become(&other));
        assert!(!ending.may_have_become(&Judgement { program: b"claude".to_vec(), ..other.clone() }));
        ending.finish(&plan(&[&target]));
        assert!(!ending.may_have_become(&other), "that is over");
    }
}
