//! The history file: an intent before each signal, and the outcome afterwards.
//!
//! One JSON object a line, appended. An intent is synced before its signal is sent; an outcome is not synced: if power
//! fails between the two, the processes are gone as well. A crash can cut the last line short; the next writer
//! terminates it, and readers skip it. The file is rotated by size, so that its size is bounded.
//!
//! `scan`, the service and each of its threads write to it concurrently. Every write is made under a lock on the file
//! itself, to the file that has the name at that moment: a writer with a file open from before a rotation would
//! otherwise write into a file that the next rotation removes.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use super::record::{Account, Record};
use crate::failure::Failure;
use crate::state_dir::StateDir;
use crate::trusted_file;

/// The file in the state directory; the one before it has `.1` at its end.
pub const FILE: &str = "history.jsonl";
/// The file before it.
pub const OLD_FILE: &str = "history.jsonl.1";
/// The size at which a new file is begun, in bytes; checked once a sweep, so that the lines of a sweep stay together.
const MAX_BYTES: u64 = 8 << 20;
/// How often the file may be replaced while it is being opened before that counts as a failure.
const MAX_REOPENS: usize = 16;
/// How long to wait for the lock: a write takes milliseconds, and a lock held by a stopped process or a backup may
/// never be released.
const PATIENCE: Duration = Duration::from_secs(2);
const WHAT: &str = "cannot write the history";
const HINT: &str =
    "no process was signalled: an account must be written first. Free some space, or make it writable";

/// The history file, open for appending.
#[derive(Debug)]
pub struct History {
    file: File,
    state: StateDir,
}

impl History {
    /// Opens it, rotates it when it is large, and terminates a line that a crash cut short.
    ///
    /// # Errors
    /// When it cannot be written, or others can write it.
    pub fn open(state: &StateDir) -> Result<Self, Failure> {
        let mut history = Self { file: open(state)?, state: state.clone() };
        history.lock()?;
        let prepared = history.prepare();
        history.unlock();
        prepared.map(|()| history)
    }

    /// Under the lock: rotates, and terminates a line that was cut short.
    fn prepare(&mut self) -> Result<(), Failure> {
        let io = |source| error(&self.state, source);
        if self.file.metadata().map_err(io)?.len() >= MAX_BYTES {
            fs::rename(self.state.file(FILE), self.state.file(OLD_FILE)).map_err(io)?;
            self.unlock();
            self.file = open(&self.state)?;
            self.lock()?;
        }
        end_cut_line(&mut self.file).map(drop).map_err(|source| error(&self.state, source))
    }

    /// Locks the file that has the name now: another process may have rotated or removed the open one.
    fn lock(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        for _ in 0..MAX_REOPENS {
            let patience = end.saturating_duration_since(Instant::now());
            if !trusted_file::lock(&self.file, patience).map_err(|source| error(&self.state, source))? {
                return Err(self.locked());
            }
            let named = fs::metadata(self.state.file(FILE));
            let ours = self.file.metadata().map_err(|source| error(&self.state, source))?;
            if named.is_ok_and(|named| is_same(&named, &ours)) {
                return Ok(());
            }
            self.unlock();
            self.file = open(&self.state)?;
        }
        Err(error(&self.state, io::Error::other("it is replaced again and again")))
    }

    fn locked(&self) -> Failure {
        let path = self.state.file(FILE);
        let hint = format!(
            "no process was signalled: an account must be written first. `fuser {}` tells which process holds it",
            path.display()
        );
        Failure::new(WHAT).at(path).because("another process keeps it locked").hint(hint)
    }

    /// A failed unlock needs no handling: the lock is released with the descriptor.
    fn unlock(&self) {
        let _ = self.file.unlock();
    }

    /// Under the lock: appends all lines or none, as far as the disk permits.
    fn append(&mut self, lines: &[u8], durably: bool) -> io::Result<()> {
        let before = end_cut_line(&mut self.file)?;
        let mut written = self.file.write_all(lines);
        if durably {
            written = written.and_then(|()| self.file.sync_data());
        }
        if written.is_err() {
            // A signal that was called off must not look like one that was announced.
            let _ = self.file.set_len(before);
        }
        written
    }
}

