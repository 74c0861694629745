//! The tracker: knowledge of the processes, kept up to date at low cost.
//!
//! A tick reads the adopters' child lists and inspects only new children. Tracked processes are held by a handle (a
//! pidfd) that reports their exit, and are judged again when their grace expires; all others are re-inspected with
//! growing intervals, because `exec` can turn any process into an agent. Agents whose parent is alive are found among
//! the processes that were started since the last tick, and their ancestors are held by handles too, so that an
//! ancestor's exit is noticed at once. A scan is the first tick of a tracker that watches nothing. The tracker makes no
//! decisions itself: every judgement comes from the gates.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, ProcId, ProcessHandle as _, StartTime, Why};

use crate::context::Context;
use crate::deadline;
use crate::discover;
use crate::discover::Census;
use crate::inspect::Inspector;
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
use new_pids::NewPids;
use reaper_policy::case::Capacity;
use reaper_policy::escalation::Outcome;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{Plan, plan, plan_beside};
use reaper_policy::verdict::{Answer, Gate, Verdict};
use recheck::Recheck;
use triage::{Triage, Triaged};

pub use survey::{Survey, View};

mod budget;
mod cross_check;
mod ending;
mod environment;
mod exits;
mod known;
mod lineage;
mod new_pids;
mod recheck;
mod survey;
#[cfg(test)]
mod testing;
mod triage;

/// Most processes inspected in one batch; bounds how long a client of the control socket waits.
const BATCH: usize = 256;
/// Delay before an orphan is judged again that is left to the thread ending its predecessor.
const AWAITED: Duration = Duration::from_millis(500);
/// Delay before a process that could not be ended is tried again.
const STUBBORN: Duration = Duration::from_secs(600);

/// An event for the log.
#[derive(Debug, Clone)]
pub enum Event {
    /// A tracked process appeared, or its verdict changed.
    Judged(Arc<Judgement>),
    /// A tracked process exited, or is no longer of interest.
    Gone(ProcId),
}

/// Tracks the processes.
pub struct Tracker<H: Host> {
    context: Context<H>,
    /// The sightings, which are kept across restarts.
    pub sightings: Sightings,
    limit: Duration,
    /// Whether unmarked processes are judged as well.
    everything: bool,
    census: Census,
    /// Processes that are queued for inspection.
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
    /// Inspects all processes once and decides. Changes nothing and holds no handles. With `everything`, unmarked
    /// processes are judged as well; reading one process may take at most `limit`.
    ///
    /// # Errors
    /// When processes cannot be listed at all.
    pub fn survey(
        context: &Context<H>,
        sightings: &Sightings,
        everything: bool,
        limit: Duration,
    ) -> Result<Survey, HostError> {
        Ok(Self::first_tick(context, sightings.clone(), everything, limit)?.into_survey())
    }

    /// Inspects all processes, and watches those of interest from now on.
    ///
    /// # Errors
    /// When processes cannot be listed or waited for.
    pub fn start(context: &Context<H>, sightings: Sightings, limit: Duration) -> Result<Self, HostError> {
        let exits = ExitWatch::new(&*context.host)?;
        let mut tracker = Self::first_tick(context, sightings, false, limit)?;
        tracker.exits = Some(exits);
        let found: Vec<ProcId> = tracker.known.judgements().map(|j| j.id).collect();
        for id in found {
            if !tracker.hold(&id) {
                tracker.forget(id.pid);
            }
        }
        tracker.list()?;
        Ok(tracker)
    }

