//! What is said over the control socket: requests and replies, one JSON line each. `docs/control.md` explains them.

use serde::{Deserialize, Serialize};

use crate::report::status::Status;

/// The schema of [`Request`] and [`Reply`].
pub const CONTROL: &str = "reaper.control/1";
/// Longest request, in bytes.
pub const MAX_REQUEST: u64 = 4096;

/// What a client can ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`CONTROL`].
    pub schema: String,
    /// What to do.
    pub command: Command,
    /// For [`Command::Pause`]: how long; until `resume` when it is missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_s: Option<f64>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Only tell how things are.
    Status,
    /// End nothing for a while.
    Pause,
    /// Go on ending.
    Resume,
    /// Look at all processes now.
    Sweep,
    /// Read the config again.
    Reload,
    /// Only tell the metrics.
    Metrics,
}

/// What the service answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`CONTROL`].
    pub schema: String,
    /// Why the command was not carried out; null when it was.
    pub error: Option<String>,
    /// How things are after it; null when the request was not understood.
    pub status: Option<Status>,
    /// The OpenMetrics text that [`Command::Metrics`] asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

impl Reply {
    /// How things are after a command, and why it was not carried out, if it was not.
    #[must_use]
    pub fn status(error: Option<String>, status: Status) -> Self {
        Self { schema: CONTROL.to_owned(), error, status: Some(status), metrics: None }
    }

    /// The OpenMetrics text that was asked for.
    #[must_use]
    pub fn metrics(text: String) -> Self {
        Self { schema: CONTROL.to_owned(), error: None, status: None, metrics: Some(text) }
    }

    /// A request was not carried out, for a reason in words.
    #[must_use]
    pub fn refusal(error: String) -> Self {
        Self { schema: CONTROL.to_owned(), error: Some(error), status: None, metrics: None }
    }
}

/// Reads a request, with the end of its line.
///
/// # Errors
/// In words for the client.
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
    fn only_whole_requests_of_this_version_are_understood() {
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
    fn replies_of_a_service_that_knows_less_are_understood() {
        let old = r#"{"schema":"reaper.control/1","error":"not understood","status":null}"#;
        let reply: Reply = serde_json::from_str(old).unwrap();
        assert_eq!(reply.metrics, None);
        assert_eq!(serde_json::to_string(&reply).unwrap(), old, "and nothing is said that it would not say");
    }
}
