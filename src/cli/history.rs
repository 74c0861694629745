//! `reaper history`: what was ended, why, and what became of it.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use reaper_platform::{Host as _, Pid};

use super::args::{Format, History as Args};
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config::paths::Paths;
use crate::report::table;
use reaper_engine::audit::entries::{Entry, HistoryReport};
use reaper_engine::audit::join::{self, Wanted};
use reaper_engine::audit::words::{Gate, Outcome, Role, Word};
use reaper_engine::format;
use reaper_engine::state_dir::StateDir;

const HEAD: [&str; 9] =
    ["TIME", "PROGRAM", "PID", "PROFILE", "SIGNALS", "OUTCOME", "TOOK", "MEMORY", "REASON"];
/// Columns of numbers, aligned to the right.
const RIGHT: [bool; 9] = [false, false, true, false, false, false, true, true, false];
/// The column of the outcome, which is coloured.
const OUTCOME: usize = 5;

pub fn run(invocation: &Invocation, args: &Args, out: &mut Output) -> Result<Exit, CommandError> {
    let now = invocation.host.clock().realtime;
    invocation.scope(args.all_users)?;
    let paths = if args.all_users { Paths::of_all_users() } else { invocation.paths()? };
    let state = StateDir::open(&paths.state, invocation.host.info().uid)?;
    let wanted = Wanted {
        since: args.since.map(|since| now.saturating_sub(since)),
        pid: args.pid.map(Pid::get),
        limit: (!args.all).then_some(args.limit),
    };
    let report = join::read(state.as_ref(), &wanted, now)?;
    match args.format {
        Format::Json => out.document(&report)?,
        Format::Table => out.data(render(&report, invocation.verbose, out.width())),
    }
    complain(&report, out);
    Ok(Exit::Done)
}

/// Warns of lines that could not be read: something may have been ended that is not shown.
fn complain(report: &HistoryReport, out: &Output) {
    for (n, what) in [
        (report.skipped.damaged, "damaged, probably by a crash or a full disk"),
        (report.skipped.newer, "written by a newer version of reaper"),
    ] {
        if n > 0 {
            let lines = format::count(usize::try_from(n).unwrap_or(usize::MAX), "line");
            out.warn(format_args!("{lines} of the history left out: {what}"));
        }
    }
    if report.omitted > 0 {
        out.note(format_args!("hint: {} older are not shown; `--all` shows them", report.omitted));
    }
}

fn render(report: &HistoryReport, verbose: bool, width: Option<usize>) -> String {
    let mut text = String::new();
    let rows: Vec<[String; 9]> = report.entries.iter().map(row).collect();
    if !rows.is_empty() && !verbose {
        text.push_str(&table::grid(&HEAD, &RIGHT, &rows, width, |row, column| {
            let entry = report.entries.get(row).filter(|_| column == OUTCOME);
            entry.map_or_else(Style::new, |entry| colour(&entry.outcome))
        }));
        text.push('\n');
    }
    if verbose {
        report.entries.iter().for_each(|entry| describe(&mut text, entry));
    }
    text.push_str(&totals(report));
    text
}

fn row(entry: &Entry) -> [String; 9] {
    let signals: Vec<String> = entry.signals.iter().map(|s| s.signal.to_string()).collect();
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        entry.at.clone(),
        name(entry),
        entry.pid.to_string(),
        dash(entry.profiles.first().cloned().unwrap_or_default()),
        dash(signals.join("+")),
        entry.outcome.to_string(),
        dash(took(entry)),
        format::bytes(entry.rss_bytes),
        reason(entry),
    ]
}

fn name(entry: &Entry) -> String {
    if entry.self_test { format!("{} (self-test)", entry.program) } else { entry.program.clone() }
}

fn took(entry: &Entry) -> String {
    match entry.took_ms {
        Some(_) if entry.signals.is_empty() => String::new(),
        Some(ms @ 0..10_000) => format!("{ms} ms"),
        Some(ms) => format::span(Duration::from_millis(ms)),
        None => String::new(),
    }
}

/// The most useful reason: why it was left, else why it was an orphan, else the tree that it was in.
fn reason(entry: &Entry) -> String {
    if let Some(why) = &entry.why {
        return why.clone();
    }
    let is_root = entry.role.is(Role::Root);
    let evidence = |gate| entry.findings.iter().find(|f| f.gate.is(gate)).map(|f| f.evidence.clone());
    let parts = [evidence(Gate::Orphan), evidence(Gate::Grace).filter(|_| is_root)];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|words| !words.is_empty()).collect();
    match (parts.is_empty(), is_root) {
        (false, _) => parts.join("; "),
        (true, true) => "-".to_owned(),
        (true, false) => format!("{} of pid {}", entry.role, entry.root),
    }
}

fn colour(outcome: &Word<Outcome>) -> Style {
    let colour = match outcome {
        Word::Known(Outcome::Exited | Outcome::Gone) => AnsiColor::Green,
        Word::Known(Outcome::Killed | Outcome::Spared | Outcome::Interrupted) => AnsiColor::Yellow,
        Word::Known(Outcome::Denied | Outcome::Survived | Outcome::Unfinished) | Word::Other(_) => {
            AnsiColor::Red
        }
    };
    Style::new().fg_color(Some(colour.into()))
}

