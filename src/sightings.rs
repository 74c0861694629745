//! Since when each orphan has been seen: the clock of the grace period.
//!
//! It is kept across runs, so that two commands a minute apart add up. A process is remembered under its
//! whole identity, the boot and the PID namespace, so that neither a reused pid nor a reboot can inherit
//! another's time; and in `CLOCK_MONOTONIC`, which neither a sleeping laptop nor a set clock moves forward.

use std::collections::HashMap;
use std::time::Duration;

use reaper_platform::{Clock, Generation, Here, Pid, ProcId, StartTime};
use serde::{Deserialize, Serialize};

use crate::state::{StateDir, StateError};

/// The file in the state directory.
pub const FILE: &str = "sightings.json";
const SCHEMA: &str = "reaper.sightings/1";

/// First sightings of this boot and PID namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    since: HashMap<ProcId, Duration>,
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
    since_ns: u64,
}

impl Sightings {
    /// How long a process has been seen orphaned; zero when never before.
    #[must_use]
    pub fn seen_for(&self, id: &ProcId, clock: &Clock) -> Duration {
        self.since.get(id).map_or(Duration::ZERO, |since| clock.monotonic.saturating_sub(*since))
    }

    /// Remembers a process as seen now, unless it is remembered already.
    ///
    /// A process is not remembered in the clock tick in which it started: so no process that reuses its
    /// pid can have the same start time as a remembered one, even where the kernel has no generations.
    pub fn note(&mut self, id: ProcId, clock: &Clock, here: &Here) {
        if !is_newborn(&id, clock, here) {
            self.since.entry(id).or_insert(clock.monotonic);
        }
    }

    /// Forgets a process that is no orphan.
    pub fn forget(&mut self, id: &ProcId) {
        self.since.remove(id);
    }

    /// Forgets processes that are no more.
    pub fn retain(&mut self, is_there: impl Fn(Pid) -> bool) {
        self.since.retain(|id, _| is_there(id.pid));
    }

    /// Takes over what another run remembered; of two times the earlier one counts.
    pub fn merge(&mut self, other: Self) {
        for (id, since) in other.since {
            let ours = self.since.entry(id).or_insert(since);
            *ours = since.min(*ours);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
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
        let mut since = HashMap::new();
        if file.boot_id == here.boot_id && file.pid_namespace == here.pid_namespace {
            for entry in file.sightings {
                let Some(pid) = Pid::new(entry.pid) else { return Err(format!("{} is no pid", entry.pid)) };
                let id = ProcId {
                    pid,
                    start: StartTime(entry.start_ticks),
                    generation: entry.generation.map(Generation),
                };
                let at = Duration::from_nanos(entry.since_ns);
                if at <= clock.monotonic {
                    since.insert(id, at);
                }
            }
        }
        Ok(Self { since })
    }

    /// The file's content.
    #[must_use]
    pub fn render(&self, here: &Here) -> Vec<u8> {
        let mut sightings: Vec<Entry> = self
            .since
            .iter()
            .map(|(id, since)| Entry {
                pid: id.pid.get(),
                start_ticks: id.start.0,
                generation: id.generation.map(|g| g.0),
                since_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
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
                    shared.since.retain(|id, _| self.since.contains_key(id));
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

/// Whether a process started in the clock tick in which we are.
#[must_use]
pub fn is_newborn(id: &ProcId, clock: &Clock, here: &Here) -> bool {
    ticks(clock, here) <= id.start.0
}

/// The clock tick in which we are, in the unit of [`StartTime`].
#[must_use]
pub fn ticks(clock: &Clock, here: &Here) -> u64 {
    let ticks = clock.boottime.as_nanos() * u128::from(here.ticks_per_second) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
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
        let start = 1000 * here.ticks_per_second;
        seen.note(id(7, start, None), &at(1000), &here);
        assert!(seen.is_empty());
        seen.note(id(7, start - 1, None), &at(1000), &here);
        assert_eq!(seen.len(), 1);
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
