//! The table for people: one line for each process, aligned; coloured, and cut to the width, on a terminal only.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::types::{JudgementReport, Scan, Verdict};
use reaper_engine::audit::words::Word;
use reaper_engine::format;

const HEAD: [&str; 8] = ["PROGRAM", "PID", "AGE", "ORPHANED", "MEMORY", "PROFILE", "VERDICT", "REASON"];
/// Columns of numbers, aligned to the right.
const RIGHT: [bool; 8] = [false, true, true, true, true, false, false, false];
/// The column of the verdict, which is coloured.
const VERDICT: usize = 6;

/// Renders the judgements. `width` is the number of columns of the terminal; `None` off a terminal, where nothing is
/// cut.
#[must_use]
pub fn render(judgements: &[JudgementReport], width: Option<usize>) -> String {
    let rows: Vec<[String; 8]> = judgements.iter().map(row).collect();
    grid(&HEAD, &RIGHT, &rows, width, |row, column| match judgements.get(row) {
        Some(judgement) if column == VERDICT => colour(&judgement.verdict),
        _ => Style::new(),
    })
}

/// Lays rows out below their head. On a terminal of `width` columns the last one is cut.
pub fn grid<const N: usize>(
    head: &[&str; N],
    right: &[bool; N],
    rows: &[[String; N]],
    width: Option<usize>,
    style: impl Fn(usize, usize) -> Style,
) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    let bold = Style::new().bold();
    line(&mut out, &head.map(str::to_owned), &widths, right, width, |_| bold);
    for (i, row) in rows.iter().enumerate() {
        line(&mut out, row, &widths, right, width, |column| style(i, column));
    }
    out
}

fn row(j: &JudgementReport) -> [String; 8] {
    let span = |s: f64| format::span(Duration::try_from_secs_f64(s).unwrap_or_default());
    let orphaned = if j.orphaned_s > 0.0 { span(j.orphaned_s) } else { "-".to_owned() };
    let more = j.targets.len().saturating_sub(1);
    let program = if more > 0 { format!("{} +{more}", j.program) } else { j.program.clone() };
    [
        program,
        j.pid.to_string(),
        span(j.age_s),
        orphaned,
        format::bytes(j.rss_bytes),
        j.profile.clone().unwrap_or_else(|| "-".to_owned()),
        j.verdict.to_string(),
        j.reason.clone(),
    ]
}

fn colour(verdict: &Word<Verdict>) -> Style {
    let colour = match verdict {
        Word::Known(Verdict::Reap) => AnsiColor::Red,
        Word::Known(Verdict::Wait) => AnsiColor::Yellow,
        Word::Known(Verdict::Unknown) => AnsiColor::Magenta,
        Word::Known(Verdict::Spare) | Word::Other(_) => AnsiColor::Green,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn line<const N: usize>(
    out: &mut String,
    cells: &[String; N],
    widths: &[usize; N],
    right: &[bool; N],
    limit: Option<usize>,
    style: impl Fn(usize) -> Style,
) {
    let mut used = 0;
    let last = cells.len() - 1;
    for (column, ((cell, width), right)) in cells.iter().zip(widths).zip(right).enumerate() {
        let pad = width.saturating_sub(cell.width());
        let (before, after) = if *right { (pad, 0) } else { (0, pad) };
        let style = style(column);
        let text = match limit {
            Some(limit) if column == last => cut(cell, limit.saturating_sub(used)),
            _ => cell.clone(),
        };
        let _ = write!(out, "{:before$}{style}{text}{style:#}", "");
        if column < last {
            let _ = write!(out, "{:after$}  ", "");
        }
        used += width + 2;
    }
    out.push('\n');
}

/// Cuts a text to a number of columns, unless the terminal is too narrow for that to be useful.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns || columns < 16 {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + 2 > columns {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// The summary in one line.
#[must_use]
pub fn summary(scan: &Scan) -> String {
    let s = &scan.summary;
    let mut parts = Vec::new();
    if scan.actions.is_empty() {
        let processes = scan.judgements.iter().map(|j| j.targets.len()).sum();
        let orphans = format::orphans(s.reap + s.wait, processes);
        let verb = if scan.dry_run { "would be ended" } else { "to be ended" };
        parts.push(match (s.reap, s.wait) {
            (0, 0) if s.unknown > 0 || !scan.census.complete => "no orphan for certain".to_owned(),
            (0, 0) => "no orphaned agents".to_owned(),
            (_, 0) => format!("{orphans} {verb} now"),
            (0, _) => format!("{orphans} in grace"),
            (reap, wait) => format!("{orphans}: {reap} {verb} now, {wait} in grace"),
        });
        if scan.dry_run && s.reclaimed_bytes > 0 {
            parts.push(format!("about {} would come back", format::bytes(s.reclaimed_bytes)));
        }
    } else {
        let ended = s.exited + s.killed;
        let mut how = format::count(ended, "process");
        how.push_str(" ended");
        if s.killed > 0 {
            let _ = write!(how, " ({} by SIGKILL)", s.killed);
        }
        parts.push(how);
        if ended > 0 {
            parts.push(format!("about {} came back", format::bytes(s.reclaimed_bytes)));
        }
    }
    for (n, what) in [
        (s.gone, "ended by itself before"),
        (s.spared, "spared at the last look"),
        (s.denied, "could not be signalled"),
        (s.survived, "still there"),
        (s.zombies + scan.census.zombies, "ended but not collected by init"),
        (s.deferred, "deferred by max-targets"),
        (s.unknown, "could not be judged"),
        (s.spare, "spared"),
        (scan.census.unreadable, "unreadable"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    let examined = format::count(scan.census.examined, "process");
    format!("{} ({examined} looked at)", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_engine::audit::words::Gate;

    fn judgement(program: &str, reason: &str) -> JudgementReport {
        JudgementReport {
            pid: 4242,
            ppid: 1,
            uid: Some(1000),
            program: program.into(),
            exe: None,
            started_at: String::new(),
            age_s: 812.4,
            profile: Some("sprout".into()),
            marker: None,
            verdict: Verdict::Reap.into(),
            decided_by: Gate::Grace.into(),
            reason: reason.into(),
            orphaned_s: 45.0,
            eligible_in_s: Some(0.0),
            rss_bytes: 18_464_000,
            targets: vec![4250, 4242],
            findings: Vec::new(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_line_up_whatever_the_names() {
        let table = plain(&render(&[judgement("goose", "a"), judgement("エージェント", "b")], None));
        let columns: Vec<usize> =
            table.lines().skip(1).map(|l| l.find("sprout").map_or(0, |i| l[..i].width())).collect();
        assert_eq!(columns[0], columns[1], "{table}");
        assert!(table.contains("goose +1") && table.contains("13 min") && table.contains("18 MB"), "{table}");
    }

    #[test]
    fn only_a_terminal_cuts() {
        let long = "x".repeat(300);
        assert!(plain(&render(&[judgement("goose", &long)], None)).contains(&long));
        let narrow = plain(&render(&[judgement("goose", &long)], Some(100)));
        assert!(narrow.lines().all(|l| l.width() <= 100), "{narrow}");
    }
}
