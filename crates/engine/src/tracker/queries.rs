//! What can be asked of the keeper without changing what it knows.

use std::collections::BTreeMap;
use std::time::Duration;

use reaper_platform::{Host, HostError, Pid, Waiter as _};

use super::{Keeper, View};
use crate::sweep;
use crate::tracker::cross_check::Difference;
use crate::visibility::Lonely;
use reaper_policy::judgement::Judgement;

impl<H: Host> Keeper<H> {
    /// The processes of interest, by pid.
    pub fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.tracked.values().map(|t| &t.judgement)
    }

    /// All children of the adopters that the last census listed, whoever's they are.
    #[must_use]
    pub fn adopted(&self) -> &[Pid] {
        &self.census.children
    }

    /// How well the last look could see, and whether anybody is there to be seen now. Ask once for each purpose: in a
    /// container the second part reads other processes.
    #[must_use]
    pub fn view(&self) -> View {
        let (innocents, hidden) = self.innocents.count();
        let unread = hidden + self.tracked.values().filter(|t| t.is_unreadable).count();
        let read = innocents + self.tracked.len() - unread;
        View {
            method: Some(self.census.method),
            examined: self.census.examined,
            unreadable: self.census.unreadable + unread,
            blind: unread > 0 && read == 0,
            lonely: Lonely::look(&self.ground, &self.census.children, read + unread > 0),
        }
    }

    /// Lets the waiter's descriptor tell when a moment of the monotonic clock has come; says whether it will.
    pub fn wake_at(&mut self, at: Duration) -> bool {
        // One that has come already was told already, and is told again only when it is set again.
        let is_set = (self.alarm == Some(at) && at > self.clock().monotonic) || self.waiter.wake_at(at);
        self.alarm = is_set.then_some(at);
        is_set
    }

    /// Whoever is being ended is left to that, and what a wrapper starts meanwhile is looked at when it is over.
    fn is_left_alone(&self, judgement: &Judgement) -> bool {
        let parent = judgement.stat.ppid;
        self.busy.contains(&judgement.id) || self.busy.iter().any(|id| Some(id.pid) == parent)
    }

    /// Where a stateless look with the same memory comes to another verdict, and goes on doing so.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn differences(&mut self) -> Result<Vec<String>, HostError> {
        let survey = sweep::survey(&self.ground, &self.sightings, false, self.limit)?;
        let said = |j: &Judgement| (j.verdict.name(), j.decided_by);
        let mut found: BTreeMap<Pid, Difference> = BTreeMap::new();
        for j in survey.judgements.iter().filter(|j| j.is_notable() && !self.is_left_alone(j)) {
            let looked_at = self.innocents.filed_at(j.id.pid);
            found.insert(j.id.pid, Difference { ours: None, theirs: Some(said(j)), looked_at });
        }
        for (pid, tracked) in &self.tracked {
            let ours = Some(said(&tracked.judgement)).filter(|_| tracked.judgement.is_notable());
            let theirs = found.remove(pid).and_then(|difference| difference.theirs);
            if ours != theirs && !self.is_left_alone(&tracked.judgement) {
                found.insert(*pid, Difference { ours, theirs, looked_at: Some(tracked.judged) });
            }
        }
        Ok(self.differences.take_in(&found, self.clock().monotonic))
    }
}
