//! Settings of what the service tells, and where: its log, its metrics, a note on the desktop.
//!
//! Nothing here decides about a process. What can be wrong is quieter: a misspelt level that silences the log, an
//! address that answers the whole network, a file that nobody reads. So each is refused where it is written.

use super::env::{self, EnvLayer};
use super::error::{Complaint, ConfigError, Warning};
use super::file::TableOf;
use super::layers::FileLayer;
use super::policy::{Origin, Setting};
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const PORT: u16 = 9464;

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
        set(&mut self.log_level, spanned(file, config.log_level.as_ref(), log_level)?, &origin);
        set(&mut self.log_format, config.log_format, &origin);
        set(&mut self.notify, config.notify, &origin);
        let Some(TableOf(metrics)) = &config.metrics else { return Ok(()) };
        set(&mut self.textfile, spanned(file, metrics.textfile.as_ref(), textfile)?, &origin);
        set(&mut self.listen, spanned(file, metrics.listen.as_ref(), listen)?, &origin);
        Ok(())
    }

    pub(super) fn apply_env(&mut self, env: &EnvLayer) -> Result<(), ConfigError> {
        from_env(env, env::LOG_LEVEL, &mut self.log_level, log_level)?;
        from_env(env, env::LOG_FORMAT, &mut self.log_format, |text| {
            let found = LogFormat::ALL.into_iter().find(|format| format.name() == text);
            found.ok_or_else(|| Complaint::unknown("value", text, LogFormat::ALL.map(LogFormat::name)))
        })?;
        from_env(env, env::NOTIFY, &mut self.notify, |text| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Complaint::unknown("value", text, ["true", "false"])),
        })?;
        from_env(env, env::METRICS_TEXTFILE, &mut self.textfile, textfile)?;
        from_env(env, env::METRICS_LISTEN, &mut self.listen, listen)
    }

    pub(super) fn warnings(&self) -> Option<Warning> {
        let address = self.listen().filter(|address| is_global(address.ip().to_canonical()))?;
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

/// A level, or `target=level,…`. The log library takes any other word for the name of a target, and would then
/// log nothing else.
fn log_level(text: &str) -> Result<LogLevel, Complaint> {
    let mut parts = Vec::new();
    let mut bare = 0;
    for part in text.split(',').map(str::trim) {
        let (target, name) = part.split_once('=').map_or((None, part), |(t, l)| (Some(t.trim()), l.trim()));
        let level = name.to_ascii_lowercase();
        if !LEVELS.contains(&level.as_str()) {
            return Err(Complaint::unknown("log level", name, LEVELS));
        }
        let is_path =
            |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
        match target {
            None => parts.push(level),
            Some(target) if is_path(target) => parts.push(format!("{target}={level}")),
            Some(target) => {
                let why = format!("`{}` names no part of a program", target.escape_debug());
                return Err(Complaint::new(
                    why,
                    "write a level, or a list such as \"info,reaper::service=debug\"",
                ));
            }
        }
        bare += usize::from(target.is_none());
    }
    if bare > 1 {
        let hint = "write one level, and `target=level` for what differs from it";
        return Err(Complaint::new("two levels for everything", hint));
    }
    Ok(LogLevel(parts.join(",")))
}

/// An absolute path that node_exporter would read; an empty one turns the file off.
fn textfile(text: &str) -> Result<Option<PathBuf>, Complaint> {
    const EXAMPLE: &str = "write a path such as \"/var/lib/node_exporter/textfile/reaper.prom\"";
    if text.is_empty() {
        return Ok(None);
    }
    let shown = text.escape_debug();
    let path = Path::new(text);
    if text.chars().any(char::is_control) {
        return Err(Complaint::new(format!("`{shown}` is no path"), EXAMPLE));
    }
    if !path.is_absolute() {
        let why = format!("`{shown}` is not an absolute path (nothing in it is expanded)");
        return Err(Complaint::new(why, EXAMPLE));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if text.ends_with('/') || name.strip_suffix(".prom").is_none_or(str::is_empty) {
        let why = format!("the file `{shown}` must be named *.prom: node_exporter reads no other");
        return Err(Complaint::new(why, EXAMPLE));
    }
    Ok(Some(path.to_owned()))
}

/// One address of this machine and a port; an empty text turns it off.
fn listen(text: &str) -> Result<Option<SocketAddr>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let why = format!("`{}` is not an IP address and a port", text.escape_debug());
        return Err(Complaint::new(why, format!("write \"{}\"", meant(text))));
    };
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() {
        return Err(Complaint::new(
            format!(
                "`{}` answers on every network that this machine joins, and nothing there asks who calls",
                address.ip()
            ),
            format!(
                "write one address: \"127.0.0.1:{port}\" for this machine, or a pod's own, as {}=$(POD_IP):{port}",
                env::METRICS_LISTEN,
                port = address.port(),
            ),
        ));
    }
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        let hint = format!("write \"127.0.0.1:{}\"", address.port());
        return Err(Complaint::new(format!("`{ip}` is not the address of one machine"), hint));
    }
    if address.port() == 0 {
        let hint = format!("write a port that your scraper knows, such as {PORT}");
        return Err(Complaint::new("port 0 is another one each time", hint));
    }
    Ok(Some(address))
}

