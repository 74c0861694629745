//! The commands that talk to the running service: `status`, `sweep`, `pause`, `resume`, `reload`.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use reaper_platform::Host as _;

use super::args::{Check, Pause, Status as Args, StatusFormat};
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config::paths::Paths;
use crate::report::status::Status;
use crate::service::protocol::{CONTROL, Command, Reply, Request};
use reaper_engine::format;

/// Time limit for the answer of the service: longer than any sweep.
const LIMIT: Duration = Duration::from_secs(15);
/// Largest reply that is read, in bytes.
const MAX_REPLY: u64 = 16 << 20;

pub fn status(invocation: &Invocation, args: &Args, out: &mut Output) -> Result<Exit, CommandError> {
    if args.format == StatusFormat::Openmetrics {
        let reply = call(invocation, Command::Metrics, None)?;
        out.data(reply.metrics.ok_or_else(|| refused(reply.error))?);
        return Ok(Exit::Done);
    }
    let reply = call(invocation, Command::Status, None)?;
    let status = answered(reply)?;
    if let Some(check) = args.check {
        return Ok(probe(&status, check, out));
    }
    match args.format {
        StatusFormat::Json => out.document(&status)?,
        _ => out.data(describe(&status)),
    }
    Ok(Exit::Done)
}

/// For probes: reports in one line what is wrong, if anything is.
fn probe(status: &Status, check: Check, out: &Output) -> Exit {
    let wrong = match check {
        Check::Live => None,
        Check::Ready => status.not_ready(),
    };
    match wrong {
        None => Exit::Done,
        Some(wrong) => {
            out.note(format_args!("not ready: {wrong}"));
            Exit::Failed
        }
    }
}

pub fn pause(invocation: &Invocation, args: &Pause, out: &mut Output) -> Result<Exit, CommandError> {
    let status = answered(call(invocation, Command::Pause, args.time)?)?;
    match status.paused.and_then(|paused| paused.until) {
        Some(until) => out.note(format_args!("paused until {until}; `reaper resume` ends it earlier")),
        None => out.note("paused until `reaper resume`"),
    }
    Ok(Exit::Done)
}

pub fn plain(invocation: &Invocation, command: Command, out: &mut Output) -> Result<Exit, CommandError> {
    let status = answered(call(invocation, command, None)?)?;
    match command {
        Command::Resume => out.note("resumed"),
        Command::Reload => out.note("the config was read again"),
        _ => out.data(describe(&status)),
    }
    Ok(Exit::Done)
}

fn answered(reply: Reply) -> Result<Status, CommandError> {
    match (reply.error, reply.status) {
        (None, Some(status)) => Ok(status),
        (error, _) => Err(refused(error)),
    }
}

fn refused(error: Option<String>) -> CommandError {
    match error {
        Some(error) => {
            let hint = "`reaper status` shows how the service is; its log says more";
            CommandError::new(Exit::Failed, format_args!("the service answers: {error}"), hint)
        }
        None => CommandError::new(
            Exit::Failed,
            "the service gave an empty answer",
            "it may be of another version: restart it",
        ),
    }
}

fn call(invocation: &Invocation, command: Command, time: Option<Duration>) -> Result<Reply, CommandError> {
    let own = invocation.paths()?.socket();
    // A login of root has a runtime directory of its own, so the one of the service for all users is tried as well.
    let shared = Paths::of_all_users().socket();
    let is_shared = invocation.host.info().uid.0 == 0 && !own.exists() && shared.exists();
    let path = if is_shared { shared } else { own };
    let request = Request { schema: CONTROL.to_owned(), command, for_s: time.map(|time| time.as_secs_f64()) };
    talk(&path, &request, LIMIT).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => CommandError::new(
            Exit::Failed,
            format_args!("no reaper service runs for you (nothing answers on `{}`)", path.display()),
            "start one with `reaper run`, or end orphans once with `reaper scan`",
        ),
        _ => CommandError::new(
            Exit::Failed,
            format_args!("cannot talk to the service on `{}`: {e}", path.display()),
            "its log says more; if it hangs, restart it",
        ),
    })
}

