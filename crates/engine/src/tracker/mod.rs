//! What is known of the processes, kept up to date at the least cost.
//!
//! A tick reads the adopters' lists and looks only at children that are new. A process of interest is held by a handle
//! that tells when it ends, and is judged again when its grace is over; all others are looked at again now and then,
//! because `exec` can turn any process into an agent. Agents whose parent lives are found among the processes that were
//! started since the last tick, and their ancestors are held, so that the end of those is noticed at once. A scan is the
//! first tick of a tracker that watches nothing. The tracker decides nothing by itself: each judgement is that of the
//! gates.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, Pinned as _, ProcId, StartTime, Why};

use crate::context::Ground;
use crate::deadline;
use crate::discover;
use crate::discover::Census;
use crate::inspect::Looker;
use crate::isolation;
use crate::sightings;
use crate::sightings::Sightings;
use crate::terminate::outcome::Ended;
use crate::tree;
use cross_check::{Difference, Differences};
use ending::Ending;
use environment::{Environment, Readings};
use exits::{ExitWatch, Role};
use known::Known;
use lineage::Lineage;
use look::{Inspector, Look};
use new_pids::NewPids;
use reaper_policy::case::How;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{Plan, plan, plan_beside};
use reaper_policy::verdict::{Answer, Gate, Verdict};
use recheck::Recheck;

pub use survey::{Survey, View};

mod budget;
mod cross_check;
mod ending;
mod environment;
mod exits;
mod known;
mod lineage;
mod look;
mod new_pids;
mod recheck;
mod survey;
#[cfg(test)]
mod testing;

/// Most processes that are looked at in one go: a client of the socket waits for no longer than that takes.
const BATCH: usize = 256;
/// When an orphan is judged again that is left to the thread that ends what it was before.
const AWAITED: Duration = Duration::from_millis(500);
/// When a process that could not be ended is tried again.
const STUBBORN: Duration = Duration::from_secs(600);

/// Something that happened, for the log.
#[derive(Debug, Clone)]
pub enum Event {
    /// A process of interest appeared, or its verdict changed.
    Judged(Arc<Judgement>),
    /// A process of interest ended, or lost all interest.
    Gone(ProcId),
}

/// Keeps track of the processes.
pub struct Tracker<H: Host> {
    ground: Ground<H>,
    /// What is remembered, across restarts too.
    pub sightings: Sightings,
    limit: Duration,
    /// Whether unmarked processes are judged, too.
    everything: bool,
    census: Census,
    /// What is to be looked at as soon as there is time.
    pending: BTreeSet<Pid>,
    known: Known,
    recheck: Recheck,
    ending: Ending,
    lineage: Lineage,
    new_pids: NewPids,
    /// `None` for a scan, which waits for nothing.
    exits: Option<ExitWatch<H>>,
    events: Vec<Event>,
    differences: Differences,
}

impl<H: Host> Tracker<H> {
    /// Looks at all processes once and decides. Nothing is changed, and nothing held. With `everything`, unmarked
    /// processes are judged as well; no process may take longer than `limit`.
    ///
    /// # Errors
    /// When processes cannot be listed at all.
    pub fn survey(
        ground: &Ground<H>,
        sightings: &Sightings,
        everything: bool,
        limit: Duration,
    ) -> Result<Survey, HostError> {
        Ok(Self::first_tick(ground, sightings.clone(), everything, limit)?.into_survey())
    }

    /// Looks at all processes, and watches those of interest from now on.
    ///
    /// # Errors
    /// When processes cannot be listed, or not be waited for.
    pub fn start(ground: &Ground<H>, sightings: Sightings, limit: Duration) -> Result<Self, HostError> {
        let exits = ExitWatch::new(&*ground.host)?;
        let mut tracker = Self::first_tick(ground, sightings, false, limit)?;
        tracker.exits = Some(exits);
        let found: Vec<ProcId> = tracker.known.judgements().map(|j| j.id).collect();
        for id in found {
            if !tracker.hold(&id) {
                tracker.forget(id.pid);
            }
        }
        tracker.walk()?;
        Ok(tracker)
    }

