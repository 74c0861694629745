//! The service without its event loop: what each event leads to. Nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, Scope};
use tracing::{debug, error, info, warn};

use super::execution::Executions;
use super::outputs::Outputs;
use super::pause::Pause;
use super::troubles::Troubles;
use super::{logs, notify, status};
use crate::config::{ConfigError, Settings};
use crate::doctor::{Check, Level, namespace};
use crate::report::status::Totals;
use reaper_engine::context::Ground;
use reaper_engine::sightings::Sightings;
use reaper_engine::state_dir::StateDir;
use reaper_engine::tracker::{Event, Tracker};

mod answers;
mod deeds;

/// How late a look may be before the service is called unwell, beside two intervals.
const LATE: Duration = Duration::from_secs(5);

/// Reads the config.
pub type Load = Box<dyn Fn() -> Result<Arc<Settings>, ConfigError>>;

/// What the service is to do, and where.
pub struct Setup<H> {
    /// The machine.
    pub host: Arc<H>,
    /// Whose processes.
    pub scope: Scope,
    /// The settings to begin with.
    pub settings: Arc<Settings>,
    /// Reads them again.
    pub load: Load,
    /// Where sightings and history are; `None` in a dry run, which writes nothing.
    pub state: Option<StateDir>,
    /// Where the pause is; `None` in a dry run.
    pub runtime: Option<StateDir>,
    /// Whether each tick is compared with the first tick of a fresh tracker.
    pub is_paranoid: bool,
    /// How long one process may take to be read.
    pub limit: Duration,
    /// What a look at the machine, our rights and our sandbox found.
    pub checks: Vec<Check>,
}

/// The looks around so far.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub(super) count: u64,
    pub(super) failed: u64,
    pub(super) last: Option<Clock>,
    pub(super) last_success: Option<Clock>,
    pub(super) last_took: Duration,
    /// Whether the last one failed.
    pub(super) failing: bool,
}

/// The service without its event loop.
pub struct Warden<H: Host> {
    pub(super) setup: Setup<H>,
    pub(super) tracker: Tracker<H>,
    pub(super) executions: Option<Executions>,
    pub(super) started: Clock,
    pub(super) loaded: Clock,
    pub(super) config_error: Option<String>,
    pub(super) looks: Looks,
    pub(super) totals: Totals,
    pub(super) troubles: Troubles,
    pub(super) pause: Option<Pause>,
    pub(super) outputs: Outputs,
    pub(super) next_tick: Duration,
    /// Not before this moment is anything ended: the last attempt could not begin.
    retry_at: Duration,
    is_stopping: bool,
    saved: Sightings,
    save_again_at: Duration,
    status: String,
}

impl<H: Host> Warden<H> {
    /// Takes the first look.
    ///
    /// # Errors
    /// When processes cannot be listed or waited for.
    pub fn new(setup: Setup<H>, executions: Option<Executions>) -> Result<Self, HostError> {
        let (host, here) = (Arc::clone(&setup.host), setup.host.here());
        let started = host.clock();
        let mut troubles = Troubles::default();
        setup.checks.iter().for_each(complain);
        let mut sightings = Sightings::default();
        if let Some(state) = &setup.state {
            let (loaded, warning) = Sightings::load(state, here, &started, true);
            sightings = loaded;
            if let Some(what) = warning {
                warn!("{what}");
                troubles.note(&what, &started);
            }
        }
        let pause = setup.runtime.as_ref().and_then(|runtime| Pause::load(runtime, here, &started));
        let ground = Ground::new(host, setup.settings.policy(), setup.scope);
        let tracker = Tracker::start(&ground, sightings.clone(), setup.limit)?;
        if let Some(check) = namespace::check(here.pid, tracker.view().lonely.as_ref()) {
            complain(&check);
        }
        let now = setup.host.clock();
        let looks = Looks {
            count: 1,
            last: Some(now),
            last_success: Some(now),
            last_took: now.monotonic.saturating_sub(started.monotonic),
            ..Looks::default()
        };
        logs::warnings(&setup.settings);
        let outputs = Outputs::new(&setup.settings, &started, setup.state.is_some());
        outputs.metrics.swept(looks.last_took, true);
        Ok(Self {
            outputs,
            next_tick: now.monotonic + tracker.ground().policy.interval,
            loaded: started,
            config_error: None,
            looks,
            totals: Totals::default(),
            troubles,
            pause,
            retry_at: Duration::ZERO,
            is_stopping: false,
            saved: sightings,
            save_again_at: Duration::ZERO,
            status: String::new(),
            executions,
            tracker,
            started,
            setup,
        })
    }