    fn first_tick(
        context: &Context<H>,
        sightings: Sightings,
        everything: bool,
        limit: Duration,
    ) -> Result<Self, HostError> {
        let mut tracker = Self {
            context: context.clone(),
            sightings,
            limit,
            everything,
            census: discover::take(&context.host, &context.policy, context.own.scope)?,
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

    /// Inspects what is new since the last tick, and re-inspects what is due.
    ///
    /// # Errors
    /// When processes cannot be listed: the state is then unknown, and nothing may be ended.
    pub fn tick(&mut self) -> Result<(), HostError> {
        let now = self.now();
        let (known, recheck) = (&self.known, &self.recheck);
        let is_known = |pid: Pid| known.has_pid(pid) || recheck.is_known(pid, now);
        let known = discover::Known { adopters: &self.census.adopters, is_known: &is_known };
        self.census =
            discover::again(&self.context.host, &self.context.policy, self.context.own.scope, &known)?;
        self.take_in_census(BATCH);
        self.look_again();
        self.follow_lineage()
    }

    /// Applies new settings; sightings are kept, and everything is inspected again.
    ///
    /// # Errors
    /// When processes cannot be listed. The old settings then stay in force.
    pub fn reload(&mut self, context: Context<H>) -> Result<(), HostError> {
        self.census = discover::take(&context.host, &context.policy, context.own.scope)?;
        self.context = context;
        self.recheck.clear();
        self.lineage.list_anew();
        self.known.judge_all(self.now());
        self.look_again();
        self.take_in_census(BATCH);
        self.list()
    }

    /// Inspects unknown processes of the census, and the children of marked wrappers: orphans below those are not
    /// direct children of an adopter.
    fn take_in_census(&mut self, room: usize) {
        let (now, interval) = (self.now(), self.context.policy.interval);
        // Only processes of no interest may be dropped for being absent from a list: the lists are not atomic.
        self.recheck.retain_among(&self.census.children);
        // A process's user can change, but rarely does.
        for pid in &self.census.foreigners {
            self.recheck.enter(*pid, Triaged::Foreign, now, interval);
        }
        let wrappers = self.known.judgements().filter(|j| j.is_wrapper && !self.ending.has(&j.id));
        let wrapped = wrappers.filter_map(|j| self.census.children(&*self.context.host, j.id.pid).ok());
        let unknown = wrapped.flatten().chain(self.census.candidates.iter().copied());
        let unknown: Vec<Pid> = unknown.filter(|pid| !self.known.has_pid(*pid)).collect();
        self.look_at(unknown, room);
    }

    /// Inspects processes, and the children of the marked wrappers among them: at once, unless there are very many.
    fn look_at(&mut self, pids: Vec<Pid>, mut room: usize) {
        self.pending.extend(pids);
        if self.pending.is_empty() {
            return;
        }
        let triage = self.triage();
        while room > 0 && !self.pending.is_empty() {
            let pids: Vec<Pid> = self.pending.iter().copied().take(room).collect();
            for pid in &pids {
                self.pending.remove(pid);
            }
            room -= pids.len();
            for (pid, look) in triage.run(pids) {
                self.take_in_look(pid, look);
            }
        }
    }

    fn triage(&self) -> Triage<H> {
        Triage::new(&self.context, &self.sightings, self.everything, self.limit)
    }

    fn take_in_look(&mut self, pid: Pid, look: Triaged) {
        let (now, interval) = (self.now(), self.context.policy.interval);
        match look {
            Triaged::Gone => {}
            Triaged::Judged(judgement, environment) if judgement.is_notable() || judgement.is_wrapper => {
                self.recheck.remove(pid);
                if self.track(&judgement, environment) && judgement.is_wrapper {
                    let children = self.census.children(&*self.context.host, pid).unwrap_or_default();
                    let unknown = children.into_iter().filter(|child| !self.known.has_pid(*child));
                    self.pending.extend(unknown);
                }
            }
            look => {
                if let Triaged::Judged(judgement, _) = &look {
                    self.remember(judgement);
                }
                self.recheck.enter(pid, look, now, interval);
            }
        }
    }

    /// Begins to track a process; returns whether it still exists.
    fn track(&mut self, judgement: &Arc<Judgement>, environment: Environment) -> bool {
        if !self.hold(&judgement.id) {
            return false;
        }
        let is_newborn = self.remember(judgement);
        let (now, interval) = (self.now(), self.context.policy.interval);
        self.known.add(Arc::clone(judgement), environment, now, interval, is_newborn);
        self.events.push(Event::Judged(Arc::clone(judgement)));
        true
    }

    /// Watches for the exit of a process, if exits are watched and a handle is free; otherwise it is opened again for
    /// each judgement. Returns whether it still exists.
    fn hold(&mut self, id: &ProcId) -> bool {
        let Some(exits) = &mut self.exits else { return true };
        if exits.room(&self.context.host) == 0 {
            return true;
        }
        match self.context.host.open(id.pid) {
            Ok(process) if process.id() == *id => {
                exits.hold(process, Role::Tracked);
                true
            }
            Ok(_) | Err(Why::Gone) => false,
            Err(_) => true,
        }
    }

    /// Records a judgement in the sightings; returns whether the process is too young to be recorded.
    fn remember(&mut self, judgement: &Judgement) -> bool {
        let (clock, here) = (self.clock(), self.context.host.info());
        self.sightings.take_in(judgement, &clock, here);
        sightings::is_newborn(&judgement.id, &clock, here)
    }

    /// Judges again what is due, through the held handle; at most one batch per call.
    pub fn look_again(&mut self) {
        self.look_at(Vec::new(), BATCH);
        let now = self.now();
        let handle = |id: &ProcId| self.exits.as_ref().and_then(|exits| exits.handle(id));
        let due = self.known.due(now, &self.ending, BATCH);
        let due: Vec<(Pid, Option<Arc<H::ProcessHandle>>)> =
            due.iter().map(|id| (id.pid, handle(id))).collect();
        if due.is_empty() {
            return;
        }
        let inspector = Inspector::new(&self.context);
        let (clock, seen) = (self.clock(), self.sightings.clone());
        let judgements = deadline::map(due.clone(), self.limit, move |(pid, process)| {
            let past = |id: &ProcId| seen.past(id, &clock);
            match process {
                Some(process) => inspector.judge(process, Capacity::Candidate, past),
                None => inspector.judge(&inspector.context.host.open(*pid)?, Capacity::Candidate, past),
            }
        });
        for ((pid, _), judgement) in due.into_iter().zip(judgements.into_iter().map(Result::flatten)) {
            match judgement {
                Ok(j) if self.known.has(&j.id) && (j.is_notable() || j.is_wrapper) => {
                    self.take_in(Arc::new(j));
                }
                // The pid was reused, or the process is no longer of interest.
                Ok(_) | Err(Why::Gone) => self.forget(pid),
                Err(why) => self.known.failed(pid, &why, now, self.context.policy.interval),
            }
        }
    }

    /// Applies a new judgement of a tracked process.
    fn take_in(&mut self, judgement: Arc<Judgement>) {
        let is_newborn = self.remember(&judgement);
        let (now, interval) = (self.now(), self.context.policy.interval);
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
        self.sightings.clear(&id, &self.context.host.clock());
        self.events.push(Event::Gone(id));
    }

    /// Handles the exits of watched processes.
    ///
    /// # Errors
    /// When the exit watcher fails.
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
            // A process with another live parent is no orphan.
            unknown.retain(|pid| !self.known.has_pid(*pid) && !self.pending.contains(pid));
            self.inspect_new(unknown);
            self.look_again();
        }
        Ok(())
    }