/// Sends a request to a control socket and reads the reply.
pub fn talk(path: &Path, request: &Request, limit: Duration) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    match stream.write_all(&line) {
        // The service has closed the connection already, and may have sent the reason.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    let mut reply = Vec::new();
    io::Read::take(BufReader::new(stream), MAX_REPLY).read_until(b'\n', &mut reply)?;
    serde_json::from_slice(&reply).map_err(io::Error::from)
}

/// The service in a few lines.
fn describe(status: &Status) -> String {
    let mut text = String::new();
    let span = |s: f64| format::span(Duration::try_from_secs_f64(s).unwrap_or_default());
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    row("service", format!("pid {}, version {}, up {}", status.pid, status.version, span(status.uptime_s)));
    row("state", state(status));
    row(
        "config",
        format!(
            "{}; profiles {}; grace {}",
            if status.config.files.is_empty() {
                "built in".to_owned()
            } else {
                status.config.files.join(", ")
            },
            status.config.profiles.join(", "),
            span(status.config.grace_s)
        ),
    );
    row(
        "last sweep",
        format!(
            "{}: {} by {}, {} unreadable, took {}; the next in {}",
            status.sweeps.last_at.as_deref().unwrap_or("never"),
            format::count(status.visibility.examined, "process"),
            status.visibility.method,
            status.visibility.unreadable,
            format::fine(Duration::from_micros(status.sweeps.last_took_us)),
            span(status.sweeps.next_in_s)
        ),
    );
    let v = &status.verdicts;
    row("now", format!("{} to end, {} in grace, {} spared, {} unknown", v.reap, v.wait, v.spare, v.unknown));
    let m = &status.metrics;
    let t = &status.totals;
    row(
        "so far",
        format!(
            "{} noticed, {} ended ({} by SIGKILL), {} survived, {} of memory returned",
            t.noticed,
            t.exited + t.killed,
            t.killed,
            t.survived + t.denied,
            format::bytes(t.reclaimed_bytes)
        ),
    );
    for waiting in &status.waiting {
        row(
            "in grace",
            format!("{} (pid {}) for another {}", waiting.program, waiting.pid, span(waiting.eligible_in_s)),
        );
    }
    for warning in &status.config.warnings {
        row("warning", warning.clone());
    }
    if let Some(error) = &status.config.error {
        row("config", format!("REFUSED, the one before is in force: {error}"));
    }
    if let Some(address) = &m.listen {
        row("metrics", m.listen_error.clone().unwrap_or_else(|| format!("http://{address}/metrics")));
    }
    if let Some(path) = &m.textfile {
        row("metrics", m.textfile_error.clone().unwrap_or_else(|| path.clone()));
    }
    if let Some(visibility_problem) = &status.visibility.problem {
        row("blind", visibility_problem.clone());
    }
    for degraded in &status.degraded {
        row("degraded", format!("{}: {}", degraded.check, degraded.what));
    }
    for trouble in &status.errors {
        // The log and the JSON have the full text.
        row("trouble", format!("{} {}", trouble.at, trouble.what.lines().next().unwrap_or_default()));
    }
    text
}

fn state(status: &Status) -> String {
    let what = if status.visibility.blind {
        "BLIND: not one environment can be read, so no marker can be seen (see `reaper doctor`)"
    } else if status.visibility.problem.is_some() {
        "BLIND: no agent can be seen where it runs, see below (and `reaper doctor`)"
    } else if status.is_degraded() {
        "DEGRADED: it cannot do its whole job, see below (and `reaper doctor`)"
    } else if !status.ready {
        "FAILING: processes cannot be listed; nothing is ended"
    } else {
        "watching"
    };
    let paused = match &status.paused {
        None => String::new(),
        Some(paused) => match &paused.until {
            Some(until) => format!(", paused until {until}"),
            None => ", paused until `reaper resume`".to_owned(),
        },
    };
    let ending = if status.ending > 0 { format!(", ending {}", status.ending) } else { String::new() };
    format!("{what}{paused}{ending}")
}