    fn first_tick(
        ground: &Ground<H>,
        sightings: Sightings,
        everything: bool,
        limit: Duration,
    ) -> Result<Self, HostError> {
        let mut tracker = Self {
            ground: ground.clone(),
            sightings,
            limit,
            everything,
            census: discover::take(&ground.host, &ground.policy, ground.us.scope)?,
            pending: BTreeSet::new(),
            known: Known::default(),
            recheck: Recheck::default(),
            ending: Ending::default(),
            lineage: Lineage::default(),
            new_pids: NewPids::default(),
            exits: None,
            events: Vec::new(),
            differences: Differences::default(),
        };
        tracker.take_in_census(usize::MAX);
        Ok(tracker)
    }

    /// Looks at what is new since the last tick, and again at what is due.
    ///
    /// # Errors
    /// When processes cannot be listed: then nothing is known, and nothing may be ended.
    pub fn tick(&mut self) -> Result<(), HostError> {
        let now = self.now();
        let (known, recheck) = (&self.known, &self.recheck);
        let is_known = |pid: Pid| known.has_pid(pid) || recheck.is_known(pid, now);
        let known = discover::Known { adopters: &self.census.adopters, is_known: &is_known };
        self.census = discover::again(&self.ground.host, &self.ground.policy, self.ground.us.scope, &known)?;
        self.take_in_census(BATCH);
        self.look_again();
        self.follow_lineage()
    }

    /// Takes other settings; what is remembered stays, and everything is looked at again.
    ///
    /// # Errors
    /// When processes cannot be listed. The settings are the old ones then.
    pub fn reload(&mut self, ground: Ground<H>) -> Result<(), HostError> {
        self.census = discover::take(&ground.host, &ground.policy, ground.us.scope)?;
        self.ground = ground;
        self.recheck.clear();
        self.lineage.walk_anew();
        self.known.judge_all(self.now());
        self.look_again();
        self.take_in_census(BATCH);
        self.walk()
    }

    /// Looks at what the census found and is not known, and at what hangs below marked wrappers: orphans below those are
    /// not the adopters' own children.
    fn take_in_census(&mut self, room: usize) {
        let (now, interval) = (self.now(), self.ground.policy.interval);
        // Only what is of no interest may be forgotten because a list lacks it: the lists are not atomic.
        self.recheck.retain_among(&self.census.children);
        // Whose a process is can change, but rarely does.
        for pid in &self.census.foreigners {
            self.recheck.enter(*pid, Look::Foreign, now, interval);
        }
        let wrappers = self.known.judgements().filter(|j| j.is_wrapper && !self.ending.has(&j.id));
        let wrapped = wrappers.filter_map(|j| self.census.children(&*self.ground.host, j.id.pid).ok());
        let unknown = wrapped.flatten().chain(self.census.candidates.iter().copied());
        let unknown: Vec<Pid> = unknown.filter(|pid| !self.known.has_pid(*pid)).collect();
        self.look_at(unknown, room);
    }

    /// Looks at processes, and at what hangs below the marked wrappers among them: at once, unless they are very many.
    fn look_at(&mut self, pids: Vec<Pid>, mut room: usize) {
        self.pending.extend(pids);
        if self.pending.is_empty() {
            return;
        }
        let inspector = self.inspector();
        while room > 0 && !self.pending.is_empty() {
            let pids: Vec<Pid> = self.pending.iter().copied().take(room).collect();
            for pid in &pids {
                self.pending.remove(pid);
            }
            room -= pids.len();
            for (pid, look) in inspector.look(pids) {
                self.take_in_look(pid, look);
            }
        }
    }

    fn inspector(&self) -> Inspector<H> {
        Inspector::new(&self.ground, &self.sightings, self.everything, self.limit)
    }

    fn take_in_look(&mut self, pid: Pid, look: Look) {
        let (now, interval) = (self.now(), self.ground.policy.interval);
        match look {
            Look::Gone => {}
            Look::Judged(judgement, environment) if judgement.is_notable() || judgement.is_wrapper => {
                self.recheck.remove(pid);
                if self.track(&judgement, environment) && judgement.is_wrapper {
                    let children = self.census.children(&*self.ground.host, pid).unwrap_or_default();
                    let unknown = children.into_iter().filter(|child| !self.known.has_pid(*child));
                    self.pending.extend(unknown);
                }
            }
            look => {
                if let Look::Judged(judgement, _) = &look {
                    self.remember(judgement);
                }
                self.recheck.enter(pid, look, now, interval);
            }
        }
    }

