//! Ending processes: the only module in this program that sends signals.
//!
//! Every target is opened and judged again through that handle, the judgement is synced to the history, and only then
//! the signal is sent through the same handle. All targets are ended together, with one wait over all of them; a target
//! that has not exited in time is judged again before SIGKILL.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

mod account;
mod job;
pub mod outcome;
mod rejudge;
mod successors;
pub mod trouble;

pub use successors::successors;

use reaper_platform::{Clock, ExitWatcher, Host, HostError, Pid, ProcId, ProcessHandle, Signal, Why};

use crate::audit::record::{Account, Record};
use crate::context::Context;
use job::Job;
use outcome::Ended;
use reaper_policy::escalation::{Action, Event, Timeouts};
use reaper_policy::past::Past;
use reaper_policy::plan::{Role, Target};
use rejudge::Rejudge;
use trouble::Trouble;

/// How often a wait checks whether it is to stop.
const PULSE: Duration = Duration::from_millis(100);

/// Observes the progress while processes are being ended, and may stop it.
pub trait Watcher {
    /// `left` of `all` targets have not ended yet.
    fn progress(&mut self, left: usize, all: usize);

    /// Whether to stop: no more signals are sent, and what has not exited is left to the next sweep.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Ignores the progress and never stops.
impl Watcher for () {
    fn progress(&mut self, _left: usize, _all: usize) {}
}

/// Ends processes.
pub struct Terminator<'a, H: Host> {
    /// The machine, the settings and reaper's own process.
    pub context: &'a Context<H>,
    /// The sightings of a process.
    pub past: Arc<dyn Fn(&ProcId) -> Past + Send + Sync>,
    /// Where intents and outcomes are written.
    pub account: &'a mut dyn Account,
    /// Observes the progress.
    pub watcher: &'a mut dyn Watcher,
    /// The sweep's id, shared by all its records.
    pub sweep: &'a str,
    /// Time limit for reading one process.
    pub limit: Duration,
    /// Set when a record could not be written, or exits cannot be waited for: from then on no signal is sent.
    pub trouble: Option<Trouble>,
}

