//! Ending processes beside the loop: each sweep's plan on a thread of its own, so that the service goes on
//! seeing while it waits for the last one to exit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use reaper_platform::Host;
use tokio::sync::mpsc::UnboundedSender;

use super::logs;
use reaper_engine::audit::history::History;
use reaper_engine::audit::record::{Account, Record};
use reaper_engine::context::Ground;
use reaper_engine::deadline;
use reaper_engine::failure::Failure;
use reaper_engine::sightings::Sightings;
use reaper_engine::state_dir::{ActLock, StateDir};
use reaper_engine::sweep;
use reaper_engine::terminate::Watcher;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;

/// What became of one plan.
pub struct Done {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What became of its targets; empty when nothing could be begun.
    pub ended: Vec<Ended>,
    /// Why not all was done.
    pub trouble: Option<String>,
}

/// Carries plans out.
pub struct Executions {
    state: StateDir,
    /// Held as long as any thread ends processes; a `reaper scan` waits for its turn, and so do we.
    lock: Weak<ActLock>,
    stop: Arc<AtomicBool>,
    left: Arc<AtomicUsize>,
    running: usize,
    done: UnboundedSender<Done>,
}

impl Executions {
    /// Will report to `done`.
    pub fn new(state: StateDir, done: UnboundedSender<Done>) -> Self {
        Self { state, lock: Weak::new(), stop: Arc::default(), left: Arc::default(), running: 0, done }
    }

    /// Begins to carry out a plan.
    ///
    /// # Errors
    /// When another reaper is ending processes, or the history cannot be written. Nothing was done then.
    pub fn start<H: Host>(
        &mut self,
        ground: Ground<H>,
        plan: &Arc<Plan>,
        judged: Vec<Judgement>,
        sightings: Sightings,
    ) -> Result<(), Failure> {
        // Somebody may have removed the directory.
        self.state.restore()?;
        let lock = self.lock()?;
        let history = History::open(&self.state)?;
        let plan = Arc::clone(plan);
        let mut onlooker = Onlooker { stop: Arc::clone(&self.stop), left: Arc::clone(&self.left), mine: 0 };
        let done = self.done.clone();
        let work = move || {
            let mut journal = Journal { history, intents: HashMap::new() };
            let (ended, trouble) =
                sweep::end(&ground, &plan, &judged, &sightings, &mut journal, &mut onlooker, deadline::LIMIT);
            onlooker.progress(0, 0);
            drop(lock);
            let trouble = trouble.map(|e| e.to_string());
            // The receiver is gone only when the service has stopped waiting for us.
            let _ = done.send(Done { plan, ended, trouble });
        };
        // A panic in a thread ends the program (see `cli::report_bugs`): nothing is signalled after a bug.
        match std::thread::Builder::new().name("terminate".into()).spawn(work) {
            Ok(_) => {
                self.running += 1;
                Ok(())
            }
            Err(e) => {
                let what = Failure::new("cannot start a thread to write in").at(self.state.file(""));
                Err(what.because(e).hint("raise the limit of tasks"))
            }
        }
    }

    fn lock(&mut self) -> Result<Arc<ActLock>, Failure> {
        if let Some(lock) = self.lock.upgrade() {
            return Ok(lock);
        }
        let lock = self.state.lock_to_act(Duration::ZERO)?.ok_or_else(|| self.state.busy())?;
        let lock = Arc::new(lock);
        self.lock = Arc::downgrade(&lock);
        Ok(lock)
    }

    /// One has reported.
    pub fn finished(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// How many plans are being carried out.
    pub const fn running(&self) -> usize {
        self.running
    }

    /// How many targets have not ended yet.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// No more signals for what is being ended now: what has not ended is handed back.
    pub fn hand_back(&mut self) {
        std::mem::take(&mut self.stop).store(true, Ordering::Relaxed);
    }
}

struct Onlooker {
    stop: Arc<AtomicBool>,
    left: Arc<AtomicUsize>,
    mine: usize,
}

impl Watcher for Onlooker {
    fn progress(&mut self, left: usize, _all: usize) {
        self.left.fetch_add(left, Ordering::Relaxed);
        self.left.fetch_sub(self.mine, Ordering::Relaxed);
        self.mine = left;
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The history, and a line in the log for each outcome, with the whole account of the signals before it.
struct Journal {
    history: History,
    intents: HashMap<(i32, u64), Record>,
}

impl Account for Journal {
    fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        self.history.write(records)?;
        for record in records {
            let key = (record.pid, record.start_ticks);
            if record.outcome.is_some() {
                logs::ended(record, self.intents.remove(&key).as_ref());
            } else {
                self.intents.insert(key, record.clone());
            }
        }
        Ok(())
    }
}
