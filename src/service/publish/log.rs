//! The log of the service.
//!
//! Under systemd the journal gets structured fields (`journalctl REAPER_PID=4242`), elsewhere standard error gets lines
//! or JSON. Strings of other programs are escaped before they get here, and of environments only the marker's name is
//! logged.

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr as _;
use std::sync::OnceLock;

use tracing::field::Field;
use tracing::{debug, error, info, warn};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{LogFormat, Settings};
use crate::report::check::{Check, Level};
use reaper_engine::audit::record::Record;
use reaper_engine::audit::words::{Outcome, Word};
use reaper_policy::escape::escape;
use reaper_policy::judgement::Judgement;

/// The journal's message id of all outcomes of targets: `journalctl MESSAGE_ID=…` lists them.
pub const ENDED: &str = "6f1f4c0e5a9f4f5c9d0f6d6b2f0a7c11";

/// The target of the events that carry [`ENDED`].
const ENDED_TARGET: &str = "reaper::ended";

/// The destination and format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Structured, to the journal.
    Journal,
    /// Lines for people, on standard error.
    Text,
    /// One JSON object a line, on standard error.
    Json,
}

/// The format that the config selects; by default the journal when standard error is connected to it (`JOURNAL_STREAM`,
/// systemd.exec(5)), else lines.
#[must_use]
pub fn form(format: LogFormat, journal_stream: Option<&str>) -> Form {
    let of_stderr = || {
        let file = std::fs::File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let meta = file.metadata().ok()?;
        Some(format!("{}:{}", meta.dev(), meta.ino()))
    };
    match format {
        LogFormat::Journal => Form::Journal,
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
        LogFormat::Auto if journal_stream.is_some() && journal_stream == of_stderr().as_deref() => {
            Form::Journal
        }
        LogFormat::Auto => Form::Text,
    }
}

/// Changes the log levels at run time.
type Levels = reload::Handle<Targets, Registry>;

/// The levels that the config may change; empty when `RUST_LOG` or a flag decided.
static LEVELS: OnceLock<Levels> = OnceLock::new();

/// The source of the log levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// `RUST_LOG` or a flag: fixed for the whole run.
    Fixed(String),
    /// The config: may change when it is reloaded.
    Config(String),
}

/// Starts the log. The levels are a level or `target=level,…`, as in `RUST_LOG`.
///
/// # Errors
/// When the levels cannot be parsed, in words.
pub fn start(form: Form, say: &Say) -> Result<(), String> {
    let (Say::Fixed(levels) | Say::Config(levels)) = say;
    let targets = Targets::from_str(levels).map_err(|e| format!("`{levels}`: {e}"))?;
    let (filter, handle) = reload::Layer::new(targets);
    let (mut journal, mut ended, mut text, mut json) = (None, None, None, None);
    let layers = if form == Form::Journal { Some(journals()) } else { None };
    let missing = layers.as_ref().and_then(|layers| Some(layers.as_ref().err()?.to_string()));
    match (form, layers) {
        (Form::Journal, Some(Ok((rest, of_ended)))) => {
            let others = Targets::new().with_default(tracing::Level::TRACE).with_target(ENDED_TARGET, None);
            let only = Targets::new().with_target(ENDED_TARGET, tracing::Level::TRACE);
            journal = Some(rest.with_filter(others));
            ended = Some(of_ended.with_filter(only));
        }
        (Form::Json, _) => {
            json = Some(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr));
        }
        _ => {
            // The message holds all that people need; the other fields are for programs.
            let message = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
                if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
            };
            let lines = tracing_subscriber::fmt::layer().fmt_fields(debug_fn(message)).with_target(false);
            text = Some(lines.with_ansi(false).with_writer(io::stderr));
        }
    }
    let registry =
        tracing_subscriber::registry().with(filter).with(journal).with(ended).with(text).with(json);
    // Another log was started before this one: in tests only.
    let is_ours = registry.try_init().is_ok();
    if is_ours && matches!(say, Say::Config(_)) {
        let _ = LEVELS.set(handle);
    }
    if let Some(why) = missing {
        warn!("the journal cannot be reached ({why}); this log goes to standard error instead");
    }
    Ok(())
}

