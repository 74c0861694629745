//! The service: detects orphans as they become orphans, and ends them when their grace is over.
//!
//! One thread waits for all events: the next tick, the end of a grace, the exit of a watched process, a request on the
//! socket, a signal. `controller` handles them; the engine's tracker has the state of the processes; `worker` ends them
//! on threads of its own. `publish` and `control_socket` report the plain values of `snapshot`, and do not depend on
//! the controller.

mod audit_sink;
mod call;
mod control_socket;
mod controller;
pub mod lock;
mod pause;
pub mod protocol;
pub mod publish;
mod recent_errors;
mod sd_notify;
pub mod setup;
pub mod snapshot;
mod worker;
mod zombies;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use reaper_engine::failure::Failure;
use reaper_platform::Host;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::info;

use control_socket::Socket;
use controller::Controller;
use publish::http::Http;
use setup::Setup;
use worker::{Done, Worker};

/// How long a stop waits for targets to exit; after that no more signals are sent.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long the worker threads may then take to finish.
const HAND_BACK_LIMIT: Duration = Duration::from_secs(5);

const RAISE: &str = "raise the limit of open files";

/// Runs until SIGTERM or SIGINT. `socket` is where the control socket is to be; `None` for none. Call it under
/// the service's lock.
///
/// # Errors
/// When it cannot start. Later errors are logged, and the service goes on.
pub fn run<H: Host>(setup: Setup<H>, socket: Option<PathBuf>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("cannot start the event loop").because(e).hint(RAISE))?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(setup, socket))
}

async fn serve<H: Host>(setup: Setup<H>, socket: Option<PathBuf>) -> Result<(), Failure> {
    // Signal handlers first: a signal during the first sweep must not be lost.
    let mut signals = Signals::new()?;
    let (done_tx, mut done) = mpsc::unbounded_channel();
    let (calls_tx, mut calls) = mpsc::channel(1);
    let uid = setup.host.info().uid.0;
    let mut http = Http::new(calls_tx.clone());
    if let Some(path) = socket {
        let bound = Socket::bind(&path).map_err(|e| {
            let hint =
                "remove what is there, or set XDG_RUNTIME_DIR to a directory of yours with a short path";
            Failure::new("cannot bind the control socket").at(path).because(e).hint(hint)
        })?;
        drop(tokio::task::spawn_local(bound.serve(uid, calls_tx)));
    }
    let worker = setup.state.clone().map(|state| Worker::new(state, done_tx));
    let mut controller = Controller::new(setup, worker)?;
    let exits = exit_descriptor(&controller)?;
    let mut watchdog = interval(sd_notify::watchdog().unwrap_or(Duration::from_secs(3600)));
    watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
    controller.settle();
    sd_notify::ready(controller.status_line());
    info!("watching {} of interest", controller.tracked());
    loop {
        if let Some(served) = http.follow(controller.listen()) {
            controller.served(served);
        }
        let wake = controller.next_wake();
        // A timer of our own: tokio's wakes up to three times for a deadline some seconds ahead.
        let sleep =
            if controller.wake_at(wake) { None } else { Some(Instant::now() + controller.until(wake)) };
        let sleep = [sleep, http.next()].into_iter().flatten().min();
        tokio::select! {
            () = at(sleep) => controller.wake(),
            () = readable(exits.as_ref()) => controller.exits(),
            Some(done) = done.recv() => controller.done(&done),
            Some(call) = calls.recv() => controller.answer(call),
            what = signals.next() => match what {
                What::Stop => break,
                What::Reload => drop(controller.reload()),
                What::Sweep => controller.sweep(),
                What::Child => controller.collect(),
            },
            _ = watchdog.tick() => {
                if controller.is_well() {
                    sd_notify::alive();
                }
            }
        }
    }
    http.stop();
    // Waiting clients get an answer that the service stops.
    drop(calls);
    stop(controller, done).await;
    Ok(())
}

/// Waits for targets to exit, within a time limit, then makes the worker stop.
async fn stop<H: Host>(mut controller: Controller<H>, mut done: mpsc::UnboundedReceiver<Done>) {
    sd_notify::stopping();
    controller.stop();
    if controller.is_ending() {
        info!("stopping: waiting for processes that are being ended");
    }
    for limit in [STOP_LIMIT, HAND_BACK_LIMIT] {
        let mut until = pin!(tokio::time::sleep(limit));
        while controller.is_ending() {
            tokio::select! {
                Some(done) = done.recv() => controller.done(&done),
                () = &mut until => break,
            }
        }
        controller.hand_back();
    }
    controller.settle();
    controller.close();
    info!("stopped");
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn exit_descriptor<H: Host>(controller: &Controller<H>) -> Result<Option<AsyncFd<OwnedFd>>, Failure> {
    let Some(fd) = controller.exit_descriptor() else { return Ok(None) };
    #[expect(deprecated, reason = "for an `OwnedFd` it is as sound as the one that succeeds it")]
    // For reading only: a kqueue supports no other interest.
    let watched = fd.try_clone_to_owned().and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE));
    watched.map(Some).map_err(|e| Failure::new("cannot wait for processes").because(e).hint(RAISE))
}

/// Resolves when a watched process has exited, or the timer has expired. Readiness is cleared before exits are read, so
/// that none is lost.
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
    fn new() -> Result<Self, Failure> {
        let take =
            |kind| signal(kind).map_err(|e| Failure::new("cannot take signals").because(e).hint(RAISE));
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
