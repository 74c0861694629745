//! Ending processes: the only place in this program that sends a signal.
//!
//! Every target is pinned and judged again through that very handle, an account of the judgement is on the
//! disk, and only then the signal goes to that handle. All targets are ended together, with one wait over
//! all of them; whoever has not ended in time is judged once more before SIGKILL.

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

use reaper_platform::{Clock, Host, HostError, Pid, Pinned, ProcId, Signal, Waiter, Why};

use crate::audit::record::{Account, Record};
use crate::context::Ground;
use job::Job;
use outcome::Ended;
use reaper_policy::escalation::{Action, Event, Timeouts};
use reaper_policy::past::Past;
use reaper_policy::plan::{Role, Target};
use rejudge::Rejudge;
use trouble::Trouble;

/// How often a wait looks up to see whether it is to stop.
const PULSE: Duration = Duration::from_millis(100);

/// Who looks on while processes are being ended.
pub trait Watcher {
    /// `left` of `all` targets have not ended yet.
    fn progress(&mut self, left: usize, all: usize);

    /// Whether to stop: no more signals, and whoever has not ended is left to the next look.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Ignores the progress and never asks to stop.
impl Watcher for () {
    fn progress(&mut self, _left: usize, _all: usize) {}
}

/// Ends processes on one ground.
pub struct Terminator<'a, H: Host> {
    /// The machine, the settings and who we are.
    pub ground: &'a Ground<H>,
    /// What earlier looks saw of a process.
    pub past: Arc<dyn Fn(&ProcId) -> Past + Send + Sync>,
    /// Where the account goes.
    pub account: &'a mut dyn Account,
    /// Who looks on.
    pub watcher: &'a mut dyn Watcher,
    /// Joins the records of one sweep.
    pub sweep: &'a str,
    /// How long one process may take to be read.
    pub limit: Duration,
    /// Set when an account could not be written, or nobody waited for: from then on nothing is signalled.
    pub trouble: Option<Trouble>,
}

impl<H: Host> Terminator<'_, H> {
    /// Ends the targets, in their order, as many at a time as can be pinned. Returns when the last one has
    /// ended or was given up.
    ///
    /// When an account cannot be written, what it was for is spared; when nobody can be waited for, no more
    /// is begun. [`Terminator::trouble`] says why.
    pub fn run(&mut self, targets: &[Target]) -> Vec<Ended> {
        let at_once = self.ground.host.pin_limit();
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
        let policy = Arc::clone(&self.ground.policy);
        let timeouts = Timeouts { term: policy.term_timeout, kill: policy.kill_timeout };
        let mut waiter = match self.ground.host.waiter() {
            Ok(waiter) => waiter,
            Err(e) => {
                self.trouble.get_or_insert(e.into());
                return Vec::new();
            }
        };
        let mut jobs: Vec<Job<H::Pinned>> = targets.iter().map(|target| Job::new(target, timeouts)).collect();
        self.pin(&mut jobs, spared_roots);
        let mut watched = HashSet::new();
        // Each is waited for from now on: one may be exiting already, or get its signal later.
        for (i, job) in jobs.iter().enumerate() {
            if job.process.as_ref().is_some_and(|process| waiter.watch(process, i as u64).is_ok()) {
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
            self.send(&mut jobs, &mut waiter, &mut watched, spared_roots);
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
            // While others are waited for, this costs nobody any time.
            self.write_outcomes(&mut jobs, false);
            let now = self.now();
            let tokens = match waiter.wait(until.saturating_sub(now).min(PULSE)) {
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
        let (now, here) = (self.now(), self.ground.host.here());
        jobs.iter().map(|job| job.ended(now, here)).collect()
    }

    fn pin(&self, jobs: &mut [Job<H::Pinned>], spared_roots: &mut HashSet<Pid>) {
        let now = self.now();
        for job in jobs {
            match self.ground.host.pin(job.target.id.pid) {
                // The handle that is pinned here is the one that is judged and signalled below.
                Ok(process) if process.id() == job.target.id => {
                    job.image = process.first_image();
                    job.process = Some(Arc::new(process));
                }
                Ok(_) | Err(Why::Gone) => job.escalation.on(Event::Ended, now),
                Err(why) => {
                    job.why = Some(format!("it cannot be pinned: {why}"));
                    job.unsure = true;
                    job.escalation.on(Event::Spared, now);
                    job.spare_tree(spared_roots);
                }
            }
        }
    }

    /// Sends what was cleared and accounted for.
    fn send(
        &self,
        jobs: &mut [Job<H::Pinned>],
        waiter: &mut H::Waiter,
        watched: &mut HashSet<usize>,
        spared_roots: &mut HashSet<Pid>,
    ) {
        let mut events = Vec::new();
        for (i, job) in jobs.iter_mut().enumerate() {
            let Action::Send(signal) = job.escalation.action() else { continue };
            let Some(process) = &job.process else { continue };
            let sent =
                if watched.insert(i) { waiter.watch(process, i as u64).map_err(|e| e.why) } else { Ok(()) };
            // A stopped process acts on SIGTERM only once it goes on.
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
        // One moment for all: so a tree comes to its next judgement as a whole.
        let now = self.now();
        for (i, event) in events {
            if let Some(job) = jobs.get_mut(i) {
                job.escalation.on(event, now);
            }
        }
    }

    /// Writes the accounts of all signals that are about to be sent, or calls the signals off.
    fn write_intents(&mut self, jobs: &mut [Job<H::Pinned>]) {
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

    /// Writes what became of those that are done, once for each; when the sweep is over, of all the others too.
    fn write_outcomes(&mut self, jobs: &mut [Job<H::Pinned>], is_over: bool) {
        let records = account::outcomes(jobs, is_over, self.sweep, &self.clock(), self.ground.host.here());
        if !records.is_empty() {
            self.account(&records);
        }
    }

    /// Whether the records are on the disk. After the first failure nothing more is tried.
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
        Rejudge { ground: self.ground, past: &self.past, limit: self.limit }
    }

    fn clock(&self) -> Clock {
        self.ground.host.clock()
    }

    fn now(&self) -> Duration {
        self.clock().monotonic
    }
}

/// Nobody can be waited for any more: says so of everybody who has not ended yet.
fn give_up<P: Pinned>(jobs: &mut [Job<P>], e: &HostError, now: Duration) {
    for job in jobs.iter_mut().filter(|j| !matches!(j.escalation.action(), Action::Done(_))) {
        match job.process.as_ref().map(|p| p.has_ended()) {
            Some(Ok(true)) | None => job.escalation.on(Event::Ended, now),
            Some(Ok(false) | Err(_)) => job.why = Some(e.to_string()),
        }
    }
}
