//! `reaper explain PID`: every gate with its evidence, for one process.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anstyle::Style;
use reaper_platform::{Host as _, Scope, Why};

use super::args::{Explain, Format};
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config::Overrides;
use crate::report::findings::findings;
use crate::report::scan;
use crate::report::types::{self, JudgementReport};
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::format;
use reaper_engine::inspect::Inspector;
use reaper_policy::case::Capacity;

pub fn run(invocation: &Invocation, args: &Explain, out: &mut Output) -> Result<Exit, CommandError> {
    let policy = invocation.settings(&Overrides::default(), out)?.policy();
    let here = invocation.host.info();
    let scope = if here.uid.0 == 0 { Scope::Everyone } else { Scope::User(here.uid) };
    let context = Context::new(Arc::clone(&invocation.host), policy, scope);
    let clock = invocation.host.clock();
    let sightings = invocation.sightings(&clock, out);
    let (inspector, pid) = (Arc::new(Inspector::new(&context)), args.pid);
    let judged = {
        let inspector = Arc::clone(&inspector);
        deadline::map(vec![pid], deadline::LIMIT, move |pid| {
            let process = inspector.context.host.open(*pid)?;
            inspector.judge(&process, Capacity::Explained, |id| sightings.past(id, &clock))
        })
    };
    let judged = judged.into_iter().next().unwrap_or(Err(Why::Gone)).and_then(|j| j);
    let judgement = match judged {
        Err(why @ Why::Slow(_)) => inspector.judge_unread(pid, &why),
        judged => judged,
    };
    let judgement = judgement.map_err(|why| {
        let hint = match why {
            Why::Gone => "it has ended, is a thread, or may not be seen; `reaper scan --dry-run --all` lists what can be",
            _ => "run this as the user that the process belongs to",
        };
        CommandError::new(Exit::Failed, format_args!("cannot look at process {pid}: {why}"), hint)
    })?;
    let report = scan::judgement(&judgement, &[], &invocation.host.clock(), here.start_clock);
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
