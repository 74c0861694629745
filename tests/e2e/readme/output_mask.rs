//! Replaces what differs from run to run in output: process numbers, times, sizes.

/// Words after which a number is a process, a user or the like.
const BEFORE_NUMBERS: [&str; 6] = ["pid", "session", "below", "parent", "uid", "explain"];
const TIMES: [&str; 5] = ["s", "min", "h", "d", "ms"];
const SIZES: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

/// Every line, with what differs replaced by a letter, and runs of blanks by one.
pub fn plain(text: &str) -> Vec<String> {
    let mut in_table = false;
    text.lines()
        .map(|line| {
            in_table = line.starts_with("PROGRAM") || (in_table && !line.is_empty());
            plain_line(line, in_table)
        })
        .collect()
}

fn plain_line(line: &str, in_table: bool) -> String {
    // How fast init collects zombies does not matter.
    let collected = line.split_once(" ended but not collected by init");
    let line = match collected.map(|(before, after)| (before.rsplit_once("; "), after)) {
        Some((Some((kept, _)), after)) => format!("{kept}{after}"),
        _ => line.to_owned(),
    };
    let words: Vec<(&str, &str, &str)> = line.split_whitespace().map(bare).collect();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(&(lead, word, tail)) = words.get(at) {
        let next = |by: usize| words.get(at + by).map_or("", |(_, word, _)| *word);
        let before = at.checked_sub(1).and_then(|b| words.get(b)).map_or("", |(_, word, _)| *word);
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        let mut taken = 1;
        let replaced = if is_number && TIMES.contains(&next(1)) {
            // `3 h 05 min` is one time.
            taken = if TIMES.contains(&next(3)) { 4 } else { 2 };
            "T"
        } else if is_number && SIZES.contains(&next(1)) {
            taken = 2;
            "M"
        } else if is_number && (is_duration(word) || is_moment(word)) {
            "T"
        } else if is_number && (BEFORE_NUMBERS.contains(&before) || (in_table && is_pid_column(at, before))) {
            "N"
        } else {
            word
        };
        let tail = words.get(at + taken - 1).map_or(tail, |(_, _, tail)| *tail);
        out.push(format!("{lead}{replaced}{tail}"));
        at += taken;
    }
    out.join(" ")
}

/// A word without what stands around it.
fn bare(word: &str) -> (&str, &str, &str) {
    let start = word.len() - word.trim_start_matches('(').len();
    let end = word.trim_end_matches([',', ';', ')', ':', '.']).len().max(start);
    (&word[..start], &word[start..end], &word[end..])
}

fn is_pid_column(at: usize, before: &str) -> bool {
    at == 1 || (at == 2 && before.starts_with('+'))
}

/// `30s`, `1m30s`.
fn is_duration(word: &str) -> bool {
    word.ends_with(['s', 'm', 'h', 'd']) && word.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c))
}

/// `2026-01-02T03:04:05.678Z`.
fn is_moment(word: &str) -> bool {
    word.ends_with('Z') && word.contains('T') && word.contains('-')
}

/// Compares output with what is expected; `...` on a line of its own stands for any lines.
pub fn matches(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((dots, rest)) if dots == "..." => (0..=actual.len()).any(|n| matches(rest, &actual[n..])),
        Some((line, rest)) => {
            actual.split_first().is_some_and(|(first, others)| first == line && matches(rest, others))
        }
    }
}

#[test]
fn only_numbers_times_and_sizes_are_replaced() {
    for (line, expected) in [
        (
            "goose (pid 41202): parent 1, uid 1000, started 2026-01-02T03:04:05.678Z (3 h 05 min ago), 2.2 MB",
            "goose (pid N): parent N, uid N, started T (T ago), M",
        ),
        (
            "56 processes ended; about 124 MB came back; 2 spared (44 processes looked at)",
            "56 processes ended; about M came back; 2 spared (44 processes looked at)",
        ),
        (
            "3 processes ended; about 1 MB came back; 2 ended but not collected by init; 1 spared (4 processes looked at)",
            "3 processes ended; about M came back; 1 spared (4 processes looked at)",
        ),
        ("first seen orphaned now (grace 30s)", "first seen orphaned now (grace T)"),
        ("waiting 30 s: 40 orphans in grace", "waiting T: 40 orphans in grace"),
        ("its session 17 is neither its own", "its session N is neither its own"),
    ] {
        assert_eq!(plain(line), [expected]);
    }
    assert_eq!(
        plain("PROGRAM PID\ngoose +1  77  8 s  -  2 MB  sprout"),
        ["PROGRAM PID", "goose +1 N T - M sprout"]
    );
}

#[test]
fn dots_match_any_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a\n...\nc"), &lines("a\nb\nb\nc")));
    assert!(matches(&lines("a\n...\nc"), &lines("a\nc")));
    assert!(!matches(&lines("a\n...\nc"), &lines("a\nb")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
}
