//! Settings of what the service tells, and where: its log, its metrics, a note on the desktop.
//!
//! Nothing here decides about a process. What can be wrong is quieter: a misspelt level that silences the log, an
//! address that answers the whole network, a file that nobody reads. So each is refused where it is written.

mod read;

use super::env::{self, EnvLayer};
use super::error::{Complaint, ConfigError, Warning};
use super::file::TableOf;
use super::layers::FileLayer;
use super::policy::{Origin, Setting};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// How much is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// As `RUST_LOG` would say it. A level alone is about our own code: what libraries log helps nobody.
    #[must_use]
    pub fn filter(&self) -> String {
        if self.0.contains(['=', ',']) { self.0.clone() } else { format!("reaper={}", self.0) }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// To the journal when standard error is connected to it, else lines.
    Auto,
    /// To the journal, structured.
    Journal,
    /// Lines for people, on standard error.
    Text,
    /// One JSON object a line, on standard error.
    Json,
}

impl LogFormat {
    const ALL: [Self; 4] = [Self::Auto, Self::Journal, Self::Text, Self::Json];

    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Journal => "journal",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the service tells, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    pub(super) log_level: Setting<LogLevel>,
    pub(super) log_format: Setting<LogFormat>,
    pub(super) notify: Setting<bool>,
    pub(super) textfile: Setting<Option<PathBuf>>,
    pub(super) listen: Setting<Option<SocketAddr>>,
}

impl Default for Outputs {
    fn default() -> Self {
        fn default<T>(value: T) -> Setting<T> {
            Setting { value, origin: Origin::Default }
        }
        Self {
            log_level: default(LogLevel("info".to_owned())),
            log_format: default(LogFormat::Auto),
            notify: default(false),
            textfile: default(None),
            listen: default(None),
        }
    }
}

impl Outputs {
    /// How much is logged.
    #[must_use]
    pub const fn log_level(&self) -> &LogLevel {
        &self.log_level.value
    }

    /// Where the log goes.
    #[must_use]
    pub const fn log_format(&self) -> LogFormat {
        self.log_format.value
    }

    /// Whether the desktop is told when something was ended.
    #[must_use]
    pub const fn notify(&self) -> bool {
        self.notify.value
    }

    /// The file that metrics are written to.
    #[must_use]
    pub fn textfile(&self) -> Option<&Path> {
        self.textfile.value.as_deref()
    }

    /// The address that metrics are served on.
    #[must_use]
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen.value
    }

    pub(super) fn apply_file(&mut self, file: &FileLayer) -> Result<(), ConfigError> {
        let (config, origin) = (&file.config, Origin::File(file.path.clone()));
        set(&mut self.log_level, spanned(file, config.log_level.as_ref(), read::log_level)?, &origin);
        set(&mut self.log_format, config.log_format, &origin);
        set(&mut self.notify, config.notify, &origin);
        let Some(TableOf(metrics)) = &config.metrics else { return Ok(()) };
        set(&mut self.textfile, spanned(file, metrics.textfile.as_ref(), read::textfile)?, &origin);
        set(&mut self.listen, spanned(file, metrics.listen.as_ref(), read::listen)?, &origin);
        Ok(())
    }

    pub(super) fn apply_env(&mut self, env: &EnvLayer) -> Result<(), ConfigError> {
        from_env(env, env::LOG_LEVEL, &mut self.log_level, read::log_level)?;
        from_env(env, env::LOG_FORMAT, &mut self.log_format, |text| {
            let found = LogFormat::ALL.into_iter().find(|format| format.name() == text);
            found.ok_or_else(|| Complaint::unknown("value", text, LogFormat::ALL.map(LogFormat::name)))
        })?;
        from_env(env, env::NOTIFY, &mut self.notify, |text| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Complaint::unknown("value", text, ["true", "false"])),
        })?;
        from_env(env, env::METRICS_TEXTFILE, &mut self.textfile, read::textfile)?;
        from_env(env, env::METRICS_LISTEN, &mut self.listen, read::listen)
    }

    pub(super) fn warnings(&self) -> Option<Warning> {
        let address = self.listen().filter(|address| read::is_global(address.ip().to_canonical()))?;
        Some(Warning::new(
            format!(
                "`metrics.listen` is {address} (from {}), an address of the open internet, and nothing there asks who calls",
                self.listen.origin
            ),
            "use a loopback or pod address, or let a firewall keep strangers away",
        ))
    }
}

fn set<T>(slot: &mut Setting<T>, value: Option<T>, origin: &Origin) {
    if let Some(value) = value {
        *slot = Setting { value, origin: origin.clone() };
    }
}

fn spanned<T>(
    file: &FileLayer,
    text: Option<&Spanned<String>>,
    read: fn(&str) -> Result<T, Complaint>,
) -> Result<Option<T>, ConfigError> {
    let read = |text: &Spanned<String>| {
        read(text.get_ref()).map_err(|complaint| file.invalid(text.span(), complaint))
    };
    text.map(read).transpose()
}

fn from_env<T>(
    env: &EnvLayer,
    variable: &'static str,
    slot: &mut Setting<T>,
    read: impl Fn(&str) -> Result<T, Complaint>,
) -> Result<(), ConfigError> {
    let value = env.get(variable).map(read).transpose();
    set(slot, value.map_err(|complaint| complaint.about(variable))?, &Origin::Env(variable));
    Ok(())
}
