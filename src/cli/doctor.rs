//! `reaper doctor`: the checks of the machine, user and sandbox, and the hidden processes of its self-test.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use reaper_platform::{Host as _, NativeHost};

use super::args::{Color, Doctor as Args, Format};
use super::control;
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::{self, Output};
use crate::config;
use crate::config::Overrides;
use crate::doctor::self_test;
use crate::doctor::self_test::SelfTest;
use crate::doctor::{agents, directories, linger, quick, service, settings, stand_in as life};
use crate::report::check::{Check, Level};
use crate::report::doctor::{About, CheckReport, Doctor, SelfTestReport, document};
use crate::service::protocol::{CONTROL, Command, Request};
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::format;
use reaper_engine::sightings::Sightings;
use reaper_engine::tracker::Tracker;
use reaper_policy::policy::Policy;

/// Time limit for the answer of a running service.
const LIMIT: Duration = Duration::from_secs(5);

pub fn run(
    invocation: Result<Invocation, CommandError>,
    args: &Args,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let invocation = match invocation {
        Ok(invocation) => invocation,
        Err(e) => return without_a_host(&e, args, out),
    };
    let scope = invocation.scope(args.all_users)?;
    let here = invocation.host.info();
    let loaded = config::load(&invocation.sources, &Overrides::default());
    // A broken config fails one check; the others are made all the same.
    let policy = match &loaded {
        Ok(settings) => settings.policy(),
        Err(_) => Arc::new(Policy::default()),
    };
    let context = Context::new(Arc::clone(&invocation.host), policy, scope);
    let mut checks = quick(&context, invocation.var("MANAGERPID"));
    // The problems that a scan would report.
    if let Ok(survey) = Tracker::survey(&context, &Sightings::default(), false, deadline::LIMIT) {
        checks.extend(Check::namespace(here.pid, survey.visibility_problem.as_ref()));
        checks.extend(agents::check(&survey));
    }
    checks.push(settings::check(&loaded));
    let mut self_tested = None;
    match invocation.paths() {
        Ok(paths) => {
            for (name, path) in [("state", &paths.state), ("runtime", &paths.runtime)] {
                checks.push(directories::check(name, &directories::gather(&invocation.host, path, here.uid)));
            }
            let found = ask(&paths.socket());
            checks.push(service::check(&found));
            let runs = matches!(found, service::Found::Runs(_));
            checks.extend(linger::gather(&invocation.host, runs).map(linger::check));
            if !args.no_self_test {
                self_tested = Some(test(&context, &paths.state)?);
            }
        }
        Err(e) => {
            let text = e.to_string();
            let (what, hint) = text.rsplit_once("\nhint: ").unwrap_or((&text, "set HOME"));
            checks.push(Check::fail("state", what, hint));
        }
    }
    checks.push(match &self_tested {
        Some(test) => test.check.clone(),
        None if args.no_self_test => Check::skipped("self-test", "left out, as --no-self-test asks"),
        None => Check::skipped("self-test", "left out: there is no place for its account"),
    });
    let about = About {
        checked_at: format::time(invocation.host.clock().realtime),
        uid: Some(here.uid.0),
        all_users: args.all_users,
    };
    conclude(
        &document(about, &checks, self_tested.as_ref().map(SelfTest::report)),
        args,
        invocation.verbose,
        out,
    )
}

/// Without `/proc` no check can be made; that is reported as a failed check.
fn without_a_host(e: &CommandError, args: &Args, out: &mut Output) -> Result<Exit, CommandError> {
    let check = Check::fail(
        "proc",
        format!("{}: nothing can be known about any process", e.failure.message()),
        "mount /proc, of the PID namespace that reaper runs in, without subset=pid (ProcSubset=all in a unit)",
    );
    let about = About { checked_at: format::now(), uid: None, all_users: args.all_users };
    conclude(&document(about, &[check], None), args, false, out)
}

