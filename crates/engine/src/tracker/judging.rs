//! Looking at processes: at new ones, and again at those whose time has come; and what each look leads to.

use std::sync::Arc;

use reaper_platform::{Host, Pid, Pinned as _, ProcId, Waiter as _, Why};

use super::{BATCH, Event, HELD_SHARE, Keeper, NEWBORN, Tracked, Watch};
use crate::deadline;
use crate::inspect::Looker;
use crate::sightings;
use crate::sweep;
use crate::sweep::{Look, Sight};
use crate::tracker::recheck::{Sort, longer};
use reaper_policy::case::How;
use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;
use reaper_policy::verdict::Verdict;

impl<H: Host> Keeper<H> {
    /// Looks at processes, at once unless they are very many.
    pub(super) fn look_at(&mut self, pids: Vec<Pid>) {
        self.pending.extend(pids);
        self.look_at_pending();
    }

    /// Reads and judges processes, and follows marked wrappers down.
    pub(super) fn look_at_pending(&mut self) {
        let mut room = BATCH;
        while room > 0 && !self.pending.is_empty() {
            let pids: Vec<Pid> = self.pending.iter().copied().take(room).collect();
            for pid in &pids {
                self.pending.remove(pid);
            }
            room -= pids.len();
            for (pid, look) in self.looks(pids) {
                if self.file(pid, look) {
                    let children = self.census.children(&*self.ground.host, pid).unwrap_or_default();
                    let fresh = children.into_iter().filter(|child| !self.tracked.contains_key(child));
                    self.pending.extend(fresh);
                }
            }
        }
    }

    pub(super) fn looks(&self, pids: Vec<Pid>) -> Vec<(Pid, Fact<Look>)> {
        let looker = Arc::new(Looker::new(&self.ground));
        let (clock, seen) = (self.clock(), Arc::new(self.sightings.clone()));
        let looks = deadline::map(pids.clone(), self.limit, move |pid| {
            sweep::look(&looker, *pid, false, |id| seen.past(id, &clock))
        });
        let looker = Looker::new(&self.ground);
        let settled = |pid: Pid, look: Fact<Look>| match look {
            Ok(look) => Ok(look),
            Err(Why::Gone) => Err(Why::Gone),
            Err(why) => looker.judge_unread(pid, &why).map(|j| Look::Judged(Box::new(j), Sight::None)),
        };
        let looks = looks.into_iter().map(Result::flatten);
        pids.into_iter().zip(looks).map(|(pid, look)| (pid, settled(pid, look))).collect()
    }

    /// Files what a look at a process found; says whether what is below it must be looked at, too.
    fn file(&mut self, pid: Pid, look: Fact<Look>) -> bool {
        if let Ok(Look::Judged(judgement, _)) = &look {
            let (clock, here) = (self.clock(), self.ground.host.here());
            for host in &judgement.hosts {
                self.sightings.note_host(*host, &clock, here);
            }
        }
        let why = match look {
            Ok(Look::Judged(judgement, sight)) if judgement.is_notable() || judgement.is_wrapper => {
                self.innocents.remove(pid);
                return self.track(*judgement, sight == Sight::None);
            }
            Ok(Look::Judged(..) | Look::Nothing | Look::Zombie(_)) => None,
            Err(Why::Gone) => return false,
            Err(why) => Some(why),
        };
        let (now, interval) = (self.clock().monotonic, self.ground.policy.interval);
        self.innocents.file(pid, Sort::of(why.as_ref()), now, interval);
        false
    }

    fn track(&mut self, judgement: Judgement, is_unreadable: bool) -> bool {
        let id = judgement.id;
        let is_wrapper = judgement.is_wrapper;
        let process = if self.held + self.family.held() < self.ground.host.pin_limit() / HELD_SHARE {
            match self.ground.host.pin(id.pid) {
                Ok(process) if process.id() == id => {
                    self.watch(&process, Watch::Tracked(id)).then(|| Arc::new(process))
                }
                Ok(_) | Err(Why::Gone) => return false,
                Err(_) => None,
            }
        } else {
            None
        };
        let now = self.clock().monotonic;
        self.held += usize::from(process.is_some());
        let before = self.tracked.insert(
            id.pid,
            Tracked {
                process,
                judgement: judgement.clone(),
                is_unreadable,
                judged: now,
                next: now,
                failing: None,
                is_deferred: false,
            },
        );
        self.held -= usize::from(before.is_some_and(|before| before.process.is_some()));
        self.take_in(judgement, true);
        is_wrapper
    }

