//! A pause: the service tracks processes and ends none. It outlives a crash of the service, but not a reboot, like
//! everything in the runtime directory.

use std::time::Duration;

use reaper_platform::{Clock, HostInfo};
use serde::{Deserialize, Serialize};

use reaper_engine::failure::Failure;
use reaper_engine::state_dir::StateDir;

const FILE: &str = "pause.json";

/// The end of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until `reaper resume`.
    UntilResumed,
    /// Until this moment of the monotonic clock.
    Until(Duration),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    boot_id: String,
    until_ns: Option<u64>,
}

impl Pause {
    /// A pause of this length, starting now.
    #[must_use]
    pub fn from(time: Option<Duration>, clock: &Clock) -> Self {
        time.map_or(Self::UntilResumed, |time| Self::Until(clock.monotonic.saturating_add(time)))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, clock: &Clock) -> bool {
        matches!(self, Self::Until(end) if clock.monotonic >= end)
    }

    /// Loads the pause of an earlier run of the service. A file that cannot be read or parsed means a pause without
    /// end: one was requested, and only its end is unknown.
    pub fn load(runtime: &StateDir, here: &HostInfo, clock: &Clock) -> Option<Self> {
        let bytes = match runtime.read(FILE) {
            Ok(None) => return None,
            Ok(Some(bytes)) => bytes,
            Err(_) => return Some(Self::UntilResumed),
        };
        let pause = match serde_json::from_slice::<File>(&bytes) {
            Ok(file) if file.boot_id != here.boot_id => return None,
            Ok(file) => file.until_ns.map_or(Self::UntilResumed, |ns| Self::Until(Duration::from_nanos(ns))),
            Err(_) => Self::UntilResumed,
        };
        Some(pause).filter(|pause| !pause.is_over(clock))
    }

    /// Saves a pause, or removes it when it has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(pause: Option<Self>, runtime: &StateDir, here: &HostInfo) -> Result<(), Failure> {
        let Some(pause) = pause else { return runtime.remove(FILE) };
        let until_ns = match pause {
            Self::UntilResumed => None,
            Self::Until(end) => Some(u64::try_from(end.as_nanos()).unwrap_or(u64::MAX)),
        };
        let file = File { boot_id: here.boot_id.clone(), until_ns };
        runtime.replace(FILE, &serde_json::to_vec(&file).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::{Uid, fake};
    use std::os::unix::fs::MetadataExt as _;

    fn at(seconds: u64) -> Clock {
        let t = Duration::from_secs(seconds);
        Clock { monotonic: t, boottime: t, realtime: t }
    }

    #[test]
    fn a_pause_outlives_the_service_but_not_a_reboot() {
        let dir = tempfile::tempdir().unwrap();
        let uid = Uid(std::fs::metadata(dir.path()).unwrap().uid());
        let state = StateDir::create(&dir.path().join("r"), uid).unwrap();
        let here = fake::host_info();
        assert_eq!(Pause::load(&state, &here, &at(1)), None);
        let minute = Pause::from(Some(Duration::from_secs(60)), &at(100));
        Pause::save(Some(minute), &state, &here).unwrap();
        assert_eq!(Pause::load(&state, &here, &at(159)), Some(minute));
        assert_eq!(Pause::load(&state, &here, &at(160)), None);
        let mut reboot = here.clone();
        reboot.boot_id = "another".into();
        assert_eq!(Pause::load(&state, &reboot, &at(101)), None);
        Pause::save(None, &state, &here).unwrap();
        assert_eq!(Pause::load(&state, &here, &at(101)), None);
        state.replace(FILE, b"{").unwrap();
        assert_eq!(Pause::load(&state, &here, &at(101)), Some(Pause::UntilResumed));
    }
}
