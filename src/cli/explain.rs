//! `reaper explain PID`: every gate with its evidence, for one process.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use reaper_platform::{Host as _, Scope, Why};

use super::args::{Explain, Format};
use super::context::Context;
use super::exit::{CommandError, Exit};
use super::out::Out;
use crate::config::Overrides;
use crate::report::build;
use crate::report::types;
use crate::report::types::JudgementReport;
use reaper_engine::audit::words::{Answer, Word};
use reaper_engine::context::Ground;
use reaper_engine::deadline;
use reaper_engine::format;
use reaper_engine::inspect::Looker;
use reaper_policy::case::How;

pub fn run(context: &Context, args: &Explain, out: &mut Out) -> Result<Exit, CommandError> {
    let policy = context.settings(&Overrides::default(), out)?.policy();
    let here = context.host.here();
    let scope = if here.uid.0 == 0 { Scope::Everyone } else { Scope::User(here.uid) };
    let ground = Ground::new(Arc::clone(&context.host), policy, scope);
    let clock = context.host.clock();
    let sightings = context.sightings(&clock, out);
    let (looker, pid) = (Arc::new(Looker::new(&ground)), args.pid);
    let judged = {
        let looker = Arc::clone(&looker);
        deadline::map(vec![pid], deadline::LIMIT, move |pid| {
            let process = looker.ground.host.pin(*pid)?;
            looker.judge(&process, How::Explained, |id| sightings.past(id, &clock))
        })
    };
    let judged = judged.into_iter().next().unwrap_or(Err(Why::Gone)).and_then(|j| j);
    let judgement = match judged {
        Err(why @ Why::Slow(_)) => looker.judge_unread(pid, &why),
        judged => judged,
    };
    let judgement = judgement.map_err(|why| {
        let hint = match why {
            Why::Gone => "it has ended, is a thread, or may not be seen; `reaper scan --dry-run --all` lists what can be",
            _ => "run this as the user that the process belongs to",
        };
        CommandError::new(Exit::Failed, format_args!("cannot look at process {pid}: {why}"), hint)
    })?;
    let report = build::judgement(&judgement, &[], &context.host.clock(), here.start_clock);
    match args.format {
        Format::Json => {
            let document = types::Explain { schema: types::EXPLAIN.to_owned(), judgement: report };
            out.document(&document)?;
        }
        Format::Table => out.data(render(&report)),
    }
    Ok(Exit::Done)
}

fn render(j: &JudgementReport) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    let age = format::span(Duration::try_from_secs_f64(j.age_s).unwrap_or_default());
    let uid = j.uid.map_or_else(|| "unknown".to_owned(), |u| u.to_string());
    let _ = writeln!(
        text,
        "{bold}{}{bold:#} (pid {}): parent {}, uid {uid}, started {} ({age} ago), {}",
        j.program,
        j.pid,
        j.ppid,
        j.started_at,
        format::bytes(j.rss_bytes)
    );
    if let Some(exe) = &j.exe {
        let _ = writeln!(text, "runs {exe}");
    }
    let _ =
        writeln!(text, "{bold}verdict: {}{bold:#}, decided by {}: {}\n", j.verdict, j.decided_by, j.reason);
    text.push_str(&findings(j, "  "));
    text
}

/// The gates, one a line.
pub fn findings(j: &JudgementReport, indent: &str) -> String {
    let mut text = String::new();
    for finding in &j.findings {
        let colour = match finding.answer {
            Word::Known(Answer::Yes) => Some(AnsiColor::Green),
            Word::Known(Answer::No) => Some(AnsiColor::Red),
            Word::Known(Answer::Unknown) => Some(AnsiColor::Magenta),
            Word::Known(Answer::NotAsked) | Word::Other(_) => None,
        };
        let style = Style::new().fg_color(colour.map(Into::into));
        let (gate, answer) = (&finding.gate, &finding.answer);
        let line = format!("{indent}{gate:<13} {style}{answer:<9}{style:#} {}", finding.evidence);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
