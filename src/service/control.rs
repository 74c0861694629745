//! The control socket: one JSON line in, one out, from the same user or root.
//!
//! The socket is 0600 in a directory of 0700; the peer's credentials are checked all the same. A client that
//! sends garbage, too much, or nothing at all costs one slot for a bounded time.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::report::status::Status;

/// The schema of [`Request`] and [`Reply`].
pub const CONTROL: &str = "reaper.control/1";
/// Clients at a time; more wait in the socket's queue.
const CLIENTS: usize = 16;
/// How long a client may take to say or to hear something.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request.
const MAX_REQUEST: u64 = 4096;

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
    /// Look around now.
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

/// A request on its way to the loop, and where the answer goes.
pub type Call = (Request, oneshot::Sender<Reply>);

/// The socket; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds it. Call only under the service's lock: a socket that is there already is a dead one's then, and is
    /// replaced.
    ///
    /// # Errors
    /// When the path is something else than a socket, or cannot be bound.
    pub fn bind(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt as _;
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves clients of `uid` and of root for ever.
    pub async fn serve(self, uid: u32, calls: mpsc::Sender<Call>) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let calls = calls.clone();
                    tokio::task::spawn_local(async move {
                        // A client that went away is its own business.
                        let _ = timeout(PATIENCE * 2, converse(stream, uid, calls)).await;
                        drop(slot);
                    });
                }
                // Out of descriptors: clients wait until some are free.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(mut stream: UnixStream, uid: u32, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let reply = if peer == uid || peer == 0 {
        let mut line = Vec::new();
        let mut reader = BufReader::new((&mut stream).take(MAX_REQUEST));
        timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
        match parse(&line) {
            Ok(request) => ask(request, &calls).await,
            Err(why) => refusal(why),
        }
    } else {
        refusal(format!("uid {peer} may not control the service of uid {uid}"))
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    timeout(PATIENCE, stream.write_all(&bytes)).await??;
    stream.shutdown().await
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

async fn ask(request: Request, calls: &mpsc::Sender<Call>) -> Reply {
    let (answer, answered) = oneshot::channel();
    if calls.send((request, answer)).await.is_err() {
        return refusal("the service is stopping".to_owned());
    }
    answered.await.unwrap_or_else(|_| refusal("the service is stopping".to_owned()))
}

fn refusal(error: String) -> Reply {
    Reply { schema: CONTROL.to_owned(), error: Some(error), status: None, metrics: None }
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