/// Applies the levels of a reloaded config, unless `RUST_LOG` or a flag has set them.
pub fn set_levels(levels: &str) {
    if let (Some(handle), Ok(targets)) = (LEVELS.get(), Targets::from_str(levels)) {
        // Cannot fail: the log that the handle belongs to exists for the whole run.
        let _ = handle.reload(targets);
    }
}

/// The layer that writes to the journal; on macOS, which has none, an empty layer.
#[cfg(target_os = "linux")]
type Journal = tracing_journald::Layer;
#[cfg(not(target_os = "linux"))]
type Journal = tracing_subscriber::layer::Identity;

#[cfg(target_os = "linux")]
fn journals() -> io::Result<(Journal, Journal)> {
    let journal = || -> io::Result<Journal> {
        Ok(tracing_journald::layer()?
            .with_field_prefix(Some("REAPER".to_owned()))
            .with_syslog_identifier("reaper".to_owned()))
    };
    Ok((journal()?, journal()?.with_custom_fields([("MESSAGE_ID", ENDED)])))
}

#[cfg(not(target_os = "linux"))]
fn journals() -> io::Result<(Journal, Journal)> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Logs the warnings of the config.
pub fn warnings(settings: &Settings) {
    for warning in settings.warnings() {
        warn!("{warning}");
    }
}

/// Logs a check at the start, if it did not pass.
pub fn checked(check: &Check) {
    let Check { name, what, .. } = check;
    let hint = check.hint.as_deref().unwrap_or_default();
    match check.level {
        Level::Fail => error!(check = name, "{name}: {what}\nhint: {hint}"),
        Level::Warn => warn!(check = name, "{name}: {what}\nhint: {hint}"),
        Level::Ok | Level::Skipped => debug!(check = name, "{name}: {what}"),
    }
}

/// Logs that a process of interest appeared, or that its verdict changed.
pub fn judged(j: &Judgement) {
    if !j.is_notable() {
        debug!(pid = j.id.pid.get(), "pid {} wraps others: what is below it is looked at", j.id.pid);
        return;
    }
    let program = escape(&j.program);
    let (verdict, gate, profile) = (j.verdict.name(), j.decided_by.name(), j.profiles.first());
    info!(
        pid = j.id.pid.get(),
        %program,
        verdict,
        gate,
        profile = profile.map(String::as_str),
        reason = j.reason(),
        "{program} (pid {}): {verdict}, {}",
        j.id.pid,
        j.reason()
    );
}

/// Logs the outcome of a target, with the account of its signals.
pub fn ended(outcome: &Record, intent: Option<&Record>) {
    let became = outcome.outcome.as_ref().map(Word::to_string).unwrap_or_default();
    let findings = intent.map(|i| i.findings.as_slice()).unwrap_or_default();
    let mut account = String::new();
    for finding in findings {
        let _ = writeln!(account, "{} {}: {}", finding.gate, finding.answer, finding.evidence);
    }
    let signal = intent.and_then(|i| i.signal.as_ref()).map_or_else(|| "none".to_owned(), Word::to_string);
    let role = outcome.role.to_string();
    let (pid, program) = (outcome.pid, outcome.program.as_str());
    let why = outcome.why.as_deref().unwrap_or_default();
    let profile = outcome.profiles.first().map(String::as_str).unwrap_or_default();
    let took_ms = outcome.took_ms.unwrap_or_default();
    macro_rules! say {
        ($level:ident) => {
            $level!(
                target: ENDED_TARGET,
                pid,
                program,
                outcome = became.as_str(),
                signal = signal.as_str(),
                took_ms,
                rss_bytes = outcome.rss_bytes,
                root = outcome.root,
                role = role.as_str(),
                profile,
                sweep = outcome.sweep.as_str(),
                why,
                gates = account.as_str(),
                "{program} (pid {pid}) {became}, last signal {signal}, in {took_ms} ms"
            )
        };
    }
    let is_ill = matches!(outcome.outcome, Some(Word::Known(Outcome::Denied | Outcome::Survived)));
    if is_ill { say!(warn) } else { say!(info) }
}