fn test(context: &Context<NativeHost>, state: &Path) -> Result<SelfTest, CommandError> {
    let host = Arc::clone(&context.host);
    let own = self_test::context(host, context.own.scope, &context.policy.adopters);
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    Ok(self_test::run(&own, &program, state, deadline::LIMIT))
}

/// Asks the running service for its status, if there is one.
fn ask(socket: &Path) -> service::Found {
    let request = Request { schema: CONTROL.to_owned(), command: Command::Status, for_s: None };
    match control::talk(socket, &request, LIMIT) {
        Ok(reply) => match (reply.status, reply.error) {
            (Some(status), _) => service::Found::Runs(Box::new(status)),
            (None, error) => service::Found::Silent(error.unwrap_or_else(|| "an empty answer".to_owned())),
        },
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            service::Found::Absent
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory) => {
            service::Found::Hidden(e.to_string())
        }
        Err(e) => service::Found::Silent(e.to_string()),
    }
}

fn conclude(report: &Doctor, args: &Args, verbose: bool, out: &mut Output) -> Result<Exit, CommandError> {
    match args.format {
        Format::Json => out.document(report)?,
        Format::Table => out.data(render(report, verbose)),
    }
    Ok(if report.summary.fail > 0 { Exit::Failed } else { Exit::Done })
}

fn render(report: &Doctor, verbose: bool) -> String {
    let mut text = String::new();
    for check in &report.checks {
        line(&mut text, check);
    }
    if let Some(test) = &report.self_test {
        steps(&mut text, test, verbose);
    }
    let s = &report.summary;
    let verdict = if s.fail > 0 {
        "reaper cannot do its whole job here"
    } else if s.warn > 0 {
        "reaper can do its job here, within these limits"
    } else {
        "reaper can do its job here"
    };
    let _ =
        writeln!(text, "\n{verdict}: {} ok, {}, {} failed", s.ok, format::count(s.warn, "warning"), s.fail);
    text
}

fn line(text: &mut String, check: &CheckReport) {
    let (word, colour) = match check.level {
        Level::Ok => ("ok", Some(AnsiColor::Green)),
        Level::Warn => ("warn", Some(AnsiColor::Yellow)),
        Level::Fail => ("FAIL", Some(AnsiColor::Red)),
        Level::Skipped => ("skip", None),
    };
    let style = Style::new().fg_color(colour.map(Into::into));
    // A location in a config file takes several lines.
    let what = check.what.replace('\n', "\n                ");
    let _ = writeln!(text, "{style}{word:<4}{style:#}  {:<9} {what}", check.name);
    if let Some(hint) = &check.hint {
        let _ = writeln!(text, "                hint: {hint}");
    }
}

fn steps(text: &mut String, test: &SelfTestReport, verbose: bool) {
    for step in &test.steps {
        let took = format::fine(Duration::from_micros(step.took_us));
        let _ = writeln!(text, "                {:<9} {took:>9}  {}", step.name, step.what);
    }
    if verbose {
        for finding in &test.findings {
            let _ = writeln!(
                text,
                "                  {:<12} {:<9} {}",
                finding.gate, finding.answer, finding.evidence
            );
        }
    }
}

/// Runs as a process of the self-test, if the arguments ask for it. It is checked before the command line is parsed, so
/// that it appears in no help and no completion.
pub fn stand_in(mut args: impl Iterator<Item = OsString>) -> Option<Exit> {
    if args.next()? != life::COMMAND {
        return None;
    }
    let role = args.next().filter(|_| args.next().is_none());
    let done = match role.as_ref().and_then(|role| role.to_str()) {
        Some(life::WAIT) => {
            life::wait();
            Ok(())
        }
        Some(life::LAUNCH) => life::launch(),
        _ => Err(format!("`{}` is for `reaper doctor` only", life::COMMAND)),
    };
    Some(match done {
        Ok(()) => Exit::Done,
        Err(why) => {
            output::error(Color::Never, why);
            Exit::Failed
        }
    })
}