    /// Begins to track a process; says whether it is still there.
    fn track(&mut self, judgement: &Arc<Judgement>, environment: Environment) -> bool {
        if !self.hold(&judgement.id) {
            return false;
        }
        let is_newborn = self.remember(judgement);
        let (now, interval) = (self.now(), self.ground.policy.interval);
        self.known.add(Arc::clone(judgement), environment, now, interval, is_newborn);
        self.events.push(Event::Judged(Arc::clone(judgement)));
        true
    }

    /// Watches for the end of a process, if exits are watched and there is room for one more; otherwise it is opened anew
    /// each time. Says whether it is still there.
    fn hold(&mut self, id: &ProcId) -> bool {
        let Some(exits) = &mut self.exits else { return true };
        if exits.room(&self.ground.host) == 0 {
            return true;
        }
        match self.ground.host.pin(id.pid) {
            Ok(process) if process.id() == *id => {
                exits.hold(process, Role::Tracked);
                true
            }
            Ok(_) | Err(Why::Gone) => false,
            Err(_) => true,
        }
    }

    /// Remembers what a judgement says across restarts; says whether the process is too young to be remembered.
    fn remember(&mut self, judgement: &Judgement) -> bool {
        let (clock, here) = (self.clock(), self.ground.host.here());
        self.sightings.take_in(judgement, &clock, here);
        sightings::is_newborn(&judgement.id, &clock, here)
    }

    /// Judges again what is due, through the handle that holds it; the rest of very many at the next call.
    pub fn look_again(&mut self) {
        self.look_at(Vec::new(), BATCH);
        let now = self.now();
        let handle = |id: &ProcId| self.exits.as_ref().and_then(|exits| exits.handle(id));
        let due = self.known.due(now, &self.ending, BATCH);
        let due: Vec<(Pid, Option<Arc<H::Pinned>>)> = due.iter().map(|id| (id.pid, handle(id))).collect();
        if due.is_empty() {
            return;
        }
        let looker = Looker::new(&self.ground);
        let (clock, seen) = (self.clock(), self.sightings.clone());
        let judgements = deadline::map(due.clone(), self.limit, move |(pid, process)| {
            let past = |id: &ProcId| seen.past(id, &clock);
            match process {
                Some(process) => looker.judge(process, How::Candidate, past),
                None => looker.judge(&looker.ground.host.pin(*pid)?, How::Candidate, past),
            }
        });
        for ((pid, _), judgement) in due.into_iter().zip(judgements.into_iter().map(Result::flatten)) {
            match judgement {
                Ok(j) if self.known.has(&j.id) && (j.is_notable() || j.is_wrapper) => {
                    self.take_in(Arc::new(j));
                }
                // Another process has the pid now, or this one is of no interest any more.
                Ok(_) | Err(Why::Gone) => self.forget(pid),
                Err(why) => self.known.failed(pid, &why, now, self.ground.policy.interval),
            }
        }
    }

    /// Takes in a new judgement of a tracked process.
    fn take_in(&mut self, judgement: Arc<Judgement>) {
        let is_newborn = self.remember(&judgement);
        let (now, interval) = (self.now(), self.ground.policy.interval);
        if self.known.update(Arc::clone(&judgement), now, interval, is_newborn) {
            self.events.push(Event::Judged(judgement));
        }
    }

    fn forget(&mut self, pid: Pid) {
        let Some(tracked) = self.known.remove(pid) else { return };
        let id = tracked.judgement.id;
        if let Some(exits) = &mut self.exits {
            exits.release(&id, Role::Tracked);
        }
        self.sightings.clear(&id, &self.ground.host.clock());
        self.events.push(Event::Gone(id));
    }