    /// Records what the exit of an ancestor proves about the processes below it, and returns the pids to inspect now.
    fn on_parent_exit(&mut self, ancestor: &ProcId) -> Vec<Pid> {
        let clock = self.clock();
        let mut unknown = Vec::new();
        for (id, ties) in self.lineage.on_exit(ancestor) {
            self.sightings.tie(id, ties, &clock, self.context.host.info());
            if !self.known.judge_at(id.pid, clock.monotonic) {
                self.recheck.remove(id.pid);
                unknown.push(id.pid);
            }
        }
        unknown
    }

    /// Searches for new agents whose parent is alive.
    fn follow_lineage(&mut self) -> Result<(), HostError> {
        if self.lineage.is_listing_due(self.now()) {
            return self.list();
        }
        self.inspect_started();
        let now = self.now();
        if self.lineage.is_visit_due(now) {
            let orphans = self.known.judgements().map(|j| j.id.pid);
            let unknown = self.lineage.unknown_below(&*self.context.host, orphans);
            self.inspect_new(unknown);
            self.drop_ended();
            self.lineage.visited(now, self.now());
        }
        Ok(())
    }

    /// Inspects the processes started since the last tick, except children of adopters, which the census finds.
    fn inspect_started(&mut self) {
        let (now, host) = (self.now(), Arc::clone(&self.context.host));
        let mut started = self.new_pids.list(&*host, self.context.own.scope, now);
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

    /// Lists all processes, to find agents whose parent is alive and orphans that the child lists lack.
    fn list(&mut self) -> Result<(), HostError> {
        let begun = self.clock();
        let host = Arc::clone(&self.context.host);
        let is_first = self.new_pids.begin_listing(&*host);
        let listing = host.list(self.context.own.scope)?;
        if is_first {
            self.new_pids.listed(&listing, host.info().start_clock, begun);
        }
        let unknown = self.lineage.unknown_in(host.info().start_clock, begun, &listing);
        let stray = self.census.adopted_in(&listing);
        drop(listing);
        for some in unknown.chunks(BATCH) {
            self.inspect_new(some.to_vec());
        }
        self.look_at(stray.into_iter().filter(|pid| !self.known.has_pid(*pid)).collect(), BATCH);
        self.drop_ended();
        self.lineage.listed(begun.monotonic, self.now());
        Ok(())
    }

    /// Releases ancestors without an agent below them, and drops the sightings of processes that no longer exist.
    fn drop_ended(&mut self) {
        if let Some(exits) = &mut self.exits {
            exits.keep_ancestors(&self.lineage.ancestors());
        }
        let host = &self.context.host;
        self.sightings.retain(|pid| host.exists(pid) != Ok(false));
    }

    /// Judges unknown processes, and tracks the agents whose parent is alive.
    fn inspect_new(&mut self, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        for (_, look) in self.triage().run(pids) {
            if let Triaged::Judged(judgement, _) = look
                && judgement.answer(Gate::Orphan) == Answer::No
                && !judgement.profiles.is_empty()
            {
                self.lineage.track(&judgement);
            }
        }
        let (clock, host) = (self.clock(), Arc::clone(&self.context.host));
        for (id, ties) in self.lineage.place_new(&*host) {
            self.sightings.tie(id, ties, &clock, host.info());
        }
        let Some(exits) = &mut self.exits else { return };
        let (held, room) = (exits.ancestors(), exits.room(&host));
        let mut missing: Vec<Pid> = self.lineage.ancestors().difference(&held).copied().collect();
        missing.sort_unstable();
        for process in missing.into_iter().take(room).filter_map(|pid| host.open(pid).ok()) {
            exits.hold(process, Role::Ancestor);
        }
    }

    /// The plan of what to end now, in addition to what is being ended already; at most `max-targets` at a time. Its
    /// targets count as being ended from now on.
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
        // A tree has at least one target, so more trees cannot fit.
        let cap = self.context.policy.max_targets.get();
        due.truncate(cap.saturating_sub(self.ending.ids().len()));
        if due.is_empty() {
            return Plan::default();
        }
        let roots: Vec<&Judgement> = due.iter().map(|judgement| &**judgement).collect();
        let trees = tree::read(&self.context, &self.census, &roots, &self.judged(), self.limit);
        let plan = plan_beside(&trees, self.context.policy.reach, cap, self.ending.ids());
        self.ending.begin(self.context.host.info().start_clock.now(&clock), &plan);
        for id in due.iter().map(|judgement| judgement.id) {
            if self.ending.has(&id) {
                self.known.undefer(id.pid);
            } else if !plan.deferred.contains(&id) {
                self.known.undefer(id.pid);
                self.known.judge_at(id.pid, now + self.context.policy.interval);
            }
        }
        plan
    }