impl<H: Host> Terminator<'_, H> {
    /// Ends the targets, in their order, as many at a time as there are handles. Returns when each has an outcome.
    ///
    /// When an intent cannot be written, its targets are spared; when exits cannot be waited for, no further batch is
    /// begun. [`Terminator::trouble`] has the reason.
    pub fn run(&mut self, targets: &[Target]) -> Vec<Ended> {
        let at_once = self.context.host.handle_limit();
        let mut ended = Vec::with_capacity(targets.len());
        // A root that is spared spares what is above and below it, in whichever batch that is.
        let mut spared_roots = HashSet::new();
        for batch in targets.chunks(at_once.max(1)) {
            let here: HashSet<Pid> = batch.iter().map(|t| t.id.pid).collect();
            let roots: HashSet<Pid> = batch.iter().map(|t| t.root.pid).collect();
            let elsewhere: Vec<Target> = targets
                .iter()
                .filter(|t| t.role == Role::Root && roots.contains(&t.id.pid) && !here.contains(&t.id.pid))
                .cloned()
                .collect();
            ended.extend(self.batch(batch, &elsewhere, &mut spared_roots));
            if matches!(self.trouble, Some(Trouble::Wait(_))) {
                break;
            }
        }
        ended
    }

    fn batch(
        &mut self,
        targets: &[Target],
        elsewhere: &[Target],
        spared_roots: &mut HashSet<Pid>,
    ) -> Vec<Ended> {
        let policy = Arc::clone(&self.context.policy);
        let timeouts = Timeouts { term: policy.term_timeout, kill: policy.kill_timeout };
        let mut exit_watcher = match self.context.host.exit_watcher() {
            Ok(exit_watcher) => exit_watcher,
            Err(e) => {
                self.trouble.get_or_insert(e.into());
                return Vec::new();
            }
        };
        let mut jobs: Vec<Job<H::ProcessHandle>> =
            targets.iter().map(|target| Job::new(target, timeouts)).collect();
        self.open(&mut jobs, spared_roots);
        let mut watched = HashSet::new();
        // All are watched from now on: one may be exiting already.
        for (i, job) in jobs.iter().enumerate() {
            if job.process.as_ref().is_some_and(|process| exit_watcher.watch(process, i as u64).is_ok()) {
                watched.insert(i);
            }
        }
        loop {
            if self.watcher.is_stopped() {
                let now = self.now();
                jobs.iter_mut().for_each(|job| job.escalation.on(Event::Interrupted, now));
            }
            self.rejudge().judge(&mut jobs, elsewhere, spared_roots);
            self.write_intents(&mut jobs);
            self.rejudge().judge_stale(&mut jobs, elsewhere, spared_roots);
            self.send(&mut jobs, &mut exit_watcher, &mut watched, spared_roots);
            let now = self.now();
            for job in &mut jobs {
                job.escalation.on(Event::Tick, now);
            }
            let waits = jobs.iter().filter_map(|j| match j.escalation.action() {
                Action::WaitUntil(until) => Some(until),
                _ => None,
            });
            let left = jobs.iter().filter(|j| !matches!(j.escalation.action(), Action::Done(_))).count();
            self.watcher.progress(left, jobs.len());
            if jobs.iter().any(|j| matches!(j.escalation.action(), Action::Judge(_) | Action::Send(_))) {
                continue;
            }
            let Some(until) = waits.min() else { break };
            // Written here because there is a wait anyway.
            self.write_outcomes(&mut jobs, false);
            let now = self.now();
            let tokens = match exit_watcher.wait(until.saturating_sub(now).min(PULSE)) {
                Ok(tokens) => tokens,
                Err(e) => {
                    give_up(&mut jobs, &e, now);
                    self.trouble.get_or_insert(e.into());
                    break;
                }
            };
            let now = self.clock();
            for token in tokens {
                if let Some(job) = usize::try_from(token).ok().and_then(|i| jobs.get_mut(i)) {
                    job.escalation.on(Event::Ended, now.monotonic);
                    job.ended_at.get_or_insert(now);
                }
            }
        }
        self.write_outcomes(&mut jobs, true);
        let (now, here) = (self.now(), self.context.host.info());
        jobs.iter().map(|job| job.ended(now, here)).collect()
    }

    fn open(&self, jobs: &mut [Job<H::ProcessHandle>], spared_roots: &mut HashSet<Pid>) {
        let now = self.now();
        for job in jobs {
            match self.context.host.open(job.target.id.pid) {
                // This handle is the one that is judged and signalled below.
                Ok(process) if process.id() == job.target.id => {
                    job.image = process.first_image();
                    job.process = Some(Arc::new(process));
                }
                Ok(_) | Err(Why::Gone) => job.escalation.on(Event::Ended, now),
                Err(why) => {
                    job.why = Some(format!("no handle to it could be opened: {why}"));
                    job.unsure = true;
                    job.escalation.on(Event::Spared, now);
                    job.spare_tree(spared_roots);
                }
            }
        }
    }

    /// Sends the signals that were cleared and recorded.
    fn send(
        &self,
        jobs: &mut [Job<H::ProcessHandle>],
        exit_watcher: &mut H::ExitWatcher,
        watched: &mut HashSet<usize>,
        spared_roots: &mut HashSet<Pid>,
    ) {
        let mut events = Vec::new();
        for (i, job) in jobs.iter_mut().enumerate() {
            let Action::Send(signal) = job.escalation.action() else { continue };
            let Some(process) = &job.process else { continue };
            let sent = if watched.insert(i) {
                exit_watcher.watch(process, i as u64).map_err(|e| e.why)
            } else {
                Ok(())
            };
            // A stopped process handles SIGTERM only once it is continued.
            let orders: &[Signal] = match signal {
                Signal::Term if job.is_stopped => &[Signal::Term, Signal::Cont],
                Signal::Term => &[Signal::Term],
                Signal::Cont => &[Signal::Cont],
                Signal::Kill => &[Signal::Kill],
            };
            let before = self.clock();
            let sent = sent.and_then(|()| {
                for (i, order) in orders.iter().enumerate() {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the one place: judged just now, by this handle"
                    )]
                    match process.signal(*order) {
                        Ok(()) => job.delivered.push(*order),
                        // The first one was sent, and may have ended it.
                        Err(_) if i > 0 => break,
                        Err(why) => return Err(why),
                    }
                }
                Ok(())
            });
            let event = match sent {
                Ok(()) => {
                    job.first_signal.get_or_insert(before);
                    Event::Sent
                }
                Err(Why::Gone | Why::Exiting) => Event::Ended,
                Err(why) => {
                    job.why = Some(format!("SIG{signal}: {why}"));
                    job.spare_tree(spared_roots);
                    Event::Denied
                }
            };
            events.push((i, event));
        }
        // The same time for all, so that a tree reaches its next judgement as a whole.
        let now = self.now();
        for (i, event) in events {
            if let Some(job) = jobs.get_mut(i) {
                job.escalation.on(event, now);
            }
        }
    }

    /// Writes the intents of all signals that are about to be sent, or calls the signals off.
    fn write_intents(&mut self, jobs: &mut [Job<H::ProcessHandle>]) {
        let clock = self.clock();
        let intents = account::intents(jobs, self.sweep, &clock);
        if intents.is_empty() || self.account(&intents) {
            return;
        }
        for job in jobs.iter_mut().filter(|j| matches!(j.escalation.action(), Action::Send(_))) {
            job.why = Some("no account of the signal could be written".to_owned());
            job.escalation.on(Event::Spared, clock.monotonic);
        }
    }

    /// Writes the outcomes of finished targets, once each; when the sweep is over, of all the others too.
    fn write_outcomes(&mut self, jobs: &mut [Job<H::ProcessHandle>], is_over: bool) {
        let records = account::outcomes(jobs, is_over, self.sweep, &self.clock(), self.context.host.info());
        if !records.is_empty() {
            self.account(&records);
        }
    }

    /// Writes records; returns whether they were written. After the first failure nothing more is tried.
    fn account(&mut self, records: &[Record]) -> bool {
        if matches!(self.trouble, Some(Trouble::Account(_))) {
            return false;
        }
        let written = self.account.write(records);
        let is_written = written.is_ok();
        if let Err(e) = written {
            self.trouble.get_or_insert(e.into());
        }
        is_written
    }

    fn rejudge(&self) -> Rejudge<'_, H> {
        Rejudge { context: self.context, past: &self.past, limit: self.limit }
    }

    fn clock(&self) -> Clock {
        self.context.host.clock()
    }

    fn now(&self) -> Duration {
        self.clock().monotonic
    }
}

/// Exits can no longer be waited for: sets that as the reason for every target that has not exited.
fn give_up<P: ProcessHandle>(jobs: &mut [Job<P>], e: &HostError, now: Duration) {
    for job in jobs.iter_mut().filter(|j| !matches!(j.escalation.action(), Action::Done(_))) {
        match job.process.as_ref().map(|p| p.has_ended()) {
            Some(Ok(true)) | None => job.escalation.on(Event::Ended, now),
            Some(Ok(false) | Err(_)) => job.why = Some(e.to_string()),
        }
    }
}