impl Account for History {
    fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| error(&self.state, e.into()))?;
            lines.push(b'\n');
        }
        self.lock()?;
        let written = self.append(&lines, records.iter().any(Record::announces));
        self.unlock();
        written.map_err(|source| error(&self.state, source))
    }
}

/// Opens the file, or creates it.
fn open(state: &StateDir) -> Result<File, Failure> {
    let is_new = !state.file(FILE).exists();
    let file = state.open_to_write(FILE, OpenOptions::new().append(true), WHAT, HINT)?;
    if is_new {
        // Best effort: not every file system can sync a directory, and the others write names to disk soon anyway.
        let _ = File::open(state.file(".")).and_then(|dir| dir.sync_all());
    }
    Ok(file)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Terminates the last line if a crash cut it short; returns the file's length.
fn end_cut_line(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    if len == 0 {
        return Ok(0);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(len);
    }
    file.write_all(b"\n").map(|()| len + 1)
}

fn error(state: &StateDir, source: io::Error) -> Failure {
    Failure::new(WHAT).at(state.file(FILE)).because(source).hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::super::join::{Wanted, read};
    use super::super::record::HISTORY;
    use super::super::words::{Event, Outcome, Role, Signal};
    use super::*;
    use reaper_platform::Uid;
    use std::os::unix::fs::PermissionsExt as _;

    fn record(pid: i32) -> Record {
        Record {
            schema: HISTORY.into(),
            at: "2026-01-02T03:04:05Z".into(),
            sweep: "s".into(),
            event: Event::Intent,
            pid,
            start_ticks: 1,
            root: pid,
            role: Role::Root.into(),
            program: "a\\nb".into(),
            profiles: vec!["sprout".into()],
            signal: Some(Signal::Term.into()),
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

    fn pids(state: &StateDir) -> (Vec<i32>, u64) {
        let report = read(Some(state), &Wanted::default(), Duration::ZERO).unwrap();
        (report.entries.iter().map(|e| e.pid).collect(), report.skipped.damaged)
    }

    #[test]
    fn r11_a_crash_at_any_byte_of_a_record_costs_at_most_that_record() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        History::open(&state).unwrap().write(&[record(1), record(2)]).unwrap();
        let whole = fs::read(state.file(FILE)).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in first..=whole.len() {
            // The line is terminated on open, and also by a writer that had the file open when another crashed.
            for is_open in [false, true] {
                fs::write(state.file(FILE), &whole).unwrap();
                let before = is_open.then(|| History::open(&state).unwrap());
                fs::write(state.file(FILE), &whole[..cut]).unwrap();
                let mut history = before.unwrap_or_else(|| History::open(&state).unwrap());
                history.write(&[record(3)]).unwrap();
                let expected = match cut {
                    _ if cut == first => (vec![1, 3], 0),
                    _ if cut + 1 >= whole.len() => (vec![1, 2, 3], 0),
                    _ => (vec![1, 3], 1),
                };
                assert_eq!(pids(&state), expected, "cut at byte {cut} of {}", whole.len());
                let text = fs::read_to_string(state.file(FILE)).unwrap();
                assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
            }
        }
    }

    #[test]
    fn w15_no_writer_writes_into_a_file_that_another_rotated_away() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        let mut held = History::open(&state).unwrap();
        held.write(&[record(1)]).unwrap();
        // Twice, so that the file that `held` has open is no longer even the older one.
        for pid in [2, 3] {
            let mut file = OpenOptions::new().append(true).open(state.file(FILE)).unwrap();
            file.write_all(&vec![b'\n'; usize::try_from(MAX_BYTES).unwrap()]).unwrap();
            History::open(&state).unwrap().write(&[record(pid)]).unwrap();
        }
        held.write(&[record(4)]).unwrap();
        assert_eq!(pids(&state), (vec![2, 3, 4], 0), "and the one rotated out is gone");
        fs::remove_file(state.file(FILE)).unwrap();
        held.write(&[record(5)]).unwrap();
        assert_eq!(pids(&state), (vec![2, 5], 0), "a file that was removed is begun anew");
    }

    #[test]
    fn w15_writers_that_rotate_all_the_time_lose_and_mix_nothing() {
        const WRITERS: i32 = 4;
        const RECORDS: i32 = 60;
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        let rotate = |state: &StateDir, n: i32| {
            let mut history = History::open(state).unwrap();
            history.lock().unwrap();
            let kept = state.file(&format!("kept.{n}"));
            fs::rename(state.file(FILE), &kept).unwrap();
            let len = fs::metadata(&kept).unwrap().len();
            history.unlock();
            (kept, len)
        };
        let sealed = std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let state = &state;
                scope.spawn(move || {
                    let mut history = History::open(state).unwrap();
                    for n in 0..RECORDS {
                        let mut long = record(1 + writer * RECORDS + n);
                        long.program = "x".repeat(5000);
                        history.write(&[long]).unwrap();
                    }
                });
            }
            (0..40).map(|n| rotate(&state, n)).collect::<Vec<_>>()
        });
        for (kept, len) in sealed {
            assert_eq!(fs::metadata(kept).unwrap().len(), len, "written to after it was rotated away");
        }
        let mut seen = Vec::new();
        for entry in fs::read_dir(state.file(".")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            seen.extend(text.lines().map(|l| serde_json::from_str::<Record>(l).unwrap().pid));
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=WRITERS * RECORDS).collect::<Vec<_>>());
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
        let refusal = "others could have written it\nhint: move it away; a new one will be begun";
        assert!(History::open(&state).unwrap_err().to_string().ends_with(refusal));
        let reading = read(Some(&state), &Wanted::default(), Duration::ZERO);
        assert!(reading.unwrap_err().to_string().ends_with(refusal));
    }

    #[test]
    fn writing_to_a_history_that_stays_locked_fails() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        let mut history = History::open(&state).unwrap();
        let other = File::open(state.file(FILE)).unwrap();
        other.lock().unwrap();
        let begun = Instant::now();
        let refused = history.write(&[record(1)]).unwrap_err().to_string();
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < 10 * PATIENCE);
        assert!(
            refused.contains("another process keeps it locked\nhint: no process was signalled"),
            "{refused}"
        );
        drop(other);
        history.write(&[record(1)]).unwrap();
        assert_eq!(pids(&state), (vec![1], 0));
    }

    #[test]
    fn a_history_that_is_another_file_too_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        let victim = dir.path().join("victim");
        fs::write(&victim, "mine\n").unwrap();
        fs::hard_link(&victim, state.file(FILE)).unwrap();
        let refused = History::open(&state).unwrap_err().to_string();
        assert!(refused.contains("it has other names, too (hard links)\nhint: move it away"), "{refused}");
        fs::remove_file(state.file(FILE)).unwrap();
        std::os::unix::fs::symlink(&victim, state.file(FILE)).unwrap();
        let refused = History::open(&state).unwrap_err().to_string();
        assert!(refused.contains("it is a symbolic link\nhint: move it away"), "{refused}");
        assert_eq!(fs::read(&victim).unwrap(), b"mine\n");
    }

    #[test]
    fn it_is_read_across_a_rotation_and_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        assert_eq!(pids(&state), (vec![], 0));
        History::open(&state).unwrap().write(&[record(1)]).unwrap();
        fs::rename(state.file(FILE), state.file(OLD_FILE)).unwrap();
        assert_eq!(pids(&state), (vec![1], 0));
        History::open(&state)
            .unwrap()
            .write(&[Record { outcome: Some(Outcome::Exited.into()), event: Event::Outcome, ..record(1) }])
            .unwrap();
        let report = read(Some(&state), &Wanted::default(), Duration::ZERO).unwrap();
        assert_eq!(report.entries.len(), 1);
        assert!(report.entries[0].outcome.is(Outcome::Exited) && report.entries[0].signals.len() == 1);
    }
}
