//! What the handles tell: who has ended, whom that leaves an orphan, and whose end is worth knowing.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, HostError, Pid, ProcId, Waiter as _};

use super::{BATCH, HELD_SHARE, Keeper, Watch};
use crate::sweep::Look;
use reaper_policy::verdict::{Answer, Gate};

impl<H: Host> Keeper<H> {
    /// Takes in which watched processes have ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exits(&mut self) -> Result<(), HostError> {
        loop {
            let tokens = self.waiter.wait(Duration::ZERO)?;
            if tokens.is_empty() {
                return Ok(());
            }
            let mut bereaved = Vec::new();
            for token in tokens {
                let Some(watch) = self.watched.remove(&token) else { continue };
                match watch {
                    Watch::Tracked(id) => {
                        if self.tracked.get(&id.pid).is_some_and(|t| t.judgement.id == id) {
                            self.forget(id.pid);
                        }
                    }
                    Watch::Elder(id) => bereaved.extend(self.bereave(&id)),
                }
            }
            self.look_at(bereaved.clone());
            // Whoever has another parent that lives is in its place again.
            bereaved.retain(|pid| !self.tracked.contains_key(pid) && !self.pending.contains(pid));
            if !bereaved.is_empty() {
                self.meet(bereaved);
            }
            self.look_again();
        }
    }

    /// Remembers what the end of an elder proves about those below it, and returns whom to look at now.
    pub(super) fn bereave(&mut self, elder: &ProcId) -> Vec<Pid> {
        let (clock, here) = (self.clock(), self.ground.host.here().clone());
        let mut look_at = Vec::new();
        for (id, ties) in self.family.bury(elder) {
            self.sightings.tie(id, ties, &clock, &here);
            match self.tracked.get_mut(&id.pid) {
                Some(tracked) => tracked.next = clock.monotonic,
                None => {
                    self.innocents.remove(id.pid);
                    look_at.push(id.pid);
                }
            }
        }
        look_at
    }

    /// Walks over all processes, for agents in their place and for orphans that the lists lack.
    pub(super) fn meet_families(&mut self) -> Result<(), HostError> {
        let begun = self.clock();
        let walk = self.ground.host.walk(self.ground.us.scope)?;
        let strangers = self.family.walk(self.ground.host.here().start_clock, begun, &walk);
        let stray = self.family.strays(&walk, &self.census.adopters);
        drop(walk);
        for some in strangers.chunks(BATCH) {
            self.meet(some.to_vec());
        }
        self.look_at(stray.into_iter().filter(|pid| !self.tracked.contains_key(pid)).collect());
        self.drop_watches();
        let host = Arc::clone(&self.ground.host);
        self.sightings.retain(|pid| host.exists(pid) != Ok(false));
        self.family.walked(begun.monotonic, self.clock().monotonic);
        Ok(())
    }

    /// Forgets whose handles are closed: those never tell anything any more.
    pub(super) fn drop_watches(&mut self) {
        let (tracked, family) = (&self.tracked, &self.family);
        self.watched.retain(|_, watch| match watch {
            Watch::Tracked(id) => tracked.get(&id.pid).is_some_and(|t| t.judgement.id == *id),
            Watch::Elder(id) => family.holds(id),
        });
    }

    /// Judges strangers, and remembers those who are agents in their place.
    pub(super) fn meet(&mut self, strangers: Vec<Pid>) {
        let room = (self.ground.host.pin_limit() / HELD_SHARE).saturating_sub(self.tracked.len());
        for (_, look) in self.looks(strangers) {
            let Ok(Look::Judged(judgement, _)) = look else { continue };
            if judgement.answer(Gate::Orphan) != Answer::No || judgement.profiles.is_empty() {
                continue;
            }
            self.family.admit(&judgement);
        }
        let (clock, here) = (self.clock(), self.ground.host.here().clone());
        for (id, ties) in self.family.settle(&self.ground) {
            self.sightings.tie(id, ties, &clock, &here);
        }
        for (id, process) in self.family.elders_to_watch(&self.ground, room) {
            if self.watch(&process, Watch::Elder(id)) {
                self.family.hold(id, process);
            }
        }
    }
}