    /// When something is to be done without being asked, on the monotonic clock.
    pub fn next_wake(&self) -> Duration {
        let mut wake = self.next_tick;
        if let Some(next) = self.tracker.next() {
            wake = wake.min(next);
        }
        if let Some(Pause::Until(end)) = self.pause {
            wake = wake.min(end);
        }
        if let Some(due) = self.outputs.textfile.due() {
            wake = wake.min(due);
        }
        wake
    }

    /// Lets the descriptor of the tracker's waiter tell when it is time to wake; says whether it will.
    pub fn wake_at(&mut self, at: Duration) -> bool {
        self.tracker.wake_at(at)
    }

    /// Does what is due.
    pub fn wake(&mut self) {
        let clock = self.clock();
        if self.pause.is_some_and(|pause| pause.is_over(&clock)) {
            info!("the pause is over");
            self.set_pause(None);
        }
        if clock.monotonic >= self.next_tick {
            self.tick();
        }
        self.tracker.look_again();
        self.settle();
    }

    /// Looks around, at once.
    pub fn tick(&mut self) {
        let before = self.clock();
        let result = self.tracker.tick();
        let after = self.clock();
        self.next_tick = after.monotonic + self.tracker.ground().policy.interval;
        self.looks.count += 1;
        self.looks.last = Some(after);
        self.looks.last_took = after.monotonic.saturating_sub(before.monotonic);
        self.outputs.metrics.swept(self.looks.last_took, result.is_ok());
        self.outputs.textfile.changed();
        match result {
            Ok(()) => {
                if self.looks.failing {
                    info!("processes can be listed again");
                }
                self.looks.last_success = Some(after);
                self.looks.failing = false;
                if self.setup.is_paranoid {
                    self.compare();
                }
            }
            Err(e) => {
                self.looks.failed += 1;
                self.trouble(&format!("{e}; nothing is ended before a look succeeds"));
                self.looks.failing = true;
            }
        }
    }

    fn compare(&mut self) {
        match self.tracker.differences() {
            Ok(differences) => {
                for difference in differences {
                    self.trouble(&format!("a stateless look comes to another verdict: {difference}"));
                }
            }
            Err(e) => self.trouble(&e.to_string()),
        }
    }

    /// Takes in that watched processes have ended, or that it is time to wake.
    pub fn exits(&mut self) {
        if let Err(e) = self.tracker.exits() {
            self.trouble(&e.to_string());
        }
        if self.next_wake() <= self.clock().monotonic {
            self.wake();
        } else {
            self.settle();
        }
    }

    /// After every event: tells what happened, remembers it, and ends whoever is to be ended.
    pub fn settle(&mut self) {
        for event in self.tracker.events() {
            self.outputs.textfile.changed();
            match event {
                Event::Judged(judgement) => {
                    self.outputs.metrics.judged(&judgement);
                    self.totals.noticed += u64::from(judgement.is_orphan() && judgement.seen_for.is_zero());
                    logs::judged(&judgement);
                }
                Event::Gone(id) => debug!(pid = id.pid.get(), "pid {} is of no interest any more", id.pid),
            }
        }
        self.save();
        self.act();
        let line = status::line(self);
        if line != self.status {
            notify::status(&line);
            self.status = line;
        }
        self.publish();
    }

    /// As PID 1 of a container we get what others leave behind, and nobody else collects it once it has ended.
    pub fn collect(&mut self) {
        if self.setup.host.here().pid == Pid::INIT {
            let count = self.setup.host.collect();
            debug!("collected {count}");
        }
    }

    /// Whether the last look succeeded, and was not too long ago.
    pub fn is_well(&self) -> bool {
        let allowed = self.tracker.ground().policy.interval * 2 + LATE;
        let age = |last: Clock| self.clock().monotonic.saturating_sub(last.monotonic);
        !self.looks.failing && self.looks.last_success.is_some_and(|last| age(last) <= allowed)
    }

    pub(super) fn trouble(&mut self, what: &str) {
        let clock = self.clock();
        if self.troubles.note(what, &clock) {
            error!("{what}");
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.setup.host.clock()
    }
}

/// Says at the start what will not work, or not as well as it should.
fn complain(check: &Check) {
    let Check { name, what, .. } = check;
    let hint = check.hint.as_deref().unwrap_or_default();
    match check.level {
        Level::Fail => error!(check = name, "{name}: {what}\nhint: {hint}"),
        Level::Warn => warn!(check = name, "{name}: {what}\nhint: {hint}"),
        Level::Ok | Level::Skipped => debug!(check = name, "{name}: {what}"),
    }
}