/// One target with all details.
fn describe(text: &mut String, entry: &Entry) {
    let (bold, colour) = (Style::new().bold(), colour(&entry.outcome));
    let took = took(entry);
    let took = if took.is_empty() { took } else { format!(" in {took}") };
    let _ = writeln!(
        text,
        "{} {bold}{}{bold:#} (pid {}) {colour}{}{colour:#}{took}, {}",
        entry.at,
        name(entry),
        entry.pid,
        entry.outcome,
        format::bytes(entry.rss_bytes)
    );
    let place = if entry.role.is(Role::Root) {
        "the orphan itself".to_owned()
    } else {
        format!("{} of the orphan {}", entry.role, entry.root)
    };
    let _ = writeln!(text, "  profile {}; {place}; sweep {}", entry.profiles.join(", "), entry.sweep);
    if let Some(why) = &entry.why {
        let _ = writeln!(text, "  {why}");
    }
    for sent in &entry.signals {
        let _ = writeln!(text, "  SIG{} at {}", sent.signal, sent.at);
    }
    for finding in &entry.findings {
        let _ = writeln!(text, "    {:<12} {:<9} {}", finding.gate, finding.answer, finding.evidence);
    }
    text.push('\n');
}

fn totals(report: &HistoryReport) -> String {
    let t = &report.totals;
    let mut text = String::new();
    let count = |n: u64, what: &str| format::count(usize::try_from(n).unwrap_or(usize::MAX), what);
    if t.targets == 0 {
        let when = if report.since.is_some() { " in that time" } else { "" };
        text.push_str(&format!("nothing was ended{when}\n"));
    } else {
        let outcomes: Vec<String> =
            t.by_outcome.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
        let _ = writeln!(
            text,
            "{} ended, {} among them; about {} came back",
            count(t.ended, "process"),
            count(t.orphans_ended, "orphan"),
            format::bytes(t.reclaimed_bytes)
        );
        let _ = writeln!(text, "by outcome: {}", outcomes.join(", "));
    }
    if !t.by_profile.is_empty() {
        let profiles: Vec<String> = t
            .by_profile
            .iter()
            .map(|(name, p)| format!("{name} {} ({})", p.ended, format::bytes(p.reclaimed_bytes)))
            .collect();
        let _ = writeln!(text, "by profile: {}", profiles.join(", "));
    }
    if t.self_tests > 0 {
        let _ = writeln!(text, "not counted: {} of `reaper doctor`", count(t.self_tests, "self-test"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_engine::audit::entries::{HISTORY_REPORT, ProfileTotals, SentSignal, Skipped, Totals};
    use reaper_engine::audit::record::FindingReport;
    use reaper_engine::audit::words::{Answer, Signal};

    fn entry(role: Role, outcome: Outcome) -> Entry {
        let finding = |gate: Gate, evidence: &str| FindingReport {
            gate: gate.into(),
            answer: Answer::Yes.into(),
            evidence: evidence.into(),
        };
        Entry {
            pid: 4242,
            program: "goose".into(),
            root: 4000,
            role: role.into(),
            profiles: vec!["sprout".into()],
            sweep: "1-2".into(),
            signals: vec![SentSignal { signal: Signal::Term.into(), at: "2026-01-02T03:04:05.000Z".into() }],
            outcome: outcome.into(),
            at: "2026-01-02T03:04:05.012Z".into(),
            took_ms: Some(12),
            rss_bytes: 18_464_000,
            findings: match role {
                Role::Root => vec![
                    finding(Gate::Orphan, "its parent died"),
                    finding(Gate::Grace, "orphaned for 45s (grace 30s)"),
                ],
                _ => vec![finding(Gate::Marker, "SPROUT_MANAGED_AGENT is in its environment")],
            },
            ..Entry::default()
        }
    }

    fn report(entries: Vec<Entry>) -> HistoryReport {
        HistoryReport {
            schema: HISTORY_REPORT.into(),
            generated_at: String::new(),
            since: None,
            pid: None,
            entries,
            omitted: 0,
            totals: Totals::default(),
            skipped: Skipped::default(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn each_line_has_a_reason() {
        let spared = Entry {
            why: Some("grace: first seen".into()),
            signals: Vec::new(),
            ..entry(Role::Root, Outcome::Spared)
        };
        let text = plain(&render(
            &report(vec![
                entry(Role::Root, Outcome::Exited),
                entry(Role::Descendant, Outcome::Killed),
                spared,
            ]),
            false,
            None,
        ));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1]
                .ends_with("TERM     exited   12 ms   18 MB  its parent died; orphaned for 45s (grace 30s)"),
            "{text}"
        );
        assert!(lines[2].ends_with("killed   12 ms   18 MB  descendant of pid 4000"), "{text}");
        assert!(lines[3].ends_with("-        spared       -   18 MB  grace: first seen"), "{text}");
    }

    #[test]
    fn verbose_prints_every_gate() {
        let text = plain(&render(&report(vec![entry(Role::Root, Outcome::Exited)]), true, Some(40)));
        assert!(text.contains("    orphan       yes       its parent died\n"), "{text}");
        assert!(text.contains("  SIGTERM at 2026-01-02T03:04:05.000Z\n"), "{text}");
    }

    #[test]
    fn totals_stand_at_the_end() {
        let mut report = report(Vec::new());
        assert_eq!(render(&report, false, None), "nothing was ended\n");
        report.totals = Totals {
            targets: 3,
            ended: 2,
            orphans_ended: 1,
            by_outcome: [("exited".into(), 2), ("spared".into(), 1)].into(),
            by_profile: [("sprout".into(), ProfileTotals { ended: 2, reclaimed_bytes: 4000 })].into(),
            reclaimed_bytes: 4000,
            self_tests: 1,
        };
        assert_eq!(
            render(&report, false, None),
            "2 processes ended, 1 orphan among them; about 4.0 kB came back\nby outcome: 2 exited, 1 spared\n\
             by profile: sprout 2 (4.0 kB)\nnot counted: 1 self-test of `reaper doctor`\n"
        );
    }
}
