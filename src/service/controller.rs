//! The service without its event loop: handles each event. Nothing here blocks.
//!
//! Every event ends in [`Controller::settle`]: what the tracker found is published and saved, and due orphans are
//! passed to the worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid};
use tracing::{debug, error, info, warn};

use super::audit_sink::AuditSink;
use super::call::{Answer, Call};
use super::pause::Pause;
use super::protocol::{Command, Request};
use super::publish::{Publishers, log, status};
use super::recent_errors::RecentErrors;
use super::sd_notify;
use super::setup::Setup;
use super::snapshot::{self, ConfigInfo, Instance, Overview, Snapshot, Sweeps};
use super::worker::{Done, Job, Worker};
use super::zombies::Zombies;
use crate::report::check::{Check, Level};
use crate::report::status::{Totals, not_ready};
use reaper_engine::context::Context;
use reaper_engine::sightings::Sightings;
use reaper_engine::tracker::{Event, Tracker};
use reaper_engine::visibility::VisibilityProblem;

/// How late a sweep may be, beyond two intervals, before the service counts as failing.
const LATE: Duration = Duration::from_secs(5);
/// Delay before the next attempt after another reaper held the lock, or the history could not be written.
const RETRY: Duration = Duration::from_secs(5);

/// The service without its event loop.
pub struct Controller<H: Host> {
    setup: Setup<H>,
    tracker: Tracker<H>,
    /// `None` in a dry run.
    worker: Option<Worker>,
    publishers: Publishers,
    started: Clock,
    loaded: Clock,
    config_error: Option<String>,
    sweeps: Sweeps,
    totals: Totals,
    errors: RecentErrors,
    pause: Option<Pause>,
    zombies: Zombies,
    next_tick: Duration,
    /// Nothing is ended before this time (monotonic clock), because the last attempt failed to begin.
    retry_at: Duration,
    is_stopping: bool,
    saved: Sightings,
    save_again_at: Duration,
    status_line: String,
}

impl<H: Host> Controller<H> {
    /// Starts the tracker, which makes the first sweep.
    ///
    /// # Errors
    /// When processes cannot be listed or waited for.
    pub fn new(setup: Setup<H>, worker: Option<Worker>) -> Result<Self, HostError> {
        let (host, here) = (Arc::clone(&setup.host), setup.host.info());
        let started = host.clock();
        let mut errors = RecentErrors::default();
        setup.checks.iter().for_each(log::checked);
        let mut sightings = Sightings::default();
        if let Some(state) = &setup.state {
            let (loaded, warning) = Sightings::load(state, here, &started, true);
            sightings = loaded;
            if let Some(what) = warning {
                warn!("{what}");
                errors.note(&what, &started);
            }
        }
        let pause = setup.runtime.as_ref().and_then(|runtime| Pause::load(runtime, here, &started));
        let context = Context::new(host, setup.settings.policy(), setup.scope);
        let tracker = Tracker::start(&context, sightings.clone(), setup.limit)?;
        if let Some(check) = Check::namespace(here.pid, tracker.view().visibility_problem.as_ref()) {
            log::checked(&check);
        }
        let now = setup.host.clock();
        let sweeps = Sweeps {
            count: 1,
            last: Some(now),
            last_success: Some(now),
            last_took: now.monotonic.saturating_sub(started.monotonic),
            ..Sweeps::default()
        };
        log::warnings(&setup.settings);
        let mut publishers = Publishers::new(&setup.settings, &started, setup.state.is_some());
        publishers.swept(sweeps.last_took, true);
        Ok(Self {
            next_tick: now.monotonic + tracker.context().policy.interval,
            tracker,
            worker,
            publishers,
            started,
            loaded: started,
            config_error: None,
            sweeps,
            totals: Totals::default(),
            errors,
            pause,
            zombies: Zombies::default(),
            retry_at: Duration::ZERO,
            is_stopping: false,
            saved: sightings,
            save_again_at: Duration::ZERO,
            status_line: String::new(),
            setup,
        })
    }

    /// When the next timed action is due, on the monotonic clock.
    pub fn next_wake(&self) -> Duration {
        let pause = match self.pause {
            Some(Pause::Until(end)) => Some(end),
            _ => None,
        };
        let others = [self.tracker.next(), pause, self.publishers.textfile_due()];
        others.into_iter().flatten().fold(self.next_tick, Duration::min)
    }

    /// Arms the tracker's descriptor to become readable at `at` (monotonic clock); returns whether it is supported.
    pub fn wake_at(&mut self, at: Duration) -> bool {
        self.tracker.wake_at(at)
    }

