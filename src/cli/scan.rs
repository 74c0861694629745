//! `reaper scan`: survey, show, ask, wait, survey again, end, report.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host as _, NativeHost, ProcId, Scope};

use super::args::{Format, Scan};
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use super::{confirm, progress};
use crate::config::Overrides;
use crate::doctor::rights;
use crate::report::check::Check;
use crate::report::types;
use crate::report::types::{CensusReport, JudgementReport};
use crate::report::{findings::findings, scan, table};
use reaper_engine::audit::history::History;
use reaper_engine::audit::words::Outcome;
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::failure::Failure;
use reaper_engine::format;
use reaper_engine::sightings::Sightings;
use reaper_engine::state_dir::StateDir;
use reaper_engine::sweep;
use reaper_engine::terminate::outcome::Ended;
use reaper_engine::tracker::{Survey, Tracker};
use reaper_engine::visibility::AS_THE_AGENTS;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;
use reaper_policy::verdict::Verdict;

pub fn run(invocation: &Invocation, args: &Scan, out: &mut Output) -> Result<Exit, CommandError> {
    let overrides = Overrides { grace: args.grace, profiles: args.profile.clone() };
    let policy = invocation.settings(&overrides, out)?.policy();
    let scope = invocation.scope(args.all_users)?;
    let context = Context::new(Arc::clone(&invocation.host), policy, scope);
    if args.dry_run { dry_run(invocation, args, &context, out) } else { act(invocation, args, &context, out) }
}

/// A dry run: nothing is signalled, written or waited for.
fn dry_run(
    invocation: &Invocation,
    args: &Scan,
    context: &Context<NativeHost>,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let started = context.host.clock();
    let sightings = invocation.sightings(&started, out);
    let survey = Tracker::survey(context, &sightings, args.all, deadline::LIMIT)?;
    let report = report(context, &survey, &[], &started, args);
    print(&report, args, invocation.verbose, out)?;
    complain(&survey, context, out);
    if args.format == Format::Table && survey.orphans().next().is_some() {
        out.note("hint: `reaper scan` ends them: it asks first, and waits until their grace is over");
    }
    Ok(exit(&survey, &[], &report, args))
}