    pub(super) fn watch(&mut self, process: &H::Pinned, what: Watch) -> bool {
        self.last_token += 1;
        let watched = self.waiter.watch(process, self.last_token).is_ok();
        if watched {
            self.watched.insert(self.last_token, what);
        }
        watched
    }

    /// Takes in a judgement of a tracked process.
    fn take_in(&mut self, judgement: Judgement, is_new: bool) {
        let (clock, interval) = (self.clock(), self.ground.policy.interval);
        let Some(tracked) = self.tracked.get_mut(&judgement.id.pid) else { return };
        (tracked.judged, tracked.failing) = (clock.monotonic, None);
        tracked.next = match judgement.verdict {
            Verdict::Wait(left) => clock.monotonic + left,
            Verdict::Reap => clock.monotonic,
            // The next tick does it; no need to wake for it alone.
            Verdict::Spare | Verdict::Unknown => clock.monotonic + interval / 2,
        };
        if judgement.is_orphan() {
            let here = self.ground.host.here();
            self.sightings.note(judgement.id, &clock, here);
            if sightings::is_newborn(&judgement.id, &clock, here) && judgement.verdict != Verdict::Reap {
                // It could not be remembered yet, and its grace must not begin a whole grace later.
                tracked.next = clock.monotonic + NEWBORN;
            }
        } else if judgement.verdict == Verdict::Spare {
            self.sightings.clear(&judgement.id, &clock);
        }
        let before = &tracked.judgement;
        let is_news = is_new
            || before.verdict.name() != judgement.verdict.name()
            || before.decided_by != judgement.decided_by;
        tracked.judgement = judgement.clone();
        if is_news {
            self.events.push(Event::Judged(Box::new(judgement)));
        }
    }

    /// Judges again whoever is due, through the handle that holds it; the rest of very many at the next call.
    pub fn look_again(&mut self) {
        self.look_at_pending();
        let now = self.clock().monotonic;
        let due: Vec<(Pid, Option<Arc<H::Pinned>>)> = self
            .tracked
            .iter()
            .filter(|(_, t)| t.next <= now && !t.is_deferred && !self.busy.contains(&t.judgement.id))
            .map(|(pid, t)| (*pid, t.process.clone()))
            .take(BATCH)
            .collect();
        if due.is_empty() {
            return;
        }
        let ground = self.ground.clone();
        let looker = Looker::new(&self.ground);
        let (clock, seen) = (self.clock(), self.sightings.clone());
        let judgements = deadline::map(due.clone(), self.limit, move |(pid, process)| {
            let past = |id: &ProcId| seen.past(id, &clock);
            match process {
                Some(process) => looker.judge(process, How::Candidate, past),
                None => {
                    let process = ground.host.pin(*pid)?;
                    looker.judge(&process, How::Candidate, past)
                }
            }
        });
        for ((pid, _), judgement) in due.into_iter().zip(judgements.into_iter().map(Result::flatten)) {
            let same = |j: &Judgement| self.tracked.get(&pid).is_some_and(|t| t.judgement.id == j.id);
            match judgement {
                Ok(j) if same(&j) && (j.is_notable() || j.is_wrapper) => self.take_in(j, false),
                // It is somebody else now, or of no interest any more.
                Ok(_) | Err(Why::Gone) => self.forget(pid),
                Err(why) => {
                    let interval = self.ground.policy.interval;
                    if let Some(tracked) = self.tracked.get_mut(&pid) {
                        let wait = longer(tracked.failing, interval, Sort::of(Some(&why))).max(interval);
                        (tracked.failing, tracked.next) = (Some(wait), now + wait);
                    }
                }
            }
        }
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        if let Some(tracked) = self.tracked.remove(&pid) {
            self.held -= usize::from(tracked.process.is_some());
            self.sightings.clear(&tracked.judgement.id, &self.ground.host.clock());
            self.events.push(Event::Gone(tracked.judgement.id));
        }
    }
}
