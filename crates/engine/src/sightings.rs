//! Sightings: since when a process has been an orphan, and which parent and agent it had before.
//!
//! The first starts the grace period. The second cannot be read from a single snapshot: that a parent's exit was
//! observed, and which agent a background helper belongs to. Both are kept across runs, keyed by a process's whole
//! identity, the boot, the PID namespace and the time namespace, so that they never apply to a reused pid, another boot
//! or another clock. Times are in `CLOCK_MONOTONIC`, which neither suspend nor setting the clock moves forward.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::{Clock, Generation, HostInfo, Pid, ProcId, StartClock, StartTime};
use reaper_policy::judgement::Judgement;
use reaper_policy::past::{Past, Ties};
use reaper_policy::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::state_dir::StateDir;

/// The file in the state directory.
pub const FILE: &str = "sightings.json";
const SCHEMA: &str = "reaper.sightings/1";

/// The recorded processes of this boot, PID namespace and time namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    seen: HashMap<ProcId, Sighting>,
}

/// The record of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sighting {
    since: Option<Duration>,
    ties: Ties,
    /// When it was last seen not to be an orphan: earlier times, also those saved by other runs, do not count.
    not_before: Option<Duration>,
    /// Whether it was seen to run several marked programs at once.
    was_host: bool,
}

impl Sighting {
    fn is_worth_keeping(&self) -> bool {
        self.since.is_some() || self.was_host || self.ties != Ties::default()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    boot_id: String,
    pid_namespace: u64,
    /// Without it, the clock that the file's times are on is unknown.
    #[serde(default)]
    time_namespace: Option<u64>,
    /// The inode of a time namespace is reused; the new namespace may have other clock offsets.
    #[serde(default)]
    clock_offsets: Option<String>,
    sightings: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pid: i32,
    start_ticks: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    generation: Option<u64>,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dead_parent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    agent: Option<Id>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    was_host: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    pid: i32,
    start_ticks: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    generation: Option<u64>,
}

impl From<&ProcId> for Id {
    fn from(id: &ProcId) -> Self {
        Self { pid: id.pid.get(), start_ticks: id.start.0, generation: id.generation.map(|g| g.0) }
    }
}

impl Id {
    fn parse(&self) -> Result<ProcId, String> {
        let pid = Pid::new(self.pid).ok_or_else(|| format!("{} is no pid", self.pid))?;
        let generation = self.generation.map(Generation);
        Ok(ProcId { pid, start: StartTime(self.start_ticks), generation })
    }
}

impl Sightings {
    /// What is recorded of a process, as of `now`.
    #[must_use]
    pub fn past(&self, id: &ProcId, clock: &Clock) -> Past {
        let seen = self.seen.get(id).copied().unwrap_or_default();
        let seen_for = seen.since.map_or(Duration::ZERO, |since| clock.monotonic.saturating_sub(since));
        Past { seen_for, ties: seen.ties, was_host: seen.was_host }
    }

    /// How long a process has been seen orphaned; zero when never before.
    #[must_use]
    pub fn seen_for(&self, id: &ProcId, clock: &Clock) -> Duration {
        self.past(id, clock).seen_for
    }

    /// Records a process as orphaned now, unless it is recorded already.
    ///
    /// A process is not recorded within the clock tick in which it started, so that no process that reuses its pid can
    /// have the same start time as a recorded one, even where the kernel has no generations.
    pub fn note(&mut self, id: ProcId, clock: &Clock, here: &HostInfo) {
        if !is_newborn(&id, clock, here) {
            self.seen.entry(id).or_default().since.get_or_insert(clock.monotonic);
        }
    }

    /// Records a judgement: whether the process is an orphan, and which wrappers run several marked programs and so
    /// stay hosts.
    pub fn take_in(&mut self, judgement: &Judgement, clock: &Clock, here: &HostInfo) {
        for host in &judgement.hosts {
            self.note_host(*host, clock, here);
        }
        if judgement.is_orphan() {
            self.note(judgement.id, clock, here);
        } else if judgement.verdict == Verdict::Spare {
            self.clear(&judgement.id, clock);
        }
    }

    /// Records that a process is not an orphan: its grace starts afresh when it becomes one.
    pub fn clear(&mut self, id: &ProcId, clock: &Clock) {
        self.change(id, |seen| (seen.since, seen.not_before) = (None, Some(clock.monotonic)));
    }

    /// Records the earlier parent and the agent of a process, by the same rule as [`Sightings::note`].
    pub fn tie(&mut self, id: ProcId, ties: Ties, clock: &Clock, here: &HostInfo) {
        if !is_newborn(&id, clock, here) {
            self.change(&id, |seen| seen.ties = ties);
        }
    }

    /// Records a process as a wrapper that runs several marked programs, by the same rule.
    pub fn note_host(&mut self, id: ProcId, clock: &Clock, here: &HostInfo) {
        if !is_newborn(&id, clock, here) {
            self.change(&id, |seen| seen.was_host = true);
        }
    }

    fn change(&mut self, id: &ProcId, change: impl FnOnce(&mut Sighting)) {
        let mut seen = self.seen.get(id).copied().unwrap_or_default();
        change(&mut seen);
        if !seen.is_worth_keeping() {
            self.seen.remove(id);
        } else {
            self.seen.insert(*id, seen);
        }
    }

    /// Drops processes that no longer exist.
    pub fn retain(&mut self, is_there: impl Fn(Pid) -> bool) {
        self.seen.retain(|id, _| is_there(id.pid));
    }

