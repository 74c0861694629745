//! What earlier looks saw of a process: since when it is an orphan, and whose it was before.
//!
//! The first is the clock of the grace period. The second is what a single look cannot see any more: that a
//! parent was watched dying, and which agent a background helper belongs to. Both are kept across runs, under
//! a process's whole identity, the boot and the PID namespace, so that neither a reused pid nor a reboot can
//! inherit another's; and in `CLOCK_MONOTONIC`, which neither a sleeping laptop nor a set clock moves forward.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::{Clock, Generation, Here, Pid, ProcId, StartClock, StartTime};
use serde::{Deserialize, Serialize};

use crate::state::{StateDir, StateError};

/// The file in the state directory.
pub const FILE: &str = "sightings.json";
const SCHEMA: &str = "reaper.sightings/1";

/// What is remembered of the processes of this boot and PID namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    seen: HashMap<ProcId, Sighting>,
}

/// What is remembered of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sighting {
    since: Option<Duration>,
    ties: Ties,
    /// When it was last seen not to be an orphan: no earlier time counts, whoever remembers it.
    not_before: Option<Duration>,
}

impl Sighting {
    fn is_worth_keeping(&self) -> bool {
        self.since.is_some() || self.ties != Ties::default()
    }
}

/// Whose a process was before it became an orphan, as far as somebody watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ties {
    /// Its earlier parent, which was seen to die.
    pub dead_parent: Option<Pid>,
    /// The nearest agent above it when it was last seen in its place.
    pub agent: Option<ProcId>,
}

