//! The control socket: one JSON line in, one out, from the same user or root.
//!
//! The socket has mode 0600 in a directory of mode 0700; the peer's credentials are checked as well. A client that
//! sends garbage, too much, or nothing at all occupies one slot for a bounded time.
//!
//! A reply with many judgements is larger than the socket's buffer. It is made and written by a thread of its own, so
//! that it neither blocks the event loop nor waits for it.

use std::io;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::call::{Answer, Call, ask};
use super::protocol::{Command, MAX_REQUEST, Reply, parse};
use super::publish::status;

/// Largest number of concurrent clients; more wait in the backlog of the socket.
const CLIENTS: usize = 16;
/// Time limit for a client to send its request, and to read the reply.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest number of judgements in a reply that the event loop writes itself: about 100 kB, half of a socket's buffer.
const FEW: usize = 64;

/// The socket; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket. Call only under the service's lock: an existing socket is then a stale one, and is replaced.
    ///
    /// # Errors
    /// When the path is not a socket, or cannot be bound.
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
                        // Fails when the client disconnects or is too slow; there is nothing to do then.
                        let _ = timeout(PATIENCE * 2, converse(stream, uid, calls, slot)).await;
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

/// Reads a request and replies to it. The slot is freed when the reply is written.
async fn converse(
    mut stream: UnixStream,
    uid: u32,
    calls: mpsc::Sender<Call>,
    slot: OwnedSemaphorePermit,
) -> io::Result<()> {
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
            Some(answer) if answer.snapshot.judgements.len() > FEW => {
                return write_beside(stream.into_std()?, answer, slot);
            }
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

/// Makes and writes a reply on a thread of its own.
fn write_beside(mut stream: BlockingStream, answer: Answer, slot: OwnedSemaphorePermit) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut refused = stream.try_clone()?;
    let work = move || {
        // Fails when the client disconnects or is too slow; there is nothing to do then.
        let _ = encode(&reply(answer)).and_then(|line| write_within(&mut stream, &line, PATIENCE));
        drop(slot);
    };
    if let Err(e) = std::thread::Builder::new().name("reply".into()).spawn(work) {
        let refusal = Reply::refusal(format!("no thread can be started to reply: {e}"));
        write_within(&mut refused, &encode(&refusal)?, PATIENCE)?;
    }
    Ok(())
}

/// Largest number of bytes of one write. The time limit of the socket restarts with each part that the client reads
/// (unix(7)), so that a write of all bytes would not be limited.
const CHUNK: usize = 64 << 10;

/// Writes all bytes within the time limit, or fails.
fn write_within(stream: &mut BlockingStream, mut rest: &[u8], limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    while !rest.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest.get(..CHUNK).unwrap_or(rest)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_client_that_reads_a_large_reply_slowly_is_dropped_in_time() {
        const LIMIT: Duration = Duration::from_millis(300);
        let large = vec![b'x'; 4 << 20];
        let (mut ours, mut theirs) = BlockingStream::pair().unwrap();
        let client = std::thread::spawn(move || {
            // A little at a time: each write succeeds, and all of them together take too long.
            let mut some = [0; 4096];
            while theirs.read(&mut some).is_ok_and(|read| read > 0) {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let began = Instant::now();
        let failed = write_within(&mut ours, &large, LIMIT).unwrap_err();
        assert!(matches!(failed.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{failed}");
        assert!(began.elapsed() < LIMIT * 10, "{:?}", began.elapsed());
        drop(ours);
        client.join().unwrap();
        let (mut ours, mut theirs) = BlockingStream::pair().unwrap();
        let client = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).map(|_| all)
        });
        write_within(&mut ours, &large, Duration::from_secs(30)).unwrap();
        drop(ours);
        assert_eq!(client.join().unwrap().unwrap(), large);
    }
}
