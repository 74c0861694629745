//! What the service knows of its processes, kept up to date at the least cost.
//!
//! A tick reads the adopters' lists and looks only at children that are new. Whoever is of interest is held
//! by a handle that tells when it ends, and is not read again before its grace is over; everybody else is
//! looked at again now and then, because `exec` can make an agent of anyone. The keeper decides nothing by
//! itself: each judgement is the gates', and equals what a single `reaper scan` would say with the same memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, ProcId, StartTime};

use crate::context::Ground;
use crate::discover;
use crate::discover::method::Method;
use crate::discover::{Census, Known};
use crate::sightings::Sightings;
use crate::visibility::Lonely;
use cross_check::Differences;
use lineage::Family;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;
use recheck::{Innocents, Sort};

mod budget;
mod cross_check;
mod exits;
mod judging;
mod lineage;
mod queries;
mod recheck;
mod schedule;

/// When a process is seen again that started in the very tick of the first look: two ticks at 100 a second.
const NEWBORN: Duration = Duration::from_millis(20);
/// Most processes that are looked at in one go: whoever asks on the socket waits for no longer than that takes.
const BATCH: usize = 256;
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
    /// Why nobody that we could look after can be here.
    pub lonely: Option<Lonely>,
}

struct Tracked<H: Host> {
    /// `None` when too many are held already; then it is pinned anew each time.
    process: Option<Arc<H::Pinned>>,
    judgement: Judgement,
    /// When it was judged.
    judged: Duration,
    /// Whether its environment could not be read at all, when it was first looked at.
    is_unreadable: bool,
    /// When it is to be judged again, on the monotonic clock.
    next: Duration,
    /// How long the last attempts to judge it made us wait; `None` when the last one succeeded.
    failing: Option<Duration>,
    /// Whether it is to be ended as soon as fewer others are being ended.
    is_deferred: bool,
}

/// Whom a handle in the waiter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Tracked(ProcId),
    Elder(ProcId),
}

/// The incremental counterpart of [`crate::sweep::survey`].
pub struct Keeper<H: Host> {
    ground: Ground<H>,
    /// What is remembered, across restarts too.
    pub sightings: Sightings,
    census: Census,
    innocents: Innocents,
    /// Who is to be looked at as soon as there is time.
    pending: BTreeSet<Pid>,
    tracked: BTreeMap<Pid, Tracked<H>>,
    /// How many of them are held by a handle.
    held: usize,
    /// Who is being ended right now.
    busy: HashSet<ProcId>,
    /// The plans that are being carried out, and since when: what a target becomes meanwhile is theirs to end.
    running: Vec<(StartTime, Plan)>,
    family: Family<H>,
    waiter: H::Waiter,
    alarm: Option<Duration>,
    watched: HashMap<u64, Watch>,
    last_token: u64,
    limit: Duration,
    events: Vec<Event>,
    differences: Differences,
}

impl<H: Host> Keeper<H> {
    /// Begins with a full look at everything.
    ///
    /// # Errors
    /// When processes cannot be listed, or not be waited for.
    pub fn new(ground: Ground<H>, sightings: Sightings, limit: Duration) -> Result<Self, HostError> {
        let waiter = ground.host.waiter()?;
        let census = discover::take(&ground.host, &ground.policy, ground.us.scope)?;
        let mut keeper = Self {
            family: Family::new(),
            sightings,
            innocents: Innocents::default(),
            pending: BTreeSet::new(),
            tracked: BTreeMap::new(),
            held: 0,
            busy: HashSet::new(),
            running: Vec::new(),
            waiter,
            alarm: None,
            watched: HashMap::new(),
            last_token: 0,
            limit,
            events: Vec::new(),
            differences: Differences::default(),
            census,
            ground,
        };
        keeper.pending.extend(&keeper.census.candidates);
        while !keeper.pending.is_empty() {
            keeper.look_at_pending();
        }
        keeper.meet_families()?;
        Ok(keeper)
    }

    /// Takes other settings; what is remembered stays, and everything is looked at again.
    ///
    /// # Errors
    /// When processes cannot be listed. The settings are the old ones then.
    pub fn reload(&mut self, ground: Ground<H>) -> Result<(), HostError> {
        self.census = discover::take(&ground.host, &ground.policy, ground.us.scope)?;
        self.ground = ground;
        self.innocents.clear();
        self.family.walk_anew();
        let now = self.clock().monotonic;
        for tracked in self.tracked.values_mut() {
            (tracked.next, tracked.is_deferred) = (now, false);
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
        let is_known = |pid: Pid| tracked.contains_key(&pid) || innocents.is_known(pid, now);
        let known = Known { adopters: &self.census.adopters, is_known: &is_known };
        self.census = discover::again(&self.ground.host, &self.ground.policy, self.ground.us.scope, &known)?;
        // Only the innocent may be forgotten because a list lacks them: the lists are not atomic.
        self.innocents.retain_among(&self.census.children);
        self.file_foreigners();
        let mut candidates = self.new_candidates();
        candidates.extend(self.wrapped());
        self.look_at(candidates);
        self.look_again();
        let now = self.clock().monotonic;
        if self.family.is_walk_due(now) {
            self.meet_families()?;
        } else if self.family.is_visit_due(now) {
            let strangers = self.family.visit(&self.ground, self.tracked.keys().copied());
            self.meet(strangers);
            self.drop_watches();
            self.family.visited(now, self.clock().monotonic);
        }
        Ok(())
    }

    /// Whose process somebody is can change, but rarely does.
    fn file_foreigners(&mut self) {
        let (now, interval) = (self.clock().monotonic, self.ground.policy.interval);
        for pid in &self.census.foreigners {
            self.innocents.file(*pid, Sort::Foreign, now, interval);
        }
    }

    fn new_candidates(&self) -> Vec<Pid> {
        self.census.candidates.iter().copied().filter(|pid| !self.tracked.contains_key(pid)).collect()
    }

    /// What hangs below marked wrappers: their orphans are not the adopters' own children.
    fn wrapped(&self) -> Vec<Pid> {
        let wrappers =
            self.tracked.values().filter(|t| t.judgement.is_wrapper && !self.busy.contains(&t.judgement.id));
        let below =
            wrappers.filter_map(|t| self.census.children(&*self.ground.host, t.judgement.id.pid).ok());
        below.flatten().filter(|pid| !self.tracked.contains_key(pid)).collect()
    }

    /// What was made of each process of interest by itself, when it was last looked at.
    #[must_use]
    pub fn judged(&self) -> Vec<Judgement> {
        self.judgements().cloned().collect()
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

    /// Tells when one of the watched processes has ended.
    #[must_use]
    pub const fn waiter(&self) -> &H::Waiter {
        &self.waiter
    }

    fn clock(&self) -> Clock {
        self.ground.host.clock()
    }
}