/// What the past says about a process that is judged now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// How long it has been seen orphaned; zero when never before.
    pub seen_for: Duration,
    /// Whose it was.
    pub ties: Ties,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    boot_id: String,
    pid_namespace: u64,
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
    /// What is remembered of a process.
    #[must_use]
    pub fn past(&self, id: &ProcId, clock: &Clock) -> Past {
        let seen = self.seen.get(id).copied().unwrap_or_default();
        let seen_for = seen.since.map_or(Duration::ZERO, |since| clock.monotonic.saturating_sub(since));
        Past { seen_for, ties: seen.ties }
    }

    /// How long a process has been seen orphaned; zero when never before.
    #[must_use]
    pub fn seen_for(&self, id: &ProcId, clock: &Clock) -> Duration {
        self.past(id, clock).seen_for
    }

    /// Remembers a process as seen orphaned now, unless it is remembered already.
    ///
    /// A process is not remembered in the moment in which it started: so no process that reuses its
    /// pid can have the same start time as a remembered one, even where the kernel has no generations.
    pub fn note(&mut self, id: ProcId, clock: &Clock, here: &Here) {
        if !is_newborn(&id, clock, here) {
            self.seen.entry(id).or_default().since.get_or_insert(clock.monotonic);
        }
    }

    /// A process was seen not to be an orphan: its grace begins anew when it becomes one.
    pub fn clear(&mut self, id: &ProcId, clock: &Clock) {
        self.change(id, |seen| (seen.since, seen.not_before) = (None, Some(clock.monotonic)));
    }

    /// Remembers whose a process is or was, by the same rule as [`Sightings::note`].
    pub fn tie(&mut self, id: ProcId, ties: Ties, clock: &Clock, here: &Here) {
        if !is_newborn(&id, clock, here) {
            self.change(&id, |seen| seen.ties = ties);
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

    /// Forgets processes that are no more.
    pub fn retain(&mut self, is_there: impl Fn(Pid) -> bool) {
        self.seen.retain(|id, _| is_there(id.pid));
    }

    /// Takes over what another run remembered; of two times the earlier one counts.
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
        }
    }

    /// Whether anything is remembered here that is not remembered there, or otherwise.
    #[must_use]
    pub fn has_more_than(&self, other: &Self) -> bool {
        self.seen.iter().any(|(id, seen)| other.seen.get(id) != Some(seen))
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Reads the file's content. Another boot's or namespace's sightings mean nothing here; times ahead of
    /// our clock come from a clock that we do not share.
    ///
    /// # Errors
    /// When it is not what we write, in words.
    pub fn parse(bytes: &[u8], here: &Here, clock: &Clock) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if file.schema != SCHEMA {
            return Err(format!("its schema is not {SCHEMA}"));
        }
        let mut seen = HashMap::new();
        if file.boot_id == here.boot_id && file.pid_namespace == here.pid_namespace {
            for entry in file.sightings {
                let ties = Ties {
                    dead_parent: entry.dead_parent.and_then(Pid::new),
                    agent: entry.agent.as_ref().map(Id::parse).transpose()?,
                };
                let since = entry.since_ns.map(Duration::from_nanos).filter(|at| *at <= clock.monotonic);
                let sighting = Sighting { since, ties, not_before: None };
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
    pub fn render(&self, here: &Here) -> Vec<u8> {
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
            })
            .collect();
        sightings.sort_by_key(|e| (e.pid, e.start_ticks));
        let file = File {
            schema: SCHEMA.to_owned(),
            boot_id: here.boot_id.clone(),
            pid_namespace: here.pid_namespace,
            sightings,
        };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Loads what earlier runs saw. A file that cannot be trusted counts as none, with a warning: then
    /// every orphan is seen for the first time, which only delays.
    #[must_use]
    pub fn load(state: &StateDir, here: &Here, clock: &Clock, may_write: bool) -> (Self, Option<String>) {
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

    /// Saves, together with what another run may have saved meanwhile.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, state: &StateDir, here: &Here, clock: &Clock) -> Result<(), StateError> {
        let mut all = self.clone();
        match state.read(FILE) {
            Ok(None) if self.is_empty() => return Ok(()),
            Ok(Some(bytes)) => {
                if let Ok(theirs) = Self::parse(&bytes, here, clock) {
                    let mut shared = theirs.clone();
                    // Whom we know to be no orphan stays one, whatever an earlier run saw.
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

/// Whether a process started in the moment in which we are, so that whoever reuses its pid could be mistaken for it.
/// Where start times are the time of day, which can be set back, its generation tells it apart.
#[must_use]
pub fn is_newborn(id: &ProcId, clock: &Clock, here: &Here) -> bool {
    let can_tell = here.start_clock == StartClock::DayMicros && id.generation.is_some();
    !can_tell && here.start_clock.now(clock) <= id.start
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::fake;

    fn id(pid: i32, start: u64, generation: Option<u64>) -> ProcId {
        ProcId {
            pid: Pid::new(pid).unwrap(),
            start: StartTime(start),
            generation: generation.map(Generation),
        }
    }

    fn at(seconds: u64) -> Clock {
        let t = Duration::from_secs(seconds);
        Clock { monotonic: t, boottime: t, realtime: t }
    }

    #[test]
    fn time_adds_up_across_runs() {
        let here = fake::here();
        let mut first = Sightings::default();
        first.note(id(7, 100, Some(1)), &at(1000), &here);
        let second = Sightings::parse(&first.render(&here), &here, &at(1020)).unwrap();
        assert_eq!(second.seen_for(&id(7, 100, Some(1)), &at(1030)), Duration::from_secs(30));
    }

    #[test]
    fn nobody_inherits_another_ones_time() {
        let here = fake::here();
        let mut seen = Sightings::default();
        seen.note(id(7, 100, Some(1)), &at(1000), &here);
        for other in [id(7, 100, Some(2)), id(7, 101, Some(1)), id(8, 100, Some(1)), id(7, 100, None)] {
            assert_eq!(seen.seen_for(&other, &at(9999)), Duration::ZERO);
        }
        let bytes = seen.render(&here);
        let mut reboot = here.clone();
        reboot.boot_id = "another".into();
        let mut container = here.clone();
        container.pid_namespace += 1;
        for elsewhere in [reboot, container] {
            assert!(Sightings::parse(&bytes, &elsewhere, &at(2000)).unwrap().is_empty());
        }
        assert!(
            Sightings::parse(&bytes, &here, &at(900)).unwrap().is_empty(),
            "a clock that runs ahead of ours"
        );
    }

    #[test]
    fn a_process_is_not_remembered_in_the_tick_of_its_start() {
        let here = fake::here();
        let mut seen = Sightings::default();
        let start = here.start_clock.now(&at(1000)).0;
        seen.note(id(7, start, None), &at(1000), &here);
        assert!(seen.is_empty());
        seen.note(id(7, start - 1, None), &at(1000), &here);
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn a_process_with_a_number_of_its_own_is_remembered_although_the_time_of_day_was_set_back() {
        let here = Here { start_clock: StartClock::DayMicros, ..fake::here() };
        let mut seen = Sightings::default();
        let tomorrow = here.start_clock.now(&at(100_000)).0;
        seen.note(id(7, tomorrow, None), &at(1000), &here);
        assert!(seen.is_empty());
        seen.note(id(7, tomorrow, Some(1)), &at(1000), &here);
        assert_eq!(seen.seen_for(&id(7, tomorrow, Some(1)), &at(1030)), Duration::from_secs(30));
    }

    #[test]
    fn ties_outlive_a_run_and_hold_for_this_process_only() {
        let here = fake::here();
        let (mut seen, agent) = (Sightings::default(), id(3, 50, Some(9)));
        let ties = Ties { dead_parent: Pid::new(5), agent: Some(agent) };
        seen.tie(id(7, 100, None), ties, &at(1000), &here);
        let again = Sightings::parse(&seen.render(&here), &here, &at(1020)).unwrap();
        assert_eq!(again.past(&id(7, 100, None), &at(1020)), Past { seen_for: Duration::ZERO, ties });
        assert_eq!(again.past(&id(7, 101, None), &at(1020)), Past::default());
    }

    #[test]
    fn grace_begins_anew_when_it_was_no_orphan_meanwhile() {
        let here = fake::here();
        let mut seen = Sightings::default();
        seen.note(id(7, 100, None), &at(1000), &here);
        seen.clear(&id(7, 100, None), &at(1010));
        assert!(seen.is_empty());
    }

    #[test]
    fn a_time_that_was_cleared_does_not_come_back_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let here = fake::here();
        let uid = reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(
            &std::fs::metadata(dir.path()).unwrap(),
        ));
        let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
        let mut seen = Sightings::default();
        let ties = Ties { dead_parent: Pid::new(5), agent: None };
        seen.tie(id(7, 100, None), ties, &at(1000), &here);
        seen.note(id(7, 100, None), &at(1000), &here);
        seen.save(&state, &here, &at(1000)).unwrap();
        seen.clear(&id(7, 100, None), &at(1010));
        seen.save(&state, &here, &at(1010)).unwrap();
        let (loaded, _) = Sightings::load(&state, &here, &at(1020), true);
        assert_eq!(loaded.past(&id(7, 100, None), &at(1020)), Past { seen_for: Duration::ZERO, ties });
        seen.note(id(7, 100, None), &at(1030), &here);
        seen.save(&state, &here, &at(1030)).unwrap();
        let (loaded, _) = Sightings::load(&state, &here, &at(1040), true);
        assert_eq!(loaded.seen_for(&id(7, 100, None), &at(1040)), Duration::from_secs(10));
    }

    #[test]
    fn r11_a_damaged_file_is_set_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let here = fake::here();
        let uid = reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(
            &std::fs::metadata(dir.path()).unwrap(),
        ));
        let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
        for damaged in [&b"{"[..], b"", b"null", b"{\"schema\":\"x\"}", b"\xff\xff"] {
            state.replace(FILE, damaged).unwrap();
            let (seen, warning) = Sightings::load(&state, &here, &at(1), false);
            assert!(seen.is_empty() && warning.unwrap().contains("damaged"));
            assert!(state.file(FILE).exists(), "a dry run moves nothing");
            assert!(Sightings::load(&state, &here, &at(1), true).1.is_some());
            assert_eq!(Sightings::load(&state, &here, &at(1), true).1, None, "said once");
        }
    }

    #[test]
    fn two_runs_do_not_lose_each_others_sightings() {
        let dir = tempfile::tempdir().unwrap();
        let here = fake::here();
        let uid = reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(
            &std::fs::metadata(dir.path()).unwrap(),
        ));
        let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
        let (mut early, mut late) = (Sightings::default(), Sightings::default());
        early.note(id(7, 1, None), &at(100), &here);
        late.note(id(7, 1, None), &at(200), &here);
        early.save(&state, &here, &at(200)).unwrap();
        late.save(&state, &here, &at(200)).unwrap();
        let (loaded, _) = Sightings::load(&state, &here, &at(300), true);
        assert_eq!(loaded.seen_for(&id(7, 1, None), &at(300)), Duration::from_secs(200));
    }
}
