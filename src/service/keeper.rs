//! What the service knows of its processes, kept up to date at the least cost.
//!
//! A tick reads the adopters' lists and looks only at children that are new. Whoever is of interest is held
//! by a handle that tells when it ends, and is not read again before its grace is over; everybody else is
//! looked at again now and then, because `exec` can make an agent of anyone. The keeper decides nothing by
//! itself: each judgement is the gates', and equals what a single `reaper scan` would say with the same memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, Pinned as _, ProcId, Waiter as _, Why};

use super::family::Family;
use crate::census::{self, Census, Known, Method};
use crate::escalation::Outcome;
use crate::facts::Fact;
use crate::look::{Ground, Judgement, Looker};
use crate::patience;
use crate::plan::{Plan, plan};
use crate::sightings::Sightings;
use crate::sweep::{self, Look};
use crate::terminate::Ended;
use crate::tree;
use crate::verdict::{Answer, Gate, Verdict};

/// When somebody of no interest is looked at again.
const INNOCENT: Duration = Duration::from_secs(60);
/// When a process that could not be ended is tried again.
const STUBBORN: Duration = Duration::from_secs(600);
/// Of all processes that can be held at once, the share that is kept free for ending some.
const HELD_SHARE: usize = 4;

/// Something that happened, for the log.
#[derive(Debug, Clone)]
pub enum Event {
    /// A process of interest appeared, or its verdict changed.
    Judged(Box<Judgement>),
    /// A process of interest ended, or lost all interest.
    Gone(ProcId),
}

/// How well the service can see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sight {
    /// How the last census was taken.
    pub method: Option<Method>,
    /// How many processes it looked at.
    pub examined: usize,
    /// How many of ours could not be read.
    pub unreadable: usize,
    /// Whether not one marker could be read, although there were processes to read them from.
    pub blind: bool,
}

struct Tracked<H: Host> {
    /// `None` when too many are held already; then it is pinned anew each time.
    process: Option<Arc<H::Pinned>>,
    judgement: Judgement,
    /// When it is to be judged again, on the monotonic clock.
    next: Duration,
    /// Whether it is being ended right now.
    is_ending: bool,
}

struct Innocent {
    next: Duration,
    is_unreadable: bool,
}

/// Whom a handle in the waiter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Tracked(ProcId),
    Elder(ProcId),
}

/// The incremental counterpart of [`sweep::survey`].
pub struct Keeper<H: Host> {
    ground: Ground<H>,
    /// What is remembered, across restarts too.
    pub sightings: Sightings,
    census: Census,
    innocents: HashMap<Pid, Innocent>,
    tracked: BTreeMap<Pid, Tracked<H>>,
    family: Family<H>,
    waiter: H::Waiter,
    watched: HashMap<u64, Watch>,
    last_token: u64,
    limit: Duration,
    events: Vec<Event>,
}

impl<H: Host> Keeper<H> {
    /// Begins with a full look at everything.
    ///
    /// # Errors
    /// When processes cannot be listed, or not be waited for.
    pub fn new(ground: Ground<H>, sightings: Sightings, limit: Duration) -> Result<Self, HostError> {
        let waiter = ground.host.waiter()?;
        let census = census::take(&*ground.host, &ground.policy, ground.us.scope)?;
        let mut keeper = Self {
            family: Family::new(),
            sightings,
            innocents: HashMap::new(),
            tracked: BTreeMap::new(),
            waiter,
            watched: HashMap::new(),
            last_token: 0,
            limit,
            events: Vec::new(),
            census,
            ground,
        };
        keeper.look_at(keeper.census.candidates.clone());
        keeper.meet_families()?;
        Ok(keeper)
    }

