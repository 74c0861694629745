//! Joins records into one entry for each target: the announced signals and the outcome.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::entries::{Entry, HISTORY_REPORT, HistoryReport, SentSignal, Skipped, Totals};
use super::history::FILE;
use super::lines::{self, Dated};
use super::record::{FindingReport, Record, SELF_TEST};
use super::words::{Outcome, Role, Word};
use crate::failure::Failure;
use crate::format;
use crate::state_dir::StateDir;
use reaper_policy::escape::again;

/// The part of the history that was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Only records from this time on, since 1970.
    pub since: Option<Duration>,
    /// Only processes with this pid.
    pub pid: Option<i32>,
    /// At most this many entries, the newest ones.
    pub limit: Option<usize>,
}

/// Reads the history. `now` is the time since 1970. Only matching records are kept in memory while the files are read.
///
/// # Errors
/// When a file cannot be read, or others could have written it.
pub fn read(state: Option<&StateDir>, wanted: &Wanted, now: Duration) -> Result<HistoryReport, Failure> {
    let mut skipped = Skipped::default();
    let mut joiner = Joiner::new(*wanted);
    if let Some(state) = state {
        for file in lines::open(state)? {
            let done = lines::each(file, &mut skipped, |dated| joiner.take(dated));
            done.map_err(|e| lines::error(state, FILE, e))?;
        }
    }
    let (entries, omitted, totals) = joiner.finish();
    Ok(HistoryReport {
        schema: HISTORY_REPORT.to_owned(),
        generated_at: format::time(now),
        since: wanted.since.map(format::time),
        pid: wanted.pid,
        entries,
        omitted,
        totals,
        skipped,
    })
}

/// The start time tells a reused pid apart, and the sweep id, which has the time of day, another boot.
type Key = (String, i32, u64);

struct Joiner {
    wanted: Wanted,
    since: Option<Timestamp>,
    /// Announced without an outcome yet, with the position of the first record.
    open: HashMap<Key, (u64, Timestamp, Entry)>,
    /// With an outcome, by the position of the first record.
    kept: BTreeMap<u64, Entry>,
    omitted: u64,
    place: u64,
    totals: Totals,
}

impl Joiner {
    fn new(wanted: Wanted) -> Self {
        let millis = wanted.since.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX));
        Self {
            since: millis.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            wanted,
            open: HashMap::new(),
            kept: BTreeMap::new(),
            omitted: 0,
            place: 0,
            totals: Totals::default(),
        }
    }

    fn take(&mut self, Dated { at, record }: Dated) {
        if self.wanted.pid.is_some_and(|pid| pid != record.pid) {
            return;
        }
        self.place += 1;
        let key = (record.sweep.clone(), record.pid, record.start_ticks);
        let (place, _, mut entry) =
            self.open.remove(&key).unwrap_or_else(|| (self.place, at, begin(&record)));
        entry.at = shown(at);
        if record.announces() {
            let signal = safe(record.signal);
            entry.signals.push(SentSignal { signal, at: shown(at) });
            entry.findings = record.findings.iter().map(finding).collect();
            self.open.insert(key, (place, at, entry));
            return;
        }
        entry.outcome = safe(record.outcome);
        entry.took_ms = record.took_ms;
        entry.rss_bytes = record.rss_bytes;
        entry.why = record.why.as_deref().map(again);
        if has_ended(&entry) {
            entry.reclaimed_bytes = record.rss_bytes;
        }
        self.keep(place, at, entry);
    }

    fn keep(&mut self, place: u64, at: Timestamp, entry: Entry) {
        if self.since.is_some_and(|since| at < since) {
            return;
        }
        count(&mut self.totals, &entry);
        self.kept.insert(place, entry);
        if self.wanted.limit.is_some_and(|limit| self.kept.len() > limit) {
            self.kept.pop_first();
            self.omitted += 1;
        }
    }

    fn finish(mut self) -> (Vec<Entry>, u64, Totals) {
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|(place, ..)| *place);
        for (place, at, mut entry) in open {
            entry.outcome = Outcome::Unfinished.into();
            self.keep(place, at, entry);
        }
        (self.kept.into_values().collect(), self.omitted, self.totals)
    }
}

