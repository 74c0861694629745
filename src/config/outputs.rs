//! Settings of the service's outputs: log, metrics, desktop notifications.
//!
//! None of them affects a decision about a process. Mistakes are easily overlooked: a misspelt level that silences the
//! log, an address that is open to the whole network, a file that no scraper reads. So each is refused when it is read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostic;

/// The log level or filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogLevel {
    /// In the syntax of `RUST_LOG`. A level alone applies to our own code only; libraries are not logged.
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

/// The destination and format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal when standard error is connected to it, else lines.
    #[default]
    Auto,
    /// Structured entries in the journal.
    Journal,
    /// Lines for people, on standard error.
    Text,
    /// One JSON object a line, on standard error.
    Json,
}

impl LogFormat {
    pub(super) const ALL: [Self; 4] = [Self::Auto, Self::Journal, Self::Text, Self::Json];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Journal => "journal",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// The settings of all outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    pub(super) log_level: LogLevel,
    pub(super) log_format: LogFormat,
    pub(super) notify: bool,
    pub(super) textfile: Option<PathBuf>,
    pub(super) listen: Option<SocketAddr>,
}

impl Outputs {
    /// The log level or filter.
    #[must_use]
    pub const fn log_level(&self) -> &LogLevel {
        &self.log_level
    }

    /// The destination and format of the log.
    #[must_use]
    pub const fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// Whether a desktop notification is shown when processes were ended.
    #[must_use]
    pub const fn notify(&self) -> bool {
        self.notify
    }

    /// The file that metrics are written to.
    #[must_use]
    pub fn textfile(&self) -> Option<&Path> {
        self.textfile.as_deref()
    }

    /// The address that metrics are served on.
    #[must_use]
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const PORT: u16 = 9464;

/// Parses a level, or `target=level,…`. The log library takes any other word for the name of a target, and would then
/// log nothing else.
pub(super) fn log_level(text: &str) -> Result<LogLevel, Diagnostic> {
    let mut parts = Vec::new();
    let mut bare = 0;
    for part in text.split(',').map(str::trim) {
        let (target, name) = part.split_once('=').map_or((None, part), |(t, l)| (Some(t.trim()), l.trim()));
        let level = name.to_ascii_lowercase();
        if !LEVELS.contains(&level.as_str()) {
            return Err(Diagnostic::unknown("log level", name, LEVELS));
        }
        let is_path =
            |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
        match target {
            None => parts.push(level),
            Some(target) if is_path(target) => parts.push(format!("{target}={level}")),
            Some(target) => {
                let why = format!("`{}` names no part of a program", target.escape_debug());
                return Err(Diagnostic::new(
                    why,
                    "write a level, or a list such as \"info,reaper::service=debug\"",
                ));
            }
        }
        bare += usize::from(target.is_none());
    }
    if bare > 1 {
        let hint = "write one level, and `target=level` for what differs from it";
        return Err(Diagnostic::new("two levels for everything", hint));
    }
    Ok(LogLevel(parts.join(",")))
}

/// Parses an absolute path that node_exporter would read; an empty one turns the file off.
pub(super) fn textfile(text: &str) -> Result<Option<PathBuf>, Diagnostic> {
    const EXAMPLE: &str = "write a path such as \"/var/lib/node_exporter/textfile/reaper.prom\"";
    if text.is_empty() {
        return Ok(None);
    }
    let shown = text.escape_debug();
    let path = Path::new(text);
    if text.chars().any(char::is_control) {
        return Err(Diagnostic::new(format!("`{shown}` is no path"), EXAMPLE));
    }
    if !path.is_absolute() {
        let why = format!("`{shown}` is not an absolute path (nothing in it is expanded)");
        return Err(Diagnostic::new(why, EXAMPLE));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if text.ends_with('/') || name.strip_suffix(".prom").is_none_or(str::is_empty) {
        let why = format!("the file `{shown}` must be named *.prom: node_exporter reads no other");
        return Err(Diagnostic::new(why, EXAMPLE));
    }
    Ok(Some(path.to_owned()))
}

/// Parses one address of this machine and a port; an empty text turns it off.
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, Diagnostic> {
    if text.is_empty() {
        return Ok(None);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let why = format!("`{}` is not an IP address and a port", text.escape_debug());
        return Err(Diagnostic::new(why, format!("write \"{}\"", meant(text))));
    };
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() {
        return Err(Diagnostic::new(
            format!(
                "`{}` answers on every network that this machine joins, and access is not authenticated",
                address.ip()
            ),
            format!(
                "write one address: \"127.0.0.1:{port}\" for this machine, or a pod's own, as \
                 REAPER_METRICS_LISTEN=$(POD_IP):{port}",
                port = address.port(),
            ),
        ));
    }
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        let hint = format!("write \"127.0.0.1:{}\"", address.port());
        return Err(Diagnostic::new(format!("`{ip}` is not the address of one machine"), hint));
    }
    if address.port() == 0 {
        let hint = format!("write a port that your scraper knows, such as {PORT}");
        return Err(Diagnostic::new("port 0 is another one each time", hint));
    }
    Ok(Some(address))
}

/// The address and port that was probably meant by an incomplete one.
fn meant(text: &str) -> String {
    let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, PORT).to_string();
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    local(port.filter(|port| *port > 0).unwrap_or(PORT))
}

/// Whether an address may be reachable from the internet. Pods have private or unique local addresses.
pub(super) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is for carrier-grade NAT, and for pods.
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
            let diagnostic = listen(bad).unwrap_err();
            assert!(diagnostic.hint.as_ref().is_some_and(|h| h.contains(hint)), "{bad}: {diagnostic:?}");
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