fn act(
    invocation: &Invocation,
    args: &Scan,
    context: &Context<NativeHost>,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    if let Some(why) = &context.host.info().cannot_signal {
        let what = format!("cannot end processes safely: {why}");
        return Err(CommandError::new(Exit::Failed, what, "`reaper scan --dry-run` still works here"));
    }
    if !args.yes && !Output::can_ask() {
        return Err(CommandError::new(
            Exit::Usage,
            "`reaper scan` ends processes and asks first, but there is no terminal to ask on",
            "pass --yes to end them without asking, or --dry-run to look only",
        ));
    }
    let started = context.host.clock();
    let state = StateDir::create(&invocation.paths()?.state, context.host.info().uid)?;
    let (mut sightings, warning) = Sightings::load(&state, context.host.info(), &started, true);
    if let Some(warning) = warning {
        out.warn(warning);
    }
    let mut survey = Tracker::survey(context, &sightings, args.all, deadline::LIMIT)?;
    let (mut ended, mut trouble) = (Vec::new(), None);
    let listed: HashSet<ProcId> = survey.orphans().map(|j| j.id).collect();
    match remember(context, &survey, &mut sightings, &state) {
        Ok(()) => {}
        Err(e) if listed.is_empty() => out.warn(e),
        // Where sightings cannot be written, accounts cannot either: fail now rather than after the grace.
        Err(e) => {
            print(&report(context, &survey, &[], &started, args), args, invocation.verbose, out)?;
            complain(&survey, context, out);
            return Err(e.into());
        }
    }
    if !listed.is_empty() {
        let listing = report(context, &survey, &[], &started, args);
        let table = || table::render(&listing.judgements, out.width()) + &left_alone(&listing);
        match args.format {
            Format::Table => out.data(table()),
            // The table is shown before the question, also with JSON output.
            Format::Json if !args.yes => out.ask(table()),
            Format::Json => {}
        }
        if !args.yes && !confirm::confirmed(&survey, out) {
            out.note("nothing was ended");
            if args.format == Format::Json {
                out.document(&listing)?;
            }
            return Ok(exit(&survey, &[], &listing, args));
        }
        let has_waited = confirm::wait(context, &survey, out);
        // A wait or a question makes the survey outdated. Each process is judged again before each signal in any case.
        if has_waited || !args.yes {
            survey = Tracker::survey(context, &sightings, args.all, deadline::LIMIT)?;
            // Only what was shown and confirmed is ended; new orphans wait for the next run.
            survey.plan.targets.retain(|t| listed.contains(&t.root));
            for plan in [&mut survey.plan, &mut survey.later] {
                plan.left_alone.retain(|l| listed.iter().any(|id| id.pid == l.root));
            }
            remember(context, &survey, &mut sightings, &state)?;
        }
        if !survey.plan.targets.is_empty() {
            let _lock = state.lock_to_act(Duration::ZERO)?.ok_or_else(|| state.busy())?;
            let mut history = History::open(&state)?;
            let mut line = progress::Line::new(out.is_live());
            (ended, trouble) = sweep::end(
                context,
                &survey.plan,
                &survey.judgements,
                &sightings,
                &mut history,
                &mut line,
                deadline::LIMIT,
            );
            sweep::still_left_alone(&*context.host, &mut survey.plan.left_alone, &ended);
        }
    }
    let report = report(context, &survey, &ended, &started, args);
    match args.format {
        Format::Table if ended.is_empty() && !listed.is_empty() => {
            out.data(format_args!("{}\n", table::summary(&report)));
        }
        Format::Table if !ended.is_empty() => out.data(done(&report, invocation.verbose)),
        _ => print(&report, args, invocation.verbose, out)?,
    }
    complain(&survey, context, out);
    match trouble {
        Some(e) => Err(e.into()),
        None => Ok(exit(&survey, &ended, &report, args)),
    }
}

fn remember(
    context: &Context<NativeHost>,
    survey: &Survey,
    sightings: &mut Sightings,
    state: &StateDir,
) -> Result<(), Failure> {
    sweep::remember(context, survey, sightings);
    sightings.save(state, context.host.info(), &context.host.clock())
}

fn report(
    context: &Context<NativeHost>,
    survey: &Survey,
    ended: &[Ended],
    started: &Clock,
    args: &Scan,
) -> types::Scan {
    let (clock, start_clock) = (context.host.clock(), context.host.info().start_clock);
    let listed: Vec<&Judgement> = survey.judgements.iter().filter(|j| args.all || j.is_notable()).collect();
    // After a run that ended processes, the plan for orphans in grace is not shown.
    let empty = Plan::default();
    let later = if ended.is_empty() { &survey.later } else { &empty };
    let targets = scan::targets_by_root([&survey.plan, later]);
    let judgements: Vec<JudgementReport> = listed
        .iter()
        .map(|j| (j, targets.get(&j.id.pid).map_or(&[][..], Vec::as_slice)))
        .map(|(j, targets)| scan::judgement(j, targets, &clock, start_clock))
        .collect();
    let left_alone = survey.plan.left_alone.iter().chain(&later.left_alone);
    let warnings = survey.troubles();
    types::Scan {
        schema: types::SCAN.to_owned(),
        dry_run: args.dry_run,
        started_at: format::time(started.realtime),
        duration_us: u64::try_from(clock.monotonic.saturating_sub(started.monotonic).as_micros())
            .unwrap_or(u64::MAX),
        census: CensusReport {
            method: survey.census.method,
            examined: survey.census.examined,
            unreadable: survey.unreadable,
            complete: survey.is_complete(),
            zombies: survey.zombies,
        },
        judgements,
        actions: ended.iter().map(scan::action).collect(),
        left_alone: left_alone.map(scan::left_alone).collect(),
        summary: scan::summary(&listed, [&survey.plan, later], ended, args.dry_run),
        warnings,
    }
}

