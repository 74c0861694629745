//! The history's files as a stream of records: read line by line, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;

use jiff::Timestamp;
use serde::Deserialize;

use super::entries::Skipped;
use super::history::{FILE, OLD_FILE};
use super::record::{HISTORY, Record};
use super::words::{Event, Word};
use crate::failure::Failure;
use crate::state_dir::StateDir;

/// A record takes some kilobytes; a longer line is not a record.
const MAX_LINE: u64 = 256 << 10;
/// How often the files may be rotated while they are opened before that counts as a failure.
const MAX_TRIES: usize = 8;
const WHAT: &str = "cannot read the history";

/// Opens the files that exist, the older one first.
///
/// # Errors
/// When one cannot be read, or others could have written it.
pub fn open(state: &StateDir) -> Result<Vec<File>, Failure> {
    for _ in 0..MAX_TRIES {
        // The newer one first: if they are rotated in between, it is found again under the older name.
        let new = open_one(state, FILE)?;
        let old = open_one(state, OLD_FILE)?;
        let is_rotated = match (&new, &old) {
            (Some((_, new)), Some((_, old))) => new == old,
            _ => false,
        };
        if !is_rotated {
            return Ok([old, new].into_iter().flatten().map(|(file, _)| file).collect());
        }
    }
    Err(error(state, FILE, io::Error::other("it is replaced again and again")))
}

type Inode = (u64, u64);

fn open_one(state: &StateDir, name: &str) -> Result<Option<(File, Inode)>, Failure> {
    let Some(file) = state.open_to_read(name, WHAT)? else { return Ok(None) };
    let meta = file.metadata().map_err(|e| error(state, name, e))?;
    Ok(Some((file, (meta.dev(), meta.ino()))))
}

pub fn error(state: &StateDir, name: &str, source: io::Error) -> Failure {
    Failure::new(WHAT)
        .at(state.file(name))
        .because(source)
        .hint("check the permissions of the state directory")
}

/// A record, and when it was written.
pub struct Dated {
    pub at: Timestamp,
    pub record: Record,
}

/// Iterates over the records of one file in order, and counts the lines that are not records.
pub fn each(file: impl io::Read, skipped: &mut Skipped, mut take: impl FnMut(Dated)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && read as u64 == MAX_LINE {
            skip_line(&mut reader)?;
            skipped.damaged += 1;
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(&line) {
            Ok(dated) => take(*dated),
            Err(No::Damaged) => skipped.damaged += 1,
            Err(No::Newer) => skipped.newer += 1,
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    reader.skip_until(b'\n').map(drop)
}

enum No {
    Damaged,
    Newer,
}

/// The fields that every version of a line has.
#[derive(Deserialize)]
struct Head {
    schema: String,
    event: Word<Event>,
}

fn parse(line: &[u8]) -> Result<Box<Dated>, No> {
    let Ok(record) = serde_json::from_slice::<Record>(line) else { return Err(stranger(line)) };
    if record.schema != HISTORY {
        return Err(stranger(line));
    }
    let at = record.at.parse().map_err(|_| No::Damaged)?;
    Ok(Box::new(Dated { at, record }))
}

/// Classifies a line that is not a record of this version.
fn stranger(line: &[u8]) -> No {
    match serde_json::from_slice::<Head>(line) {
        Ok(head) if head.schema == HISTORY && matches!(head.event, Word::Known(_)) => No::Damaged,
        Ok(head) if head.schema.starts_with("reaper.history/") => No::Newer,
        _ => No::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pids(bytes: &[u8]) -> (Vec<i32>, Skipped) {
        let (mut pids, mut skipped) = (Vec::new(), Skipped::default());
        each(bytes, &mut skipped, |dated| pids.push(dated.record.pid)).unwrap();
        (pids, skipped)
    }

    fn line(pid: i32, more: &str) -> String {
        format!(
            r#"{{"schema":"reaper.history/1","at":"2026-01-02T03:04:05.000Z","sweep":"s","event":"outcome","pid":{pid},"start_ticks":1,"root":{pid},"role":"root","program":"goose","profiles":["sprout"],"outcome":"exited","took_ms":1,"rss_bytes":1{more}}}"#
        ) + "\n"
    }

    #[test]
    fn damage_costs_one_line() {
        let long = format!("\"{}\"\n", "x".repeat(3 * usize::try_from(MAX_LINE).unwrap()));
        let bad_time = line(9, "").replace("2026-01-02", "soon");
        for damage in ["{", "{\"schema\":", "null", "[]", "\u{fffd}", "\0\0\0", &long, &bad_time] {
            let text = line(1, "") + damage.trim_end() + "\n" + &line(2, "");
            assert_eq!(pids(text.as_bytes()), (vec![1, 2], Skipped { damaged: 1, newer: 0 }), "{damage:.40}");
        }
        let not_text =
            [line(1, "").as_bytes(), b"\xff\xfe\n\n\n", line(2, "").trim_end().as_bytes()].concat();
        assert_eq!(pids(&not_text), (vec![1, 2], Skipped { damaged: 1, newer: 0 }));
    }

    #[test]
    fn words_of_another_version_are_read_as_they_are() {
        let strange = line(1, r#","findings":[{"gate":"mood","answer":"maybe","evidence":"e"}]"#)
            .replace(r#""role":"root""#, r#""role":"cousin""#)
            .replace(r#""outcome":"exited""#, r#""outcome":"vanished","signal":"HUP""#);
        let mut seen = Vec::new();
        each(strange.as_bytes(), &mut Skipped::default(), |dated| seen.push(dated.record)).unwrap();
        let [record] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(
            (record.role.to_string().as_str(), record.signal.as_ref().unwrap().to_string().as_str()),
            ("cousin", "HUP")
        );
        let written = serde_json::to_value(record).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(&strange).unwrap());
    }

    #[test]
    fn newer_versions_are_read_as_far_as_they_are_known() {
        let more = line(1, r#","cgroup":"/x","score":{"a":[1,2]}"#);
        assert_eq!(pids(more.as_bytes()), (vec![1], Skipped::default()));
        let newer = line(1, "").replace("history/1", "history/2")
            + &line(2, "").replace("outcome\",\"pid", "note\",\"pid");
        assert_eq!(pids(newer.as_bytes()), (vec![], Skipped { damaged: 0, newer: 2 }));
    }
}
