//! The service: sees orphans the moment they become orphans, and ends them when their grace is over.
//!
//! One thread waits for everything at once: the next tick, the end of a grace, the exit of a watched process, a
//! request on the socket, a signal. [`warden`] says what each of them leads to, [`reaper_engine::tracker`] what is known;
//! `execution` ends processes on threads of its own.

pub mod control;
mod desktop;
mod execution;
mod http;
pub mod lock;
pub mod logs;
pub mod metrics;
mod notify;
mod outputs;
mod pause;
pub mod readings;
mod status;
mod textfile;
mod troubles;
pub mod warden;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use reaper_platform::{Host, HostError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::info;

use execution::Executions;
use warden::Warden;
pub use warden::{Load, Setup};

/// How long a stop waits for processes that are being ended to exit; after that they are handed back.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long handing back may take.
const HAND_BACK_LIMIT: Duration = Duration::from_secs(5);

/// Why the service could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Processes cannot be listed or waited for.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The system refused.
    #[error("cannot {what}: {source}\nhint: {hint}")]
    Io {
        /// The attempt, on what.
        what: String,
        /// Why not.
        source: io::Error,
        /// The way out.
        hint: &'static str,
    },
}

/// Runs until SIGTERM or SIGINT. `socket` is where the control socket is to be; `None` for none. Call it under
/// the service's lock.
///
/// # Errors
/// When it cannot begin. Once it runs, it complains and goes on.
pub fn run<H: Host>(setup: Setup<H>, socket: Option<PathBuf>) -> Result<(), ServiceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|source| {
        ServiceError::Io {
            what: "start the event loop".into(),
            source,
            hint: "raise the limit of open files",
        }
    })?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(setup, socket))
}

async fn serve<H: Host>(setup: Setup<H>, socket: Option<PathBuf>) -> Result<(), ServiceError> {
    // Signals first: one that comes during the first look must not be lost.
    let mut signals = Signals::new()?;
    let (done_tx, mut done) = mpsc::unbounded_channel();
    let (calls_tx, mut calls) = mpsc::channel(1);
    let uid = setup.host.here().uid.0;
    let mut http = http::Http::new(calls_tx.clone());
    if let Some(path) = socket {
        let bound = control::Socket::bind(&path).map_err(|source| ServiceError::Io {
            what: format!("bind the control socket `{}`", path.display()),
            source,
            hint: "remove what is there, or set XDG_RUNTIME_DIR to a directory of yours with a short path",
        })?;
        drop(tokio::task::spawn_local(bound.serve(uid, calls_tx)));
    }
    let executions = setup.state.clone().map(|state| Executions::new(state, done_tx));
    let mut warden = Warden::new(setup, executions)?;
    let exits = exit_descriptor(&warden)?;
    let mut watchdog = interval(notify::watchdog().unwrap_or(Duration::from_secs(3600)));
    watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
    warden.settle();
    notify::ready(&status::line(&warden));
    info!("watching {} of interest", warden.tracker.judgements().count());
    loop {
        if let Some(served) = http.follow(warden.listen()) {
            warden.served(served);
        }
        let wake = warden.next_wake();
        // One timer of our own: tokio's wakes us up to three times on its way to a moment seconds ahead.
        let sleep = if warden.wake_at(wake) { None } else { Some(instant(&warden, wake)) };
        let sleep = [sleep, http.next()].into_iter().flatten().min();
        tokio::select! {
            () = at(sleep) => warden.wake(),
            () = readable(exits.as_ref()) => warden.exits(),
            Some(done) = done.recv() => warden.done(&done),
            Some((request, answer)) = calls.recv() => {
                // A client that went away needs no answer.
                let _ = answer.send(warden.answer(&request));
            }
            what = signals.next() => match what {
                What::Stop => break,
                What::Reload => drop(warden.reload()),
                What::Sweep => warden.sweep(),
                What::Child => warden.collect(),
            },
            _ = watchdog.tick() => {
                if warden.is_well() {
                    notify::alive();
                }
            }
        }
    }
    http.stop();
    // Clients are told that we stop instead of being left to wait.
    drop(calls);
    stop(warden, done).await;
    Ok(())
}

/// Waits for what is being ended, within a bound, then hands it back.
async fn stop<H: Host>(mut warden: Warden<H>, mut done: mpsc::UnboundedReceiver<execution::Done>) {
    notify::stopping();
    warden.stop();
    let running = warden.running();
    if running > 0 {
        info!("stopping: waiting for processes that are being ended");
    }
    for limit in [STOP_LIMIT, HAND_BACK_LIMIT] {
        let mut until = pin!(tokio::time::sleep(limit));
        while warden.running() > 0 {
            tokio::select! {
                Some(done) = done.recv() => warden.done(&done),
                () = &mut until => break,
            }
        }
        warden.hand_back();
    }
    warden.settle();
    warden.close();
    info!("stopped");
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// When the monotonic clock will show `at`.
fn instant<H: Host>(warden: &Warden<H>, at: Duration) -> Instant {
    Instant::now() + at.saturating_sub(warden.clock().monotonic)
}

fn exit_descriptor<H: Host>(warden: &Warden<H>) -> Result<Option<AsyncFd<OwnedFd>>, ServiceError> {
    let Some(fd) = warden.tracker.exit_descriptor() else { return Ok(None) };
    #[expect(deprecated, reason = "for an `OwnedFd` it is as sound as the one that succeeds it")]
    // For reading only: a kqueue can be watched for nothing else.
    let watched = fd.try_clone_to_owned().and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE));
    let hint = "raise the limit of open files";
    watched.map(Some).map_err(|source| ServiceError::Io { what: "wait for processes".into(), source, hint })
}

/// Resolves when a watched process has exited, or it is time to wake. Readiness is cleared before the exits are taken in, so that none
/// is lost in between.
async fn readable(exits: Option<&AsyncFd<OwnedFd>>) {
    match exits {
        Some(exits) => match exits.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

enum What {
    Stop,
    Reload,
    Sweep,
    Child,
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr1: Signal,
    chld: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServiceError> {
        let take = |kind| {
            signal(kind).map_err(|source| ServiceError::Io {
                what: "take signals".into(),
                source,
                hint: "raise the limit of open files",
            })
        };
        Ok(Self {
            term: take(SignalKind::terminate())?,
            int: take(SignalKind::interrupt())?,
            hup: take(SignalKind::hangup())?,
            usr1: take(SignalKind::user_defined1())?,
            chld: take(SignalKind::child())?,
        })
    }

    async fn next(&mut self) -> What {
        tokio::select! {
            _ = self.term.recv() => What::Stop,
            _ = self.int.recv() => What::Stop,
            _ = self.hup.recv() => What::Reload,
            _ = self.usr1.recv() => What::Sweep,
            _ = self.chld.recv() => What::Child,
        }
    }
}
