//! Metrics and probes over HTTP: `/metrics`, `/livez`, `/readyz`; all read-only.
//!
//! Clients are not authenticated, so resources are bounded: one request for each connection, small headers, few
//! connections, short time limits. The answers come from the event loop; if it hangs, they fail.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::metrics::classic::classic;
use super::metrics::{CLASSIC, OPENMETRICS};
use crate::service::call::{Call, ask};

/// Largest number of concurrent connections; more wait in the backlog of the listener.
const CONNECTIONS: usize = 16;
/// Time limit for the request of a client, and for the answer of the event loop.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time limit for a whole connection.
const LIFETIME: Duration = Duration::from_secs(8);
/// Largest request head in bytes; the smallest limit that hyper accepts.
const MAX_HEAD: usize = 8192;
/// Largest number of headers.
const MAX_HEADERS: usize = 32;
/// Delay before the next attempt to listen on an address that could not be bound.
const RETRY: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// The HTTP server, if an address is configured.
pub struct Http {
    calls: mpsc::Sender<Call>,
    serving: Option<(SocketAddr, AbortHandle)>,
    /// The address that could not be bound, and when to try again.
    failed: Option<(SocketAddr, Instant)>,
}

impl Http {
    /// A server without an address. It sends its requests to the event loop by `calls`.
    pub fn new(calls: mpsc::Sender<Call>) -> Self {
        Self { calls, serving: None, failed: None }
    }

    /// Follows the configured address. Returns the result if listening was attempted.
    pub fn follow(&mut self, wanted: Option<SocketAddr>) -> Option<Result<Option<SocketAddr>, String>> {
        if self.serving.as_ref().map(|(address, _)| *address) == wanted {
            // Also when no address is configured any more, or one that is still served.
            return self.failed.take().map(|_| Ok(wanted));
        }
        let is_too_soon =
            |(address, again): &(SocketAddr, Instant)| Some(*address) == wanted && Instant::now() < *again;
        if self.failed.as_ref().is_some_and(is_too_soon) {
            return None;
        }
        self.stop();
        self.failed = None;
        let Some(address) = wanted else { return Some(Ok(None)) };
        match bind(address) {
            Ok(listener) => {
                let task = tokio::task::spawn_local(serve(listener, self.calls.clone()));
                self.serving = Some((address, task.abort_handle()));
                Some(Ok(Some(address)))
            }
            Err(e) => {
                self.failed = Some((address, Instant::now() + RETRY));
                let hint = "choose another address in `metrics.listen`, or end what uses it";
                Some(Err(format!("cannot serve metrics on {address}: {e}; it is tried again\nhint: {hint}")))
            }
        }
    }

    /// When to try again to bind an address that could not be bound.
    pub fn next(&self) -> Option<Instant> {
        self.failed.as_ref().map(|(_, again)| *again)
    }

    /// Stops serving.
    pub fn stop(&mut self) {
        if let Some((_, task)) = self.serving.take() {
            task.abort();
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let calls = calls.clone();
                tokio::task::spawn_local(async move {
                    // Fails when the client disconnects or is too slow; there is nothing to do then.
                    let _ = timeout(LIFETIME, converse(stream, calls)).await;
                    drop(slot);
                });
            }
            // Out of descriptors: clients wait until some are free.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: TcpStream, calls: mpsc::Sender<Call>) -> hyper::Result<()> {
    let answer = |request: Request<Incoming>| {
        let calls = calls.clone();
        async move { Ok::<_, Infallible>(respond(&request, &calls).await) }
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}

async fn respond<B>(request: &Request<B>, calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/livez" | "/readyz") {
        return answer(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /livez and /readyz\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    let unavailable = |why: &str| answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n"));
    // `None` when the event loop hangs, or is about to stop.
    let no_answer = || unavailable("the service does not answer");
    if path == "/metrics" {
        return match timeout(PATIENCE, ask(Call::Metrics, calls)).await.ok().flatten() {
            Some(Ok(text)) if wants_classic(request.headers()) => {
                answer(StatusCode::OK, CLASSIC, classic(&text))
            }
            Some(Ok(text)) => answer(StatusCode::OK, OPENMETRICS, text),
            Some(Err(error)) => unavailable(&error),
            None => no_answer(),
        };
    }
    match timeout(PATIENCE, ask(Call::Readiness, calls)).await.ok().flatten() {
        Some(Some(why)) if path == "/readyz" => unavailable(&format!("not ready: {why}")),
        Some(_) => answer(StatusCode::OK, TEXT, "ok\n".to_owned()),
        None => no_answer(),
    }
}

/// The older format is sent only to clients that accept it and not OpenMetrics.
fn wants_classic(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT);
    let names = |kind: &str| accepted.iter().any(|value| value.to_str().is_ok_and(|v| v.contains(kind)));
    names("text/plain") && !names("application/openmetrics-text")
}

fn answer(code: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