    /// The time left until a moment of the monotonic clock.
    pub fn until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.clock().monotonic)
    }

    /// The descriptor that becomes readable when a watched process has exited, if there is one.
    pub fn exit_descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.tracker.exit_descriptor()
    }

    /// The line that `systemctl status` shows.
    pub fn status_line(&self) -> &str {
        &self.status_line
    }

    /// The number of judged processes.
    pub fn tracked(&self) -> usize {
        self.tracker.judgements().count()
    }

    // Timed actions and process exits.

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

    /// Handles exits of watched processes, and wake-ups by the descriptor.
    pub fn exits(&mut self) {
        if let Err(e) = self.tracker.exits() {
            self.note_error(&e.to_string());
        }
        if self.next_wake() <= self.clock().monotonic {
            self.wake();
        } else {
            self.settle();
        }
    }

    /// Makes a sweep at once, for `reaper sweep` and SIGUSR1.
    pub fn sweep(&mut self) {
        self.tick();
        self.tracker.look_again();
        self.settle();
    }

    /// Reaps ended children. As PID 1 of a container we adopt all orphans, and must reap them.
    pub fn collect(&mut self) {
        if self.setup.host.info().pid == Pid::INIT {
            let count = self.setup.host.reap_children();
            debug!("collected {count}");
        }
    }

    fn tick(&mut self) {
        let before = self.clock();
        let result = self.tracker.tick();
        let after = self.clock();
        self.next_tick = after.monotonic + self.tracker.context().policy.interval;
        self.sweeps.count += 1;
        self.sweeps.last = Some(after);
        self.sweeps.last_took = after.monotonic.saturating_sub(before.monotonic);
        self.publishers.swept(self.sweeps.last_took, result.is_ok());
        match result {
            Ok(()) => {
                if self.sweeps.is_failing {
                    info!("processes can be listed again");
                }
                self.sweeps.last_success = Some(after);
                self.sweeps.is_failing = false;
                if self.setup.is_paranoid {
                    self.compare();
                }
            }
            Err(e) => {
                self.sweeps.failed += 1;
                self.note_error(&format!("{e}; nothing is ended before a sweep succeeds"));
                self.sweeps.is_failing = true;
            }
        }
    }

    fn compare(&mut self) {
        match self.tracker.differences() {
            Ok(differences) => {
                for difference in differences {
                    self.note_error(&format!("a stateless sweep comes to another verdict: {difference}"));
                }
            }
            Err(e) => self.note_error(&e.to_string()),
        }
    }

    // The common end of every event.

    /// Called after every event: publishes and saves what the tracker found, and passes due orphans to the worker.
    pub fn settle(&mut self) -> Overview {
        for event in self.tracker.events() {
            match event {
                Event::Judged(judgement) => {
                    self.totals.noticed += u64::from(judgement.is_orphan() && judgement.seen_for.is_zero());
                    self.publishers.judged(&judgement);
                }
                Event::Gone(id) => {
                    debug!(pid = id.pid.get(), "pid {} is of no interest any more", id.pid);
                    self.publishers.changed();
                }
            }
        }
        self.save();
        self.act();
        let overview = self.overview();
        let line = status::line(&overview);
        if line != self.status_line {
            sd_notify::status(&line);
            self.status_line = line;
        }
        self.write_textfile(&overview);
        overview
    }

    /// Saves sightings. New ones are saved at once; removals can wait for the next interval, since nothing depends on
    /// them.
    fn save(&mut self) {
        let Some(state) = &self.setup.state else { return };
        let (clock, here) = (self.clock(), self.setup.host.info());
        let sightings = &self.tracker.sightings;
        let is_due = sightings.has_more_than(&self.saved) || clock.monotonic >= self.save_again_at;
        if *sightings == self.saved || !is_due {
            return;
        }
        self.save_again_at = clock.monotonic + self.tracker.context().policy.interval;
        // The directory may have been removed meanwhile.
        let saved = sightings.save(state, here, &clock).or_else(|e| {
            state.restore().map_err(|_| e)?;
            sightings.save(state, here, &clock)
        });
        match saved {
            Ok(()) => self.saved = sightings.clone(),
            Err(e) => {
                self.note_error(&format!(
                    "{e}\n(a restart would count every orphan as seen for the first time)"
                ));
            }
        }
    }

    /// Passes due orphans to the worker.
    fn act(&mut self) {
        let now = self.clock().monotonic;
        let is_held = self.pause.is_some()
            || self.is_stopping
            || self.sweeps.is_failing
            || self.setup.host.info().cannot_signal.is_some();
        let (false, Some(worker), Some(state)) = (is_held, &mut self.worker, &self.setup.state) else {
            self.tracker.put_off(now + self.tracker.context().policy.interval);
            return;
        };
        if now < self.retry_at {
            self.tracker.put_off(self.retry_at);
            return;
        }
        let plan = Arc::new(self.tracker.plan());
        if plan.targets.is_empty() {
            return;
        }
        let waiting = self.tracker.deferred();
        if waiting > 0 {
            info!("ending {} now; {waiting} wait for them (max-targets)", plan.targets.len());
        }
        let job = Job {
            context: self.tracker.context().clone(),
            plan: Arc::clone(&plan),
            judged: self.tracker.judged(),
            sightings: self.tracker.sightings.clone(),
        };
        let started = worker.lock().and_then(|lock| worker.start(job, lock, AuditSink::open(state)?));
        if let Err(e) = started {
            self.tracker.ended(&plan, &[]);
            self.retry_at = now + RETRY;
            self.tracker.put_off(self.retry_at);
            self.note_error(&e.to_string());
        }
    }

    /// Handles the result of a plan.
    pub fn done(&mut self, done: &Done) {
        if let Some(worker) = &mut self.worker {
            worker.finished(&done.plan);
        }
        self.publishers.ended(&done.ended);
        for ended in &done.ended {
            self.totals.add(ended.outcome, ended.target.rss_bytes);
        }
        if let Some(what) = &done.error {
            self.note_error(what);
            self.retry_at = self.clock().monotonic + RETRY;
        }
        self.tracker.ended(&done.plan, &done.ended);
        if done.error.is_some() {
            self.tracker.put_off(self.retry_at);
        }
        self.tracker.look_again();
        self.settle();
    }

    // Commands of clients, and signals.

    /// Answers a request of a client.
    pub fn answer(&mut self, call: Call) {
        // Sending fails when the client has disconnected; then no answer is needed.
        match call {
            Call::Command(request, answer) => {
                let error = self.carry_out(&request);
                let overview = self.settle();
                let snapshot = Box::new(self.snapshot(overview));
                drop(answer.send(Answer { error, snapshot }));
            }
            Call::Metrics(answer) => {
                let overview = self.settle();
                drop(answer.send(self.metrics(&overview)));
            }
            Call::Readiness(answer) => {
                let Overview { visibility, failed_checks, is_ready, .. } = self.settle();
                let visibility_problem = visibility.visibility_problem.as_ref().map(VisibilityProblem::what);
                let why = not_ready(
                    visibility.blind,
                    visibility_problem.as_deref(),
                    !failed_checks.is_empty(),
                    is_ready,
                );
                drop(answer.send(why.map(str::to_owned)));
            }
        }
    }

    /// Carries out a command; returns the error, if any.
    fn carry_out(&mut self, request: &Request) -> Option<String> {
        match request.command {
            Command::Status | Command::Metrics => None,
            Command::Pause => match request.for_s.map(Duration::try_from_secs_f64).transpose() {
                Ok(time) => {
                    let pause = Pause::from(time, &self.clock());
                    info!("paused: nothing is ended");
                    self.hand_back();
                    self.set_pause(Some(pause))
                }
                Err(e) => Some(format!("for_s: {e}")),
            },
            Command::Resume => {
                info!("resumed");
                self.set_pause(None)
            }
            Command::Sweep => {
                self.sweep();
                self.sweeps.is_failing.then(|| "processes cannot be listed".to_owned())
            }
            Command::Reload => self.reload(),
        }
    }

    /// Begins or ends a pause; returns an error if it could not be saved, and so would not outlive a restart.
    fn set_pause(&mut self, pause: Option<Pause>) -> Option<String> {
        self.pause = pause;
        self.publishers.changed();
        let now = self.clock().monotonic;
        self.tracker.due_at(now);
        self.tracker.look_again();
        let runtime = self.setup.runtime.as_ref()?;
        Pause::save(pause, runtime, self.setup.host.info()).err().map(|e| e.to_string())
    }

    /// Reads the config again. An invalid one changes nothing, and its error is returned.
    pub fn reload(&mut self) -> Option<String> {
        sd_notify::reloading();
        let loaded = (self.setup.load)().map_err(|e| e.to_string()).and_then(|settings| {
            let host = Arc::clone(&self.setup.host);
            let context = Context::new(host, settings.policy(), self.setup.scope);
            self.tracker.reload(context).map_err(|e| e.to_string())?;
            self.setup.settings = settings;
            Ok(())
        });
        self.config_error = loaded.err();
        self.publishers.changed();
        match &self.config_error {
            None => {
                self.loaded = self.clock();
                self.next_tick = self.loaded.monotonic + self.tracker.context().policy.interval;
                let settings = &self.setup.settings;
                log::set_levels(&settings.outputs().log_level().filter());
                self.publishers.follow(settings);
                info!("the config was read again");
                log::warnings(settings);
            }
            Some(e) => {
                let what = format!("the new config is refused, and the old one stays in force: {e}");
                self.note_error(&what);
            }
        }
        self.settle();
        sd_notify::ready(&self.status_line);
        self.config_error.clone()
    }

    // State for publishers and clients.

    /// Counts and states; made after every event, without an allocation for each process.
    fn overview(&self) -> Overview {
        let visibility = self.tracker.view();
        let failed = self.setup.checks.iter().filter(|check| check.level == Level::Fail);
        let failed_checks: Vec<&'static str> = failed.map(|check| check.name).collect();
        let sees_all = !visibility.blind && visibility.visibility_problem.is_none();
        Overview {
            verdicts: snapshot::count(self.tracker.judgements()),
            totals: self.totals,
            ending: self.worker.as_ref().map_or(0, Worker::left),
            is_ready: self.is_well() && sees_all && failed_checks.is_empty(),
            visibility,
            sweeps: self.sweeps,
            failed_checks,
            is_paused: self.pause.is_some(),
            is_config_refused: self.config_error.is_some(),
        }
    }

    /// The full state, made when a client asks.
    fn snapshot(&self, overview: Overview) -> Snapshot {
        let at = self.clock();
        let here = self.setup.host.info();
        let (settings, policy) = (&self.setup.settings, &self.tracker.context().policy);
        let plans = self.worker.iter().flat_map(Worker::running);
        let targets: Vec<_> = plans.flat_map(|plan| &plan.targets).cloned().collect();
        let seen_for = |id: &_| self.tracker.sightings.seen_for(id, &at);
        let (judgements, omitted) = snapshot::judged(self.tracker.judgements(), seen_for, &targets);
        Snapshot {
            instance: Instance {
                pid: here.pid,
                scope: self.setup.scope,
                started: self.started,
                start_clock: here.start_clock,
            },
            overview,
            pause: self.pause,
            config: ConfigInfo {
                files: settings.files().to_vec(),
                loaded: self.loaded,
                error: self.config_error.clone(),
                warnings: settings.warnings().iter().map(ToString::to_string).collect(),
                profiles: policy.profiles.iter().map(|profile| profile.name.to_string()).collect(),
                interval: policy.interval,
                grace: policy.grace,
                term_timeout: policy.term_timeout,
            },
            checks: self.setup.checks.clone(),
            next_sweep_in: self.next_tick.saturating_sub(at.monotonic),
            judgements,
            omitted,
            waiting: snapshot::waiting(self.tracker.judgements(), seen_for),
            targets,
            errors: self.errors.iter().cloned().collect(),
            metrics: self.publishers.outputs(),
            at,
        }
    }

    fn metrics(&mut self, now: &Overview) -> Result<String, String> {
        let zombies = self.zombies.count(&*self.setup.host, self.tracker.adopted());
        self.publishers.metrics(now, zombies)
    }

    /// Writes the textfile of the metrics, if it is due.
    fn write_textfile(&mut self, overview: &Overview) {
        let now = self.clock().monotonic;
        if self.publishers.textfile_due().is_none_or(|due| due > now) {
            return;
        }
        let text = self.metrics(overview).unwrap_or_default();
        if let Some(what) = self.publishers.write_textfile(&text, now) {
            self.note_error(&what);
        }
    }

    /// The configured address to serve the metrics on.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.publishers.listen()
    }

    /// Handles the result of listening on the address of the metrics.
    pub fn served(&mut self, result: Result<Option<SocketAddr>, String>) {
        if let Some(what) = self.publishers.served(result) {
            self.note_error(&what);
        }
    }

    /// Whether the last sweep succeeded, and was not too long ago.
    pub fn is_well(&self) -> bool {
        let allowed = self.tracker.context().policy.interval * 2 + LATE;
        let age = |last: Clock| self.clock().monotonic.saturating_sub(last.monotonic);
        !self.sweeps.is_failing && self.sweeps.last_success.is_some_and(|last| age(last) <= allowed)
    }

    // Stopping.

    /// Starts no new plan from now on.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Makes the worker send no more signals; targets that still run are reported as interrupted.
    pub fn hand_back(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.hand_back();
        }
    }

    /// Whether plans are being carried out.
    pub fn is_ending(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| !worker.running().is_empty())
    }

    /// Removes the textfile of the metrics, which would be stale. The last call.
    pub fn close(&mut self) {
        self.publishers.close();
    }

    fn note_error(&mut self, what: &str) {
        let clock = self.clock();
        if self.errors.note(what, &clock) {
            error!("{what}");
        }
    }

    fn clock(&self) -> Clock {
        self.setup.host.clock()
    }
}