    /// Applies the outcomes of a plan's targets.
    pub fn ended(&mut self, plan: &Plan, ended: &[Ended]) {
        let (now, interval) = (self.now(), self.context.policy.interval);
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

    /// Postpones everything that is due to be ended until this time.
    pub fn put_off(&mut self, until: Duration) {
        self.known.put_off(until, &self.ending);
    }

    /// Makes everything that was postponed due again.
    pub fn due_at(&mut self, now: Duration) {
        self.known.due_at(now);
    }

    /// The number that wait for others to be ended first.
    #[must_use]
    pub fn deferred(&self) -> usize {
        self.known.deferred()
    }

    /// When the next process is due for inspection, on the monotonic clock.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if !self.pending.is_empty() {
            return Some(Duration::ZERO);
        }
        self.known.next(&self.ending, self.context.policy.interval)
    }

    /// Makes [`Self::exit_descriptor`] readable at this time of the monotonic clock; returns whether that is supported.
    pub fn wake_at(&mut self, at: Duration) -> bool {
        let now = self.now();
        self.exits.as_mut().is_some_and(|exits| exits.wake_at(at, now))
    }

    /// Readable when a watched process has exited (see [`Self::exits`]), or at the time set by [`Self::wake_at`].
    #[must_use]
    pub fn exit_descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.exits.as_ref()?.descriptor()
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The machine, the settings and reaper's own process.
    #[must_use]
    pub const fn context(&self) -> &Context<H> {
        &self.context
    }

    /// The tracked processes, by pid.
    pub fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.known.judgements().map(|judgement| &**judgement)
    }

    /// The latest judgement of each tracked process.
    #[must_use]
    pub fn judged(&self) -> Vec<Judgement> {
        self.judgements().cloned().collect()
    }

    /// All children of the adopters that the last census listed, of whatever user.
    #[must_use]
    pub fn adopted(&self) -> &[Pid] {
        &self.census.children
    }

    /// How complete the last tick's view was, and whether any process is visible now. Call it sparingly: in a container
    /// the second part reads other processes.
    #[must_use]
    pub fn view(&self) -> View {
        let looks = || self.recheck.looks().map(|(_, look)| look);
        let environments = looks().map(Triaged::environment).chain(self.known.iter().map(|t| t.environment));
        let readings: Readings = environments.collect();
        let has_own = self.known.len() > 0
            || !self.census.candidates.is_empty()
            || looks().any(|look| !matches!(look, Triaged::Foreign));
        View {
            method: Some(self.census.method),
            examined: self.census.examined,
            unreadable: self.census.unreadable + readings.unreadable,
            blind: readings.is_blind(),
            visibility_problem: isolation::problem(&self.context, &self.census.children, has_own),
        }
    }

    fn into_survey(self) -> Survey {
        let View { unreadable, blind, visibility_problem, .. } = self.view();
        let zombies = self.zombies();
        let lost = self.recheck.looks().filter(|(_, look)| matches!(look, Triaged::Failed(_))).count();
        let Self { context, census, known, recheck, events, limit, .. } = self;
        drop(events);
        let others = recheck.into_looks().filter_map(|look| match look {
            Triaged::Judged(judgement, _) => Some(judgement),
            _ => None,
        });
        let mut judgements: Vec<Judgement> =
            known.into_judgements().chain(others).map(Arc::unwrap_or_clone).collect();
        judgements.sort_by_key(|j| j.id.pid);
        let orphans = judgements.iter().filter(|j| j.is_orphan());
        let (due, waiting): (Vec<_>, Vec<_>) = orphans.partition(|j| j.verdict == Verdict::Reap);
        let trees = |roots: &[&Judgement]| tree::read(&context, &census, roots, &judgements, limit);
        let (reach, cap) = (context.policy.reach, context.policy.max_targets.get());
        let now = plan(&trees(&due), reach, cap);
        let later = plan(&trees(&waiting), reach, usize::MAX);
        Survey { census, judgements, plan: now, later, unreadable, blind, visibility_problem, lost, zombies }
    }

    /// The number of processes that were zombies when inspected and still are: every process is a zombie for a moment
    /// between its exit and its collection.
    fn zombies(&self) -> usize {
        let tracked = self.known.judgements().filter(|j| j.stat.is_dead()).map(|j| (j.id.pid, j.stat.start));
        let others = self.recheck.looks().filter_map(|(pid, look)| Some((pid, look.zombie()?)));
        let is_zombie = |(pid, start): &(Pid, StartTime)| {
            self.context.host.stat_of(*pid).is_ok_and(|stat| stat.start == *start && stat.is_dead())
        };
        tracked.chain(others).filter(is_zombie).count()
    }

    /// Verdicts in which the first tick of a fresh tracker with the same sightings persistently differs, in words.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn differences(&mut self) -> Result<Vec<String>, HostError> {
        let fresh = Self::first_tick(&self.context, self.sightings.clone(), false, self.limit)?;
        let mut found: BTreeMap<Pid, Difference> = BTreeMap::new();
        for j in fresh.judgements().filter(|j| j.is_notable() && !self.ending.concerns(j)) {
            let looked_at = self.recheck.looked_at(j.id.pid);
            found.insert(j.id.pid, Difference { ours: None, theirs: Some(j.conclusion()), looked_at });
        }
        for tracked in self.known.iter() {
            let j = &tracked.judgement;
            let ours = Some(j.conclusion()).filter(|_| j.is_notable());
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
        self.context.host.clock()
    }
}
