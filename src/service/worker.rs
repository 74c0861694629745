//! Carries out plans outside of the event loop: each on a thread of its own, under the lock that only one reaper can
//! hold, so that the service goes on tracking while it waits for processes to exit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use reaper_platform::Host;
use tokio::sync::mpsc::UnboundedSender;

use reaper_engine::audit::record::Account;
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::failure::Failure;
use reaper_engine::sightings::Sightings;
use reaper_engine::state_dir::{ActLock, StateDir};
use reaper_engine::sweep;
use reaper_engine::terminate::Watcher;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;

/// A plan with the data that it was made from.
pub struct Job<H: Host> {
    /// The host, the settings and our own process.
    pub context: Context<H>,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The judgement of each process of interest.
    pub judged: Vec<Judgement>,
    /// When each of them was first seen orphaned.
    pub sightings: Sightings,
}

/// The result of a plan.
pub struct Done {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The outcomes of its targets; empty when it could not be begun.
    pub ended: Vec<Ended>,
    /// Why it was not carried out completely, if it was not.
    pub error: Option<String>,
}

/// Starts the threads, and keeps the list of running plans.
pub struct Worker {
    state: StateDir,
    /// Held as long as any of the threads runs; a `reaper scan` waits until it is free.
    lock: Weak<ActLock>,
    stop: Arc<AtomicBool>,
    left: Arc<AtomicUsize>,
    running: Vec<Arc<Plan>>,
    done: UnboundedSender<Done>,
}

impl Worker {
    /// A worker that reports results to `done`.
    pub fn new(state: StateDir, done: UnboundedSender<Done>) -> Self {
        Self {
            state,
            lock: Weak::new(),
            stop: Arc::default(),
            left: Arc::default(),
            running: Vec::new(),
            done,
        }
    }

    /// Takes the lock to end processes; threads that run at the same time share it.
    ///
    /// # Errors
    /// When another reaper is ending processes, or the state directory cannot be used.
    pub fn lock(&mut self) -> Result<Arc<ActLock>, Failure> {
        // The directory may have been removed meanwhile.
        self.state.restore()?;
        if let Some(lock) = self.lock.upgrade() {
            return Ok(lock);
        }
        let lock = self.state.lock_to_act(Duration::ZERO)?.ok_or_else(|| self.state.busy())?;
        let lock = Arc::new(lock);
        self.lock = Arc::downgrade(&lock);
        Ok(lock)
    }

    /// Starts to carry out a plan, under [`Worker::lock`].
    ///
    /// # Errors
    /// When no thread can be started; then nothing was done.
    pub fn start<H: Host>(
        &mut self,
        job: Job<H>,
        lock: Arc<ActLock>,
        mut account: impl Account + Send + 'static,
    ) -> Result<(), Failure> {
        let plan = Arc::clone(&job.plan);
        let mut progress = Progress { stop: Arc::clone(&self.stop), left: Arc::clone(&self.left), mine: 0 };
        let done = self.done.clone();
        let work = move || {
            let Job { context, plan, judged, sightings } = job;
            let (ended, error) = sweep::end(
                &context,
                &plan,
                &judged,
                &sightings,
                &mut account,
                &mut progress,
                deadline::LIMIT,
            );
            progress.progress(0, 0);
            drop(lock);
            let error = error.map(|e| e.to_string());
            // The receiver is dropped only when the service has stopped waiting.
            let _ = done.send(Done { plan, ended, error });
        };
        // A panic in a thread ends the program (see `cli::report_bugs`): nothing is signalled after a bug.
        match std::thread::Builder::new().name("terminate".into()).spawn(work) {
            Ok(_) => {
                self.running.push(plan);
                Ok(())
            }
            Err(e) => {
                let what = Failure::new("cannot start a thread to write in").at(self.state.file(""));
                Err(what.because(e).hint("raise the limit of tasks"))
            }
        }
    }

    /// Removes a finished plan from the list.
    pub fn finished(&mut self, plan: &Arc<Plan>) {
        self.running.retain(|running| !Arc::ptr_eq(running, plan));
    }

    /// The running plans.
    pub fn running(&self) -> &[Arc<Plan>] {
        &self.running
    }

    /// The number of targets that have not ended yet.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Makes all threads send no more signals; targets that still run are reported as interrupted.
    pub fn hand_back(&mut self) {
        std::mem::take(&mut self.stop).store(true, Ordering::Relaxed);
    }
}

/// Adds up the remaining targets of all threads.
struct Progress {
    stop: Arc<AtomicBool>,
    left: Arc<AtomicUsize>,
    mine: usize,
}

impl Watcher for Progress {
    fn progress(&mut self, left: usize, _all: usize) {
        self.left.fetch_add(left, Ordering::Relaxed);
        self.left.fetch_sub(self.mine, Ordering::Relaxed);
        self.mine = left;
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