/// The file may have been edited since it was written, so its strings are escaped again.
fn begin(record: &Record) -> Entry {
    Entry {
        pid: record.pid,
        start_ticks: record.start_ticks,
        program: again(&record.program),
        root: record.root,
        role: record.role.clone().map_other(again),
        profiles: record.profiles.iter().map(|p| again(p)).collect(),
        sweep: again(&record.sweep),
        self_test: record.sweep.starts_with(SELF_TEST),
        rss_bytes: record.rss_bytes,
        ..Entry::default()
    }
}

fn finding(finding: &FindingReport) -> FindingReport {
    FindingReport {
        gate: finding.gate.clone().map_other(again),
        answer: finding.answer.clone().map_other(again),
        evidence: again(&finding.evidence),
    }
}

/// A word that may be missing.
fn safe<T>(word: Option<Word<T>>) -> Word<T> {
    word.map_or_else(|| Word::Other("unknown".to_owned()), |word| word.map_other(again))
}

/// Whether it ended by our signals.
const fn has_ended(entry: &Entry) -> bool {
    matches!(entry.outcome, Word::Known(Outcome::Exited | Outcome::Killed))
}

fn shown(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn count(totals: &mut Totals, entry: &Entry) {
    if entry.self_test {
        totals.self_tests += 1;
        return;
    }
    totals.targets += 1;
    *totals.by_outcome.entry(entry.outcome.to_string()).or_default() += 1;
    if !has_ended(entry) {
        return;
    }
    totals.ended += 1;
    totals.orphans_ended += u64::from(entry.role.is(Role::Root));
    totals.reclaimed_bytes = totals.reclaimed_bytes.saturating_add(entry.reclaimed_bytes);
    let name = entry.profiles.first().map_or("none", String::as_str);
    let profile = totals.by_profile.entry(name.to_owned()).or_default();
    profile.ended += 1;
    profile.reclaimed_bytes = profile.reclaimed_bytes.saturating_add(entry.reclaimed_bytes);
}

#[cfg(test)]
mod tests {
    use super::super::entries::ProfileTotals;
    use super::super::record::HISTORY;
    use super::super::words::{Answer, Event, Gate};
    use super::*;
    use serde::de::DeserializeOwned;

    fn read<T: DeserializeOwned>(word: &str) -> Word<T> {
        serde_json::from_value(word.into()).unwrap()
    }

    fn record(second: u32, event: &str, sweep: &str, pid: i32, word: &str) -> Dated {
        let at = format!("2026-01-02T03:04:{second:02}Z");
        let event = if event == "intent" { Event::Intent } else { Event::Outcome };
        let is_intent = event == Event::Intent;
        let finding =
            |evidence| FindingReport { gate: Gate::Orphan.into(), answer: Answer::Yes.into(), evidence };
        let record = Record {
            schema: HISTORY.into(),
            at: at.clone(),
            sweep: sweep.into(),
            event,
            pid,
            start_ticks: 7,
            root: pid,
            role: if pid > 100 { Role::Descendant } else { Role::Root }.into(),
            program: "goose".into(),
            profiles: vec![if pid % 2 == 0 { "buzz" } else { "sprout" }.into()],
            signal: is_intent.then(|| read(word)),
            findings: if is_intent { vec![finding(format!("before {word}"))] } else { Vec::new() },
            outcome: (!is_intent).then(|| read(word)),
            took_ms: (!is_intent).then_some(12),
            rss_bytes: 1000,
            why: None,
        };
        Dated { at: at.parse().unwrap(), record }
    }

    fn join(wanted: Wanted, records: Vec<Dated>) -> (Vec<Entry>, u64, Totals) {
        let mut joiner = Joiner::new(wanted);
        records.into_iter().for_each(|dated| joiner.take(dated));
        joiner.finish()
    }

    fn story() -> Vec<Dated> {
        vec![
            record(1, "intent", "a", 1, "TERM"),
            record(1, "intent", "a", 101, "TERM"),
            record(2, "outcome", "a", 101, "exited"),
            record(3, "intent", "b", 1, "TERM"),
            record(4, "intent", "a", 1, "KILL"),
            record(5, "outcome", "a", 1, "killed"),
            record(6, "outcome", "c", 2, "spared"),
            record(7, "intent", "doctor-1", 9, "TERM"),
            record(8, "outcome", "doctor-1", 9, "exited"),
        ]
    }

    #[test]
    fn announcements_and_outcomes_are_joined() {
        let (entries, omitted, totals) = join(Wanted::default(), story());
        let short: Vec<_> = entries
            .iter()
            .map(|e| {
                let signals: Vec<_> = e.signals.iter().map(|s| s.signal.to_string()).collect();
                (e.pid, e.outcome.to_string(), signals.join("+"), e.at.as_str())
            })
            .collect();
        assert_eq!(
            short,
            [
                (1, "killed".to_owned(), "TERM+KILL".to_owned(), "2026-01-02T03:04:05.000Z"),
                (101, "exited".to_owned(), "TERM".to_owned(), "2026-01-02T03:04:02.000Z"),
                (1, "unfinished".to_owned(), "TERM".to_owned(), "2026-01-02T03:04:03.000Z"),
                (2, "spared".to_owned(), String::new(), "2026-01-02T03:04:06.000Z"),
                (9, "exited".to_owned(), "TERM".to_owned(), "2026-01-02T03:04:08.000Z"),
            ]
        );
        assert_eq!(entries[0].findings[0].evidence, "before KILL", "those of the last signal");
        assert_eq!(
            entries.iter().map(|e| e.self_test).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        assert_eq!((omitted, totals.targets, totals.ended, totals.orphans_ended), (0, 4, 2, 1));
        assert_eq!((totals.reclaimed_bytes, totals.self_tests), (2000, 1));
        let outcomes: Vec<_> = totals.by_outcome.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(outcomes, [("exited", 1), ("killed", 1), ("spared", 1), ("unfinished", 1)]);
        assert_eq!(totals.by_profile.len(), 1);
        assert_eq!(totals.by_profile["sprout"], ProfileTotals { ended: 2, reclaimed_bytes: 2000 });
    }

    #[test]
    fn the_limit_keeps_the_newest_and_the_totals_count_all() {
        let wanted = Wanted { limit: Some(2), ..Wanted::default() };
        let (entries, omitted, totals) = join(wanted, story());
        assert_eq!(entries.iter().map(|e| e.pid).collect::<Vec<_>>(), [2, 9]);
        assert_eq!((omitted, totals.targets), (3, 4));
    }

    #[test]
    fn only_what_was_asked_for_is_counted() {
        let since = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap().as_millisecond();
        let since = Some(Duration::from_millis(since.unsigned_abs()));
        let (entries, _, totals) = join(Wanted { since, ..Wanted::default() }, story());
        assert_eq!(entries.iter().map(|e| e.pid).collect::<Vec<_>>(), [1, 2, 9], "by the time of the end");
        assert_eq!(totals.targets, 2);
        let (entries, _, totals) = join(Wanted { pid: Some(1), ..Wanted::default() }, story());
        assert_eq!((entries.len(), totals.targets), (2, 2));
    }

    #[test]
    fn a_file_that_was_edited_cannot_paint_the_terminal() {
        let mut dated = record(1, "outcome", "s", 1, "exi\u{1b}[2Jted");
        dated.record.program = "\u{202e}esoog\\n".into();
        dated.record.profiles = vec!["\u{7}".into()];
        dated.record.why = Some("\r".into());
        let (entries, _, totals) = join(Wanted::default(), vec![dated]);
        assert_eq!(
            (entries[0].program.as_str(), entries[0].outcome.to_string().as_str()),
            (r"\u{202e}esoog\n", r"exi\x1b[2Jted")
        );
        assert_eq!((entries[0].profiles[0].as_str(), entries[0].why.as_deref()), (r"\x07", Some(r"\r")));
        assert!(totals.by_outcome.contains_key(r"exi\x1b[2Jted"));
    }
}