    /// Takes in which watched processes have ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exits(&mut self) -> Result<(), HostError> {
        while let Some(exits) = &mut self.exits {
            let ended = exits.ended()?;
            if ended.is_empty() {
                break;
            }
            let mut unknown = Vec::new();
            for id in ended {
                if self.known.has(&id) {
                    self.forget(id.pid);
                }
                unknown.extend(self.on_parent_exit(&id));
            }
            self.look_at(unknown.clone(), BATCH);
            // What has another parent that lives is in its place again.
            unknown.retain(|pid| !self.known.has_pid(*pid) && !self.pending.contains(pid));
            self.inspect_new(unknown);
            self.look_again();
        }
        Ok(())
    }

    /// Remembers what the end of an ancestor proves about those below it, and returns what to look at now.
    fn on_parent_exit(&mut self, ancestor: &ProcId) -> Vec<Pid> {
        let clock = self.clock();
        let mut unknown = Vec::new();
        for (id, ties) in self.lineage.on_exit(ancestor) {
            self.sightings.tie(id, ties, &clock, self.ground.host.here());
            if !self.known.judge_at(id.pid, clock.monotonic) {
                self.recheck.remove(id.pid);
                unknown.push(id.pid);
            }
        }
        unknown
    }

    /// Looks for new agents in their place.
    fn follow_lineage(&mut self) -> Result<(), HostError> {
        if self.lineage.is_walk_due(self.now()) {
            return self.walk();
        }
        self.inspect_started();
        let now = self.now();
        if self.lineage.is_visit_due(now) {
            let orphans = self.known.judgements().map(|j| j.id.pid);
            let unknown = self.lineage.unknown_below(&*self.ground.host, orphans);
            self.inspect_new(unknown);
            self.drop_ended();
            self.lineage.visited(now, self.now());
        }
        Ok(())
    }

    /// Looks at what was started since the last tick, and is no adopter's child: those are found by the census.
    fn inspect_started(&mut self) {
        let (now, host) = (self.now(), Arc::clone(&self.ground.host));
        let mut started = self.new_pids.list(&*host, self.ground.us.scope, now);
        started.retain(|pid| {
            let is_adopted = self.census.children.binary_search(pid).is_ok();
            !is_adopted && !self.known.has_pid(*pid) && !self.pending.contains(pid)
        });
        if !started.is_empty() {
            for some in self.lineage.unknown_among(&*host, started).chunks(BATCH) {
                self.inspect_new(some.to_vec());
            }
        }
        self.new_pids.looked_at(now, self.now());
    }

    /// Walks over all processes, for agents in their place and for orphans that the lists lack.
    fn walk(&mut self) -> Result<(), HostError> {
        let begun = self.clock();
        let host = Arc::clone(&self.ground.host);
        let is_first = self.new_pids.begin_walk(&*host);
        let walk = host.walk(self.ground.us.scope)?;
        if is_first {
            self.new_pids.walked(&walk, host.here().start_clock, begun);
        }
        let unknown = self.lineage.unknown_in(host.here().start_clock, begun, &walk);
        let stray = self.census.adopted_in(&walk);
        drop(walk);
        for some in unknown.chunks(BATCH) {
            self.inspect_new(some.to_vec());
        }
        self.look_at(stray.into_iter().filter(|pid| !self.known.has_pid(*pid)).collect(), BATCH);
        self.drop_ended();
        self.lineage.walked(begun.monotonic, self.now());
        Ok(())
    }

    /// Lets go of ancestors that no agent is below any more, and forgets what is remembered of processes that are gone.
    fn drop_ended(&mut self) {
        if let Some(exits) = &mut self.exits {
            exits.keep_ancestors(&self.lineage.ancestors());
        }
        let host = &self.ground.host;
        self.sightings.retain(|pid| host.exists(pid) != Ok(false));
    }

    /// Judges processes that are not known, and remembers those that are agents in their place.
    fn inspect_new(&mut self, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        for (_, look) in self.inspector().look(pids) {
            if let Look::Judged(judgement, _) = look
                && judgement.answer(Gate::Orphan) == Answer::No
                && !judgement.profiles.is_empty()
            {
                self.lineage.track(&judgement);
            }
        }
        let (clock, host) = (self.clock(), Arc::clone(&self.ground.host));
        for (id, ties) in self.lineage.place_new(&*host) {
            self.sightings.tie(id, ties, &clock, host.here());
        }
        let Some(exits) = &mut self.exits else { return };
        let (held, room) = (exits.ancestors(), exits.room(&host));
        let mut missing: Vec<Pid> = self.lineage.ancestors().difference(&held).copied().collect();
        missing.sort_unstable();
        for process in missing.into_iter().take(room).filter_map(|pid| host.pin(pid).ok()) {
            exits.hold(process, Role::Ancestor);
        }
    }

    /// What is to be ended now, beside what is being ended already; at most `max-targets` at a time. What is in the plan
    /// counts as being ended from now on.
    pub fn plan(&mut self) -> Plan {
        let clock = self.clock();
        let now = clock.monotonic;
        let due = self.known.due_to_end(now, &self.ending);
        let (awaited, mut due): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|j| self.ending.may_have_become(j));
        for judgement in awaited {
            self.known.judge_at(judgement.id.pid, now + AWAITED);
        }
        for judgement in &due {
            self.known.defer(judgement.id.pid);
        }
        // A tree has one target at least: more than these cannot fit.
        let cap = self.ground.policy.max_targets.get();
        due.truncate(cap.saturating_sub(self.ending.ids().len()));
        if due.is_empty() {
            return Plan::default();
        }
        let roots: Vec<&Judgement> = due.iter().map(|judgement| &**judgement).collect();
        let trees = tree::read(&self.ground, &self.census, &roots, &self.judged(), self.limit);
        let plan = plan_beside(&trees, self.ground.policy.reach, cap, self.ending.ids());
        self.ending.begin(self.ground.host.here().start_clock.now(&clock), &plan);
        for id in due.iter().map(|judgement| judgement.id) {
            if self.ending.has(&id) {
                self.known.undefer(id.pid);
            } else if !plan.deferred.contains(&id) {
                self.known.undefer(id.pid);
                self.known.judge_at(id.pid, now + self.ground.policy.interval);
            }
        }
        plan
    }

    /// Takes in what became of a plan's targets.
    pub fn ended(&mut self, plan: &Plan, ended: &[Ended]) {
        let (now, interval) = (self.now(), self.ground.policy.interval);
        for id in self.ending.finish(plan).into_iter().filter(|id| self.known.has(id)).collect::<Vec<_>>() {
            let wait = match ended.iter().find(|e| e.target.id == id).map(|e| e.outcome) {
                Some(Outcome::Exited | Outcome::Killed | Outcome::Gone) => {
                    self.forget(id.pid);
                    continue;
                }
                Some(Outcome::Denied | Outcome::Survived) => STUBBORN,
                Some(Outcome::Spared) | None => interval,
                Some(Outcome::Interrupted) => Duration::ZERO,
            };
            self.known.judge_at(id.pid, now + wait);
        }
    }

    /// What would be ended now is not ended before this moment.
    pub fn put_off(&mut self, until: Duration) {
        self.known.put_off(until, &self.ending);
    }

    /// What was put off is due again.
    pub fn due_at(&mut self, now: Duration) {
        self.known.due_at(now);
    }

    /// How many wait for others to be ended first.
    #[must_use]
    pub fn deferred(&self) -> usize {
        self.known.deferred()
    }

    /// When a process is to be looked at, on the monotonic clock.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if !self.pending.is_empty() {
            return Some(Duration::ZERO);
        }
        self.known.next(&self.ending, self.ground.policy.interval)
    }

    /// Lets [`Self::exit_descriptor`] tell when a moment of the monotonic clock has come; says whether it will.
    pub fn wake_at(&mut self, at: Duration) -> bool {
        let now = self.now();
        self.exits.as_mut().is_some_and(|exits| exits.wake_at(at, now))
    }

    /// Readable when a watched process has ended, for [`Self::exits`], or the moment of [`Self::wake_at`] has come.
    #[must_use]
    pub fn exit_descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.exits.as_ref()?.descriptor()
    }

    /// What happened since this was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The machine, the settings and who we are.
    #[must_use]
    pub const fn ground(&self) -> &Ground<H> {
        &self.ground
    }

    /// The processes of interest, by pid.
    pub fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.known.judgements().map(|judgement| &**judgement)
    }

    /// What was made of each process of interest by itself, when it was last judged.
    #[must_use]
    pub fn judged(&self) -> Vec<Judgement> {
        self.judgements().cloned().collect()
    }

    /// All children of the adopters that the last census listed, of whatever user.
    #[must_use]
    pub fn adopted(&self) -> &[Pid] {
        &self.census.children
    }

    /// How well the last look could see, and whether anything is there to be seen now. Ask once for each purpose: in a
    /// container the second part reads other processes.
    #[must_use]
    pub fn view(&self) -> View {
        let looks = || self.recheck.looks().map(|(_, look)| look);
        let environments = looks().map(Look::environment).chain(self.known.iter().map(|t| t.environment));
        let readings: Readings = environments.collect();
        let has_own = self.known.len() > 0
            || !self.census.candidates.is_empty()
            || looks().any(|look| !matches!(look, Look::Foreign));
        View {
            method: Some(self.census.method),
            examined: self.census.examined,
            unreadable: self.census.unreadable + readings.unreadable,
            blind: readings.is_blind(),
            lonely: isolation::problem(&self.ground, &self.census.children, has_own),
        }
    }

    fn into_survey(self) -> Survey {
        let View { unreadable, blind, lonely, .. } = self.view();
        let zombies = self.zombies();
        let lost = self.recheck.looks().filter(|(_, look)| matches!(look, Look::Failed(_))).count();
        let Self { ground, census, known, recheck, events, limit, .. } = self;
        drop(events);
        let others = recheck.into_looks().filter_map(|look| match look {
            Look::Judged(judgement, _) => Some(judgement),
            _ => None,
        });
        let mut judgements: Vec<Judgement> =
            known.into_judgements().chain(others).map(Arc::unwrap_or_clone).collect();
        judgements.sort_by_key(|j| j.id.pid);
        let orphans = judgements.iter().filter(|j| j.is_orphan());
        let (due, waiting): (Vec<_>, Vec<_>) = orphans.partition(|j| j.verdict == Verdict::Reap);
        let trees = |roots: &[&Judgement]| tree::read(&ground, &census, roots, &judgements, limit);
        let (reach, cap) = (ground.policy.reach, ground.policy.max_targets.get());
        let now = plan(&trees(&due), reach, cap);
        let later = plan(&trees(&waiting), reach, usize::MAX);
        Survey { census, judgements, plan: now, later, unreadable, blind, lonely, lost, zombies }
    }

    /// How many processes had ended when they were looked at, and are not collected now either: between its end and its
    /// collection every process is a zombie for a moment.
    fn zombies(&self) -> usize {
        let tracked = self.known.judgements().filter(|j| j.stat.is_dead()).map(|j| (j.id.pid, j.stat.start));
        let others = self.recheck.looks().filter_map(|(pid, look)| Some((pid, look.zombie()?)));
        let is_zombie = |(pid, start): &(Pid, StartTime)| {
            self.ground.host.glance(*pid).is_ok_and(|stat| stat.start == *start && stat.is_dead())
        };
        tracked.chain(others).filter(is_zombie).count()
    }

    /// Where the first tick of a fresh tracker with the same memory comes to another verdict, and goes on doing so.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn differences(&mut self) -> Result<Vec<String>, HostError> {
        let fresh = Self::first_tick(&self.ground, self.sightings.clone(), false, self.limit)?;
        let said = |j: &Judgement| (j.verdict.name(), j.decided_by);
        let mut found: BTreeMap<Pid, Difference> = BTreeMap::new();
        for j in fresh.judgements().filter(|j| j.is_notable() && !self.ending.concerns(j)) {
            let looked_at = self.recheck.looked_at(j.id.pid);
            found.insert(j.id.pid, Difference { ours: None, theirs: Some(said(j)), looked_at });
        }
        for tracked in self.known.iter() {
            let j = &tracked.judgement;
            let ours = Some(said(j)).filter(|_| j.is_notable());
            let theirs = found.remove(&j.id.pid).and_then(|difference| difference.theirs);
            if ours != theirs && !self.ending.concerns(j) {
                let looked_at = Some(tracked.judged_at);
                found.insert(j.id.pid, Difference { ours, theirs, looked_at });
            }
        }
        Ok(self.differences.take_in(&found, self.now()))
    }

    fn now(&self) -> Duration {
        self.clock().monotonic
    }

    fn clock(&self) -> Clock {
        self.ground.host.clock()
    }
}