fn print(report: &types::Scan, args: &Scan, verbose: bool, out: &mut Output) -> Result<(), CommandError> {
    if args.format == Format::Json {
        out.document(report)?;
        return Ok(());
    }
    let mut text = String::new();
    if !report.judgements.is_empty() {
        text.push_str(&table::render(&report.judgements, out.width()));
        if verbose {
            for judgement in &report.judgements {
                let _ = writeln!(text, "\n{} (pid {})", judgement.program, judgement.pid);
                text.push_str(&findings(judgement, "  "));
            }
        }
        text.push('\n');
    }
    text.push_str(&left_alone(report));
    let _ = writeln!(text, "{}", table::summary(report));
    out.data(text);
    Ok(())
}

fn left_alone(report: &types::Scan) -> String {
    const SHOWN: usize = 10;
    let mut text = String::new();
    for left in report.left_alone.iter().take(SHOWN) {
        let _ = writeln!(
            text,
            "left alone: {} (pid {}) below {}: {}{}",
            left.program,
            left.pid,
            left.root,
            left.reason,
            if left.ended { " (it has ended since, by itself)" } else { "" }
        );
    }
    if let Some(more @ 1..) = report.left_alone.len().checked_sub(SHOWN) {
        let _ = writeln!(text, "left alone: {more} more");
    }
    text
}

/// What was done: unusual outcomes by name, the rest as a count.
fn done(report: &types::Scan, verbose: bool) -> String {
    let mut text = String::new();
    for action in &report.actions {
        if verbose || !matches!(action.outcome, Outcome::Exited | Outcome::Gone) {
            let signals: Vec<String> = action.signals.iter().map(ToString::to_string).collect();
            let signals = signals.join(", ");
            let took = format::span(Duration::from_millis(action.took_ms));
            let why = action.why.as_ref().map(|w| format!(": {w}")).unwrap_or_default();
            let after =
                if signals.is_empty() { String::new() } else { format!(" after {signals} in {took}") };
            let _ = writeln!(text, "{} (pid {}) {}{after}{why}", action.program, action.pid, action.outcome);
        }
    }
    text.push_str(&left_alone(report));
    let _ = writeln!(text, "{}", table::summary(report));
    text
}

/// Warns of what could not be seen, with hints.
fn complain(survey: &Survey, context: &Context<NativeHost>, out: &Output) {
    let all_users = context.own.scope == Scope::Everyone;
    for trouble in survey.troubles() {
        out.warn(trouble);
    }
    if survey.blind {
        out.note(format_args!(
            "hint: {AS_THE_AGENTS}; a sandbox may be in the way, too (systemd's Protect… and Private… directives in a \
             user unit): `reaper doctor` finds which"
        ));
    }
    if let Some(visibility_problem) = &survey.visibility_problem {
        out.note(format_args!("hint: {}", visibility_problem.hint()));
    }
    if !survey.plan.deferred.is_empty() {
        out.note("hint: run this again for the deferred ones, or raise `max-targets`");
    }
    if survey.judgements.iter().any(|j| j.verdict == Verdict::Unknown) {
        out.note("hint: `reaper explain PID` shows what could not be determined about a process");
        // For root, missing capabilities are the reason; for users, the hints above apply.
        let rights = rights::check(context.host.machine().capabilities, context.host.info().uid, all_users);
        if let Some(Check { what, hint: Some(hint), .. }) = rights {
            out.warn(format_args!("{what}\nhint: {hint}"));
        }
    }
}

fn exit(survey: &Survey, ended: &[Ended], report: &types::Scan, args: &Scan) -> Exit {
    let s = &report.summary;
    if s.survived + s.denied > 0 {
        Exit::Survived
    } else if s.unknown > 0 || !survey.is_complete() || ended.iter().any(|e| e.unsure) {
        Exit::Failed
    } else if args.exit_code && s.reap + s.wait > 0 {
        Exit::Found
    } else {
        Exit::Done
    }
}