    /// Merges the records of another run; of two times the earlier one counts.
    pub fn merge(&mut self, other: Self) {
        for (id, theirs) in other.seen {
            let ours = self.seen.entry(id).or_default();
            let counts = |at: &Duration| ours.not_before.is_none_or(|earliest| *at >= earliest);
            ours.since = match (ours.since, theirs.since.filter(counts)) {
                (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
                (one, other) => one.or(other),
            };
            ours.ties.dead_parent = ours.ties.dead_parent.or(theirs.ties.dead_parent);
            ours.ties.agent = ours.ties.agent.or(theirs.ties.agent);
            ours.was_host |= theirs.was_host;
        }
    }

    /// Whether anything recorded here is missing or different there.
    #[must_use]
    pub fn has_more_than(&self, other: &Self) -> bool {
        self.seen.iter().any(|(id, seen)| other.seen.get(id) != Some(seen))
    }

    /// The number of recorded processes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no process is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Parses the file's content. Sightings of another boot or namespace are ignored, and so are times ahead of our
    /// clock: they come from another clock.
    ///
    /// # Errors
    /// When it is not in the format that reaper writes, in words.
    pub fn parse(bytes: &[u8], here: &HostInfo, clock: &Clock) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if file.schema != SCHEMA {
            return Err(format!("its schema is not {SCHEMA}"));
        }
        let mut seen = HashMap::new();
        let is_here = file.boot_id == here.boot_id && file.pid_namespace == here.pid_namespace;
        let is_same_clock = file.time_namespace == Some(here.time_namespace)
            && file.clock_offsets.as_ref() == Some(&here.clock_offsets);
        if is_here && is_same_clock {
            for entry in file.sightings {
                let ties = Ties {
                    dead_parent: entry.dead_parent.and_then(Pid::new),
                    agent: entry.agent.as_ref().map(Id::parse).transpose()?,
                };
                let since = entry.since_ns.map(Duration::from_nanos).filter(|at| *at <= clock.monotonic);
                let sighting = Sighting { since, ties, not_before: None, was_host: entry.was_host };
                if sighting.is_worth_keeping() {
                    let Entry { pid, start_ticks, generation, .. } = entry;
                    seen.insert(Id { pid, start_ticks, generation }.parse()?, sighting);
                }
            }
        }
        Ok(Self { seen })
    }

    /// The file's content.
    #[must_use]
    pub fn render(&self, here: &HostInfo) -> Vec<u8> {
        let mut sightings: Vec<Entry> = self
            .seen
            .iter()
            .map(|(id, seen)| (Id::from(id), seen))
            .map(|(Id { pid, start_ticks, generation }, seen)| Entry {
                pid,
                start_ticks,
                generation,
                since_ns: seen.since.map(|since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
                dead_parent: seen.ties.dead_parent.map(Pid::get),
                agent: seen.ties.agent.as_ref().map(Id::from),
                was_host: seen.was_host,
            })
            .collect();
        sightings.sort_by_key(|e| (e.pid, e.start_ticks));
        let file = File {
            schema: SCHEMA.to_owned(),
            boot_id: here.boot_id.clone(),
            pid_namespace: here.pid_namespace,
            time_namespace: Some(here.time_namespace),
            clock_offsets: Some(here.clock_offsets.clone()),
            sightings,
        };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Loads the sightings of earlier runs. A file that cannot be trusted counts as missing, with a warning: every
    /// orphan is then seen for the first time, which only delays its end.
    #[must_use]
    pub fn load(state: &StateDir, here: &HostInfo, clock: &Clock, may_write: bool) -> (Self, Option<String>) {
        let why = match state.read(FILE) {
            Ok(None) => return (Self::default(), None),
            Ok(Some(bytes)) => match Self::parse(&bytes, here, clock) {
                Ok(sightings) => return (sightings, None),
                Err(why) => format!("`{}` is damaged ({why})", state.file(FILE).display()),
            },
            Err(e) => e.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let aside = may_write.then(|| state.set_aside(FILE)).flatten();
        let moved = aside.map(|to| format!("; it was moved to `{}`", to.display())).unwrap_or_default();
        (Self::default(), Some(format!("{why}{moved}: every orphan counts as seen for the first time")))
    }

    /// Saves, merged with what another run may have saved meanwhile.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, state: &StateDir, here: &HostInfo, clock: &Clock) -> Result<(), Failure> {
        let mut all = self.clone();
        match state.read(FILE) {
            Ok(None) if self.is_empty() => return Ok(()),
            Ok(Some(bytes)) => {
                if let Ok(theirs) = Self::parse(&bytes, here, clock) {
                    let mut shared = theirs.clone();
                    // A process known not to be an orphan stays so, whatever an earlier run recorded.
                    let is_seen = |id: &ProcId| self.seen.get(id).is_some_and(|ours| ours.since.is_some());
                    shared.seen.retain(|id, _| is_seen(id));
                    all.merge(shared);
                    if all == theirs {
                        return Ok(());
                    }
                }
            }
            _ => {}
        }
        state.replace(FILE, &all.render(here))
    }
}

/// Whether a process started in the current clock tick, so that a process that reuses its pid could be mistaken for it.
/// Where start times are the time of day, which can be set back, the generation tells the two apart.
#[must_use]
pub fn is_newborn(id: &ProcId, clock: &Clock, here: &HostInfo) -> bool {
    let can_tell = here.start_clock == StartClock::DayMicros && id.generation.is_some();
    !can_tell && here.start_clock.now(clock) <= id.start
}

#[cfg(test)]
mod tests;