    /// Takes other settings; what is remembered stays, and everything is looked at again.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn reload(&mut self, ground: Ground<H>) -> Result<(), HostError> {
        self.ground = ground;
        self.census = census::take(&*self.ground.host, &self.ground.policy, self.ground.us.scope)?;
        self.innocents.clear();
        let now = self.clock().monotonic;
        for tracked in self.tracked.values_mut().filter(|t| !t.is_ending) {
            tracked.next = now;
        }
        self.look_again();
        self.look_at(self.new_candidates());
        self.meet_families()
    }

    /// Looks at what is new since the last tick, and again at what is due.
    ///
    /// # Errors
    /// When processes cannot be listed: then nothing is known, and nothing may be ended.
    pub fn tick(&mut self) -> Result<(), HostError> {
        let now = self.clock().monotonic;
        let tracked = &self.tracked;
        let innocents = &self.innocents;
        let is_known =
            |pid: Pid| tracked.contains_key(&pid) || innocents.get(&pid).is_some_and(|i| i.next > now);
        let known = Known { adopters: &self.census.adopters, is_known: &is_known };
        self.census = census::again(&*self.ground.host, &self.ground.policy, self.ground.us.scope, &known)?;
        // Only the innocent may be forgotten because a list lacks them: the lists are not atomic.
        let children = &self.census.children;
        self.innocents.retain(|pid, _| children.binary_search(pid).is_ok());
        let mut candidates = self.new_candidates();
        candidates.extend(self.wrapped());
        self.look_at(candidates);
        self.look_again();
        if self.family.is_walk_due(now) {
            self.meet_families()?;
        } else if self.family.is_visit_due(now) {
            let strangers = self.family.visit(&self.ground, self.tracked.keys().copied());
            self.meet(strangers);
        }
        Ok(())
    }

    fn new_candidates(&self) -> Vec<Pid> {
        self.census.candidates.iter().copied().filter(|pid| !self.tracked.contains_key(pid)).collect()
    }

    /// What hangs below marked wrappers: their orphans are not the adopters' own children.
    fn wrapped(&self) -> Vec<Pid> {
        let wrappers = self.tracked.values().filter(|t| t.judgement.is_wrapper && !t.is_ending);
        let below =
            wrappers.filter_map(|t| self.census.children(&*self.ground.host, t.judgement.id.pid).ok());
        below.flatten().filter(|pid| !self.tracked.contains_key(pid)).collect()
    }

    /// Reads and judges processes, and follows marked wrappers down.
    fn look_at(&mut self, mut pids: Vec<Pid>) {
        while !pids.is_empty() {
            pids.sort_unstable();
            pids.dedup();
            let looks = self.looks(std::mem::take(&mut pids));
            for (pid, look) in looks {
                if self.file(pid, look) {
                    let children = self.census.children(&*self.ground.host, pid).unwrap_or_default();
                    pids.extend(children.into_iter().filter(|child| !self.tracked.contains_key(child)));
                }
            }
        }
    }

    fn looks(&self, pids: Vec<Pid>) -> Vec<(Pid, Fact<Look>)> {
        let looker = Arc::new(Looker::new(&self.ground));
        let (clock, seen) = (self.clock(), Arc::new(self.sightings.clone()));
        let looks = patience::map(pids.clone(), self.limit, move |pid| {
            sweep::look(&looker, *pid, false, |id| seen.past(id, &clock))
        });
        pids.into_iter().zip(looks.into_iter().map(Result::flatten)).collect()
    }

    /// Files what a look at a process found; says whether what is below it must be looked at, too.
    fn file(&mut self, pid: Pid, look: Fact<Look>) -> bool {
        let now = self.clock().monotonic;
        match look {
            Ok(Look::Judged(judgement, _)) if judgement.is_notable() || judgement.is_wrapper => {
                self.innocents.remove(&pid);
                self.track(*judgement)
            }
            Ok(Look::Judged(..) | Look::Nothing) => {
                self.innocents.insert(pid, Innocent { next: now + INNOCENT, is_unreadable: false });
                false
            }
            Err(Why::Gone) => false,
            Err(_) => {
                self.innocents.insert(pid, Innocent { next: now + INNOCENT, is_unreadable: true });
                false
            }
        }
    }

    fn track(&mut self, judgement: Judgement) -> bool {
        let id = judgement.id;
        let is_wrapper = judgement.is_wrapper;
        let held = self.tracked.values().filter(|t| t.process.is_some()).count() + self.family.held();
        let process = if held < self.ground.host.pin_limit() / HELD_SHARE {
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
        self.tracked.insert(
            id.pid,
            Tracked { process, judgement: judgement.clone(), next: Duration::ZERO, is_ending: false },
        );
        self.judged(judgement, true);
        is_wrapper
    }

    fn watch(&mut self, process: &H::Pinned, what: Watch) -> bool {
        self.last_token += 1;
        let watched = self.waiter.watch(process, self.last_token).is_ok();
        if watched {
            self.watched.insert(self.last_token, what);
        }
        watched
    }

    /// Takes in a judgement of a tracked process.
    fn judged(&mut self, judgement: Judgement, is_new: bool) {
        let (clock, interval) = (self.clock(), self.ground.policy.interval());
        let Some(tracked) = self.tracked.get_mut(&judgement.id.pid) else { return };
        tracked.next = match judgement.verdict {
            Verdict::Wait(left) => clock.monotonic + left,
            Verdict::Reap => clock.monotonic,
            Verdict::Spare | Verdict::Unknown => clock.monotonic + interval,
        };
        if judgement.is_orphan() {
            self.sightings.note(judgement.id, &clock, self.ground.host.here());
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

    /// Judges again whoever is due, through the handle that holds it.
    pub fn look_again(&mut self) {
        let now = self.clock().monotonic;
        let due: Vec<(Pid, Option<Arc<H::Pinned>>)> = self
            .tracked
            .iter()
            .filter(|(_, t)| t.next <= now && !t.is_ending)
            .map(|(pid, t)| (*pid, t.process.clone()))
            .collect();
        if due.is_empty() {
            return;
        }
        let ground = self.ground.clone();
        let looker = Looker::new(&self.ground);
        let (clock, seen) = (self.clock(), self.sightings.clone());
        let judgements = patience::map(due.clone(), self.limit, move |(pid, process)| {
            let past = |id: &ProcId| seen.past(id, &clock);
            match process {
                Some(process) => looker.judge(process, crate::gates::How::Candidate, past),
                None => {
                    let process = ground.host.pin(*pid)?;
                    looker.judge(&process, crate::gates::How::Candidate, past)
                }
            }
        });
        for ((pid, _), judgement) in due.into_iter().zip(judgements.into_iter().map(Result::flatten)) {
            let same = |j: &Judgement| self.tracked.get(&pid).is_some_and(|t| t.judgement.id == j.id);
            match judgement {
                Ok(j) if same(&j) && (j.is_notable() || j.is_wrapper) => self.judged(j, false),
                // It is somebody else now, or of no interest any more.
                Ok(_) | Err(Why::Gone) => self.forget(pid),
                Err(_) => {
                    let next = now + self.ground.policy.interval();
                    if let Some(tracked) = self.tracked.get_mut(&pid) {
                        tracked.next = next;
                    }
                }
            }
        }
    }

    fn forget(&mut self, pid: Pid) {
        if let Some(tracked) = self.tracked.remove(&pid) {
            self.sightings.clear(&tracked.judgement.id, &self.ground.host.clock());
            self.events.push(Event::Gone(tracked.judgement.id));
        }
    }

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
            self.look_at(bereaved);
            self.look_again();
        }
    }

    /// Remembers what the end of an elder proves about those below it, and returns whom to look at now.
    fn bereave(&mut self, elder: &ProcId) -> Vec<Pid> {
        let (clock, here) = (self.clock(), self.ground.host.here().clone());
        let mut look_at = Vec::new();
        for (id, ties) in self.family.bury(elder) {
            self.sightings.tie(id, ties, &clock, &here);
            match self.tracked.get_mut(&id.pid) {
                Some(tracked) => tracked.next = clock.monotonic,
                None => {
                    self.innocents.remove(&id.pid);
                    look_at.push(id.pid);
                }
            }
        }
        look_at
    }

    /// Walks over all processes, for agents in their place and for orphans that the lists lack.
    fn meet_families(&mut self) -> Result<(), HostError> {
        let walk = self.ground.host.walk(self.ground.us.scope)?;
        let strangers = self.family.walk(&self.ground, &walk);
        self.meet(strangers);
        let stray = self.family.strays(&walk, &self.census.adopters);
        self.look_at(stray.into_iter().filter(|pid| !self.tracked.contains_key(pid)).collect());
        let (tracked, family) = (&self.tracked, &self.family);
        self.watched.retain(|_, watch| match watch {
            Watch::Tracked(id) => tracked.get(&id.pid).is_some_and(|t| t.judgement.id == *id),
            Watch::Elder(id) => family.holds(id),
        });
        let host = Arc::clone(&self.ground.host);
        self.sightings.retain(|pid| host.exists(pid) != Ok(false));
        Ok(())
    }

    /// Judges strangers, and remembers those who are agents in their place.
    fn meet(&mut self, strangers: Vec<Pid>) {
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

    /// What is to be ended now, at most one sweep's worth; its orphans count as being ended from now on.
    pub fn plan(&mut self) -> Plan {
        let reap = |t: &&Tracked<H>| t.judgement.verdict == Verdict::Reap && !t.is_ending;
        let roots: Vec<&Judgement> = self.tracked.values().filter(reap).map(|t| &t.judgement).collect();
        if roots.is_empty() {
            return Plan::default();
        }
        let trees = tree::read(&self.ground, &self.census, &roots, self.limit);
        let policy = &self.ground.policy;
        let plan = plan(&trees, policy.reach(), policy.max_targets().get());
        for root in plan.targets.iter().map(|t| t.root) {
            if let Some(tracked) = self.tracked.get_mut(&root.pid).filter(|t| t.judgement.id == root) {
                tracked.is_ending = true;
            }
        }
        plan
    }

    /// Takes in what became of a plan's targets.
    pub fn ended(&mut self, plan: &Plan, ended: &[Ended]) {
        let now = self.clock().monotonic;
        let interval = self.ground.policy.interval();
        for root in plan.targets.iter().map(|t| t.root) {
            let outcome = ended.iter().find(|e| e.target.id == root).map(|e| e.outcome);
            let Some(tracked) = self.tracked.get_mut(&root.pid).filter(|t| t.judgement.id == root) else {
                continue;
            };
            tracked.is_ending = false;
            tracked.next = now;
            match outcome {
                Some(Outcome::Exited | Outcome::Killed | Outcome::Gone) => self.forget(root.pid),
                Some(Outcome::Denied | Outcome::Survived) => tracked.next = now + STUBBORN,
                Some(Outcome::Spared) | None => tracked.next = now + interval,
                Some(Outcome::Interrupted) => {}
            }
        }
    }

    /// Puts off everybody who would be ended now: nothing is ended while the service is paused.
    pub fn put_off(&mut self, until: Duration) {
        let reap = |t: &&mut Tracked<H>| t.judgement.verdict == Verdict::Reap && !t.is_ending;
        for tracked in self.tracked.values_mut().filter(reap) {
            tracked.next = until;
        }
    }

    /// Everybody who was put off is due again.
    pub fn due_at(&mut self, now: Duration) {
        for tracked in self.tracked.values_mut().filter(|t| t.judgement.verdict == Verdict::Reap) {
            tracked.next = now;
        }
    }

    /// When somebody is to be judged again, on the monotonic clock.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.tracked.values().filter(|t| !t.is_ending).map(|t| t.next).min()
    }

    /// What happened since this was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The processes of interest, by pid.
    pub fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.tracked.values().map(|t| &t.judgement)
    }

    /// How well the last look could see.
    #[must_use]
    pub fn sight(&self) -> Sight {
        let hidden = self.innocents.values().filter(|i| i.is_unreadable).count();
        let unknown = |j: &&Judgement| j.answer(Gate::Marker) == Answer::Unknown;
        let unread = hidden + self.judgements().filter(unknown).count();
        let read = self.innocents.len() + self.tracked.len() - unread;
        Sight {
            method: Some(self.census.method),
            examined: self.census.examined,
            unreadable: self.census.unreadable + unread,
            blind: unread > 0 && read == 0,
        }
    }

    /// The machine, the settings and who we are.
    #[must_use]
    pub const fn ground(&self) -> &Ground<H> {
        &self.ground
    }

    /// Tells when one of the watched processes has ended.
    #[must_use]
    pub const fn waiter(&self) -> &H::Waiter {
        &self.waiter
    }

    /// Where a stateless look with the same memory comes to another verdict. Empty when all is well; a process
    /// that changes in between can be a difference too.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn differences(&mut self) -> Result<Vec<String>, HostError> {
        let survey = sweep::survey(&self.ground, &self.sightings, false, self.limit)?;
        let said = |j: &Judgement| (j.verdict.name(), j.decided_by);
        let mut differences = Vec::new();
        let mut theirs: BTreeMap<Pid, &Judgement> = BTreeMap::new();
        for judgement in survey.judgements.iter().filter(|j| j.is_notable()) {
            theirs.insert(judgement.id.pid, judgement);
        }
        for (pid, tracked) in self.tracked.iter().filter(|(_, t)| !t.is_ending && t.judgement.is_notable()) {
            let ours = said(&tracked.judgement);
            match theirs.remove(pid).map(said) {
                Some(other) if other == ours || tracked.next <= self.clock().monotonic => {}
                Some(other) => differences.push(format!("pid {pid}: {ours:?} here, {other:?} there")),
                None => differences.push(format!("pid {pid}: {ours:?} here, nothing there")),
            }
        }
        let unseen = theirs.values().filter(|j| !self.tracked.contains_key(&j.id.pid));
        differences.extend(unseen.map(|j| format!("pid {}: nothing here, {:?} there", j.id.pid, said(j))));
        Ok(differences)
    }

    fn clock(&self) -> Clock {
        self.ground.host.clock()
    }
}
