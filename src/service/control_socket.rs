//! The control socket: one JSON line in, one out, from the same user or root.
//!
//! The socket is 0600 in a directory of 0700; the peer's credentials are checked all the same. A client that
//! sends garbage, too much, or nothing at all costs one slot for a bounded time.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::call::{Answer, Call, ask};
use super::protocol::{Command, MAX_REQUEST, Reply, parse};
use super::publish::status;

/// Clients at a time; more wait in the socket's queue.
const CLIENTS: usize = 16;
/// How long a client may take to send its request, and to take the reply.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Serves clients of `uid` and of root until it is dropped.
    pub async fn serve(self, uid: u32, calls: mpsc::Sender<Call>) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let calls = calls.clone();
                    tokio::task::spawn_local(async move {
                        // Fails when the client goes away or is too slow; nothing is left to do for it then.
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

/// Reads a request and replies to it.
async fn converse(mut stream: UnixStream, uid: u32, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let request = if peer == uid || peer == 0 {
        let mut line = Vec::new();
        let mut reader = BufReader::new((&mut stream).take(MAX_REQUEST));
        timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
        parse(&line)
    } else {
        Err(format!("uid {peer} may not control the service of uid {uid}"))
    };
    let stopping = || Reply::refusal("the service is stopping".to_owned());
    let reply = match request {
        Ok(request) if request.command == Command::Metrics => match ask(Call::Metrics, &calls).await {
            Some(Ok(text)) => Reply::metrics(text),
            Some(Err(why)) => Reply::refusal(why),
            None => stopping(),
        },
        Ok(request) => match ask(|answer| Call::Command(request, answer), &calls).await {
            Some(answer) => reply(answer),
            None => stopping(),
        },
        Err(why) => Reply::refusal(why),
    };
    timeout(PATIENCE, stream.write_all(&encode(&reply)?)).await??;
    stream.shutdown().await
}

fn reply(answer: Answer) -> Reply {
    Reply::status(answer.error, status::document(&answer.snapshot))
}

fn encode(reply: &Reply) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(line)
}
