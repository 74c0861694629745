//! Texts of these settings, read or refused.

use super::LogLevel;
use crate::config::env;
use crate::config::error::Complaint;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const PORT: u16 = 9464;

/// A level, or `target=level,…`. The log library takes any other word for the name of a target, and would then
/// log nothing else.
pub(super) fn log_level(text: &str) -> Result<LogLevel, Complaint> {
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
pub(super) fn textfile(text: &str) -> Result<Option<PathBuf>, Complaint> {
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
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, Complaint> {
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
pub(super) fn is_global(ip: IpAddr) -> bool {
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