/// What somebody probably meant who wrote no address and port.
fn meant(text: &str) -> String {
    let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, PORT).to_string();
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    local(port.filter(|port| *port > 0).unwrap_or(PORT))
}

/// Whether strangers on the internet might reach it. Pods are given private addresses, or unique local ones.
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is for networks of providers, and for pods.
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || Ipv6Addr::is_unique_local(&ip) || Ipv6Addr::is_unicast_link_local(&ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{listen, log_level, textfile};

    #[test]
    fn every_level_that_passes_is_one_for_the_log() {
        for (text, filter) in [
            ("info", "reaper=info"),
            ("DEBUG", "reaper=debug"),
            ("warn, reaper::service = trace", "warn,reaper::service=trace"),
            ("reaper=debug", "reaper=debug"),
        ] {
            let level = log_level(text).unwrap();
            assert_eq!(level.filter(), filter);
            assert!(filter.parse::<tracing_subscriber::filter::Targets>().is_ok(), "{filter}");
        }
        for bad in ["", "inof", "reaper", "reaper=", "=info", "a b=info", "info,debug", "info,"] {
            assert!(log_level(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_one_machine_s_and_an_empty_one_is_off() {
        for good in ["127.0.0.1:9464", "[::1]:9464", "10.1.2.3:80", "[fd00::1]:9464"] {
            assert_eq!(listen(good).unwrap().unwrap().to_string(), good);
        }
        assert_eq!(listen(""), Ok(None));
        for (bad, hint) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "127.0.0.1:9464"),
            ("[::ffff:0.0.0.0]:1", "127.0.0.1:1"),
            ("localhost:80", "\"127.0.0.1:80\""),
            (":9100", "\"127.0.0.1:9100\""),
            ("9100", "\"127.0.0.1:9100\""),
            ("::1", "\"[::1]:9464\""),
            ("127.0.0.1", "\"127.0.0.1:9464\""),
            ("127.0.0.1:99999", "\"127.0.0.1:9464\""),
            ("127.0.0.1:0", "9464"),
            ("255.255.255.255:1", "127.0.0.1:1"),
            ("224.0.0.1:1", "127.0.0.1:1"),
            ("unix:/run/x", "127.0.0.1"),
        ] {
            let complaint = listen(bad).unwrap_err();
            assert!(complaint.hint.as_ref().is_some_and(|h| h.contains(hint)), "{bad}: {complaint:?}");
        }
    }

    #[test]
    fn a_textfile_is_one_that_node_exporter_reads() {
        assert!(textfile("/var/lib/x/reaper.prom").unwrap().is_some());
        assert_eq!(textfile(""), Ok(None));
        for bad in
            ["reaper.prom", "~/reaper.prom", "/x/reaper.txt", "/x/.prom", "/x/y.prom/", "/", "/x\n.prom"]
        {
            assert!(textfile(bad).is_err(), "{bad}");
        }
    }
}
