//! The history: every signal's account, written before it is sent, and its outcome after.
//!
//! One JSON object a line, appended and synced. A crash can cut the last line short; the next run ends it,
//! and a reader skips it. The file is rotated by size, so that it never grows without bound.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use crate::report::types::Record;
use crate::state::{StateDir, StateError};

/// The file in the state directory; the one before it has `.1` at its end.
pub const FILE: &str = "history.jsonl";
/// Where a new file is begun.
const MAX_BYTES: u64 = 8 << 20;

/// Takes the account of what is about to happen. A signal is sent only after this has succeeded.
pub trait Account {
    /// Writes records durably.
    ///
    /// # Errors
    /// When they could not be written: then nothing may be done.
    fn write(&mut self, records: &[Record]) -> Result<(), StateError>;
}

/// The history file, open for appending.
#[derive(Debug)]
pub struct History {
    file: File,
    state: StateDir,
}

impl History {
    /// Opens it, rotates it when it is large, and ends a line that a crash cut short.
    ///
    /// # Errors
    /// When it cannot be written, or others can write it.
    pub fn open(state: &StateDir) -> Result<Self, StateError> {
        let path = state.file(FILE);
        let io = |source| error(state, source);
        if fs::metadata(&path).is_ok_and(|m| m.len() >= MAX_BYTES) {
            fs::rename(&path, state.file(&format!("{FILE}.1"))).map_err(io)?;
        }
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        let dir = fs::metadata(state.file(".")).map_err(io)?;
        if !meta.is_file() || meta.uid() != dir.uid() || meta.permissions().mode() & 0o022 != 0 {
            let why = "others could have written it".to_owned();
            return Err(StateError::Refused {
                path,
                why,
                hint: "move it away; a new one will be begun".into(),
            });
        }
        if meta.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).map_err(io)?;
            file.read_exact(&mut last).map_err(io)?;
            if last != *b"\n" {
                file.write_all(b"\n").map_err(io)?;
            }
        }
        Ok(Self { file, state: state.clone() })
    }
}

impl Account for History {
    fn write(&mut self, records: &[Record]) -> Result<(), StateError> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| error(&self.state, e.into()))?;
            lines.push(b'\n');
        }
        // One write, so that the lines of two reapers never mix.
        self.file.write_all(&lines).and_then(|()| self.file.sync_data()).map_err(|e| error(&self.state, e))
    }
}

fn error(state: &StateDir, source: io::Error) -> StateError {
    let hint =
        "no process was signalled: an account must be written first. Free some space, or make it writable";
    StateError::Io { what: "write the history", path: state.file(FILE), source, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::Uid;

    fn record(pid: i32) -> Record {
        Record {
            schema: super::super::types::HISTORY.into(),
            at: "2026-01-02T03:04:05Z".into(),
            sweep: "s".into(),
            event: "intent".into(),
            pid,
            start_ticks: 1,
            root: pid,
            role: "root".into(),
            program: "a\\nb".into(),
            profiles: vec!["sprout".into()],
            signal: Some("TERM".into()),
            findings: Vec::new(),
            outcome: None,
            took_ms: None,
            rss_bytes: 1,
            why: None,
        }
    }

    fn state(dir: &tempfile::TempDir) -> StateDir {
        StateDir::create(&dir.path().join("s"), Uid(fs::metadata(dir.path()).unwrap().uid())).unwrap()
    }

    fn lines(state: &StateDir) -> Vec<Option<Record>> {
        let text = fs::read_to_string(state.file(FILE)).unwrap();
        text.lines().map(|l| serde_json::from_str(l).ok()).collect()
    }

    #[test]
    fn lines_are_appended_and_a_cut_one_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        History::open(&state).unwrap().write(&[record(1), record(2)]).unwrap();
        let whole = fs::read(state.file(FILE)).unwrap();
        fs::write(state.file(FILE), &whole[..whole.len() - 20]).unwrap();
        History::open(&state).unwrap().write(&[record(3)]).unwrap();
        let pids: Vec<_> = lines(&state).into_iter().map(|r| r.map(|r| r.pid)).collect();
        assert_eq!(pids, [Some(1), None, Some(3)]);
    }

    #[test]
    fn the_size_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        for _ in 0..3 {
            fs::write(state.file(FILE), vec![b'\n'; usize::try_from(MAX_BYTES).unwrap()]).unwrap();
            fs::set_permissions(state.file(FILE), fs::Permissions::from_mode(0o600)).unwrap();
            History::open(&state).unwrap().write(&[record(1)]).unwrap();
            assert!(fs::metadata(state.file(FILE)).unwrap().len() < 4096);
        }
        assert_eq!(fs::read_dir(state.file(".")).unwrap().count(), 2);
    }

    #[test]
    fn a_history_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        History::open(&state).unwrap();
        fs::set_permissions(state.file(FILE), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(History::open(&state), Err(StateError::Refused { .. })));
    }
}
