//! The metrics and the probes over HTTP: `/metrics`, `/livez`, `/readyz`, and nothing that changes anything.
//!
//! Every client that reaches the address is answered, so nothing here trusts one: one request a connection, small
//! headers, few connections, little time. The answers come from the event loop itself; if it hangs, they fail.

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

/// Connections at a time; more wait in the listener's queue.
const CONNECTIONS: usize = 16;
/// How long a client may take for its request, and the loop for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may last in all.
const LIFETIME: Duration = Duration::from_secs(8);
/// Longest request head; the least that hyper accepts.
const MAX_HEAD: usize = 8192;
/// Most headers.
const MAX_HEADERS: usize = 32;
/// When to try again to listen on an address that could not be had.
const RETRY: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// The server, if there is to be one.
pub struct Http {
    calls: mpsc::Sender<Call>,
    serving: Option<(SocketAddr, AbortHandle)>,
    /// The address that could not be had, and when it is tried again.
    failed: Option<(SocketAddr, Instant)>,
}

impl Http {
    /// Serves nothing yet; asks by `calls`.
    pub fn new(calls: mpsc::Sender<Call>) -> Self {
        Self { calls, serving: None, failed: None }
    }

    /// Serves on the address of the config from now on. Returns what came of it when anything was tried.
    pub fn follow(&mut self, wanted: Option<SocketAddr>) -> Option<Result<Option<SocketAddr>, String>> {
        if self.serving.as_ref().map(|(address, _)| *address) == wanted {
            // Also when it is back at nothing, or at an address that is served still.
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

    /// When an address that could not be had is tried again.
    pub fn next(&self) -> Option<Instant> {
        self.failed.as_ref().map(|(_, again)| *again)
    }

    /// Serves no more.
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
                    // Fails when the client goes away or is too slow; nothing is left to do for it then.
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

/// Only a client that asks for the older format and not for OpenMetrics gets it.
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
