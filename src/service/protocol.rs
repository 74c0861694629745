//! The protocol of the control socket: requests and replies, one JSON line each, described in `docs/control.md`.

use serde::{Deserialize, Serialize};

use crate::report::status::Status;

/// The schema of [`Request`] and [`Reply`].
pub const CONTROL: &str = "reaper.control/1";
/// Largest request, in bytes.
pub const MAX_REQUEST: u64 = 4096;

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always [`CONTROL`].
    pub schema: String,
    /// The command.
    pub command: Command,
    /// For [`Command::Pause`]: its length in seconds; until `resume` when it is missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_s: Option<f64>,
}

/// The command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Report the status.
    Status,
    /// Pause: end nothing.
    Pause,
    /// End the pause.
    Resume,
    /// Make a sweep now.
    Sweep,
    /// Read the config again.
    Reload,
    /// Report the metrics.
    Metrics,
}

/// The reply of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Always [`CONTROL`].
    pub schema: String,
    /// Why the command was not carried out; null when it was.
    pub error: Option<String>,
    /// The status after the command; null when the request was not understood.
    pub status: Option<Status>,
    /// The OpenMetrics text that [`Command::Metrics`] asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

impl Reply {
    /// A reply with the status after a command, and with the error if it was not carried out.
    #[must_use]
    pub fn status(error: Option<String>, status: Status) -> Self {
        Self { schema: CONTROL.to_owned(), error, status: Some(status), metrics: None }
    }

    /// A reply with the OpenMetrics text.
    #[must_use]
    pub fn metrics(text: String) -> Self {
        Self { schema: CONTROL.to_owned(), error: None, status: None, metrics: Some(text) }
    }

    /// A reply to a request that was refused, with the reason.
    #[must_use]
    pub fn refusal(error: String) -> Self {
        Self { schema: CONTROL.to_owned(), error: Some(error), status: None, metrics: None }
    }
}

/// Parses a request line, including its newline.
///
/// # Errors
/// When it is not a request of this version; the text is for the client.
pub fn parse(line: &[u8]) -> Result<Request, String> {
    if !line.ends_with(b"\n") {
        return Err(format!("a request is one line of at most {MAX_REQUEST} bytes"));
    }
    let request: Request = serde_json::from_slice(line).map_err(|e| format!("not understood: {e}"))?;
    if request.schema != CONTROL {
        return Err(format!("this service speaks {CONTROL}"));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_requests_of_this_version_are_accepted() {
        let good = br#"{"schema":"reaper.control/1","command":"pause","for_s":60}"#;
        let mut line = good.to_vec();
        assert!(parse(&line).is_err(), "no end of line");
        line.push(b'\n');
        assert_eq!(parse(&line).unwrap().command, Command::Pause);
        let metrics = b"{\"schema\":\"reaper.control/1\",\"command\":\"metrics\"}\n";
        assert_eq!(parse(metrics).unwrap().command, Command::Metrics);
        for bad in [
            &b"\n"[..],
            b"null\n",
            b"\xff\n",
            b"{\"schema\":\"reaper.control/2\",\"command\":\"status\"}\n",
            b"{\"schema\":\"reaper.control/1\",\"command\":\"kill\"}\n",
            b"{\"schema\":\"reaper.control/1\",\"command\":\"status\",\"x\":1}\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn replies_of_an_older_service_are_understood() {
        let old = r#"{"schema":"reaper.control/1","error":"not understood","status":null}"#;
        let reply: Reply = serde_json::from_str(old).unwrap();
        assert_eq!(reply.metrics, None);
        assert_eq!(serde_json::to_string(&reply).unwrap(), old, "and nothing is said that it would not say");
    }
}
