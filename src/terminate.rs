//! Ending processes: the only place in this program that sends a signal.
//!
//! Every target is pinned and judged again through that very handle, an account of the judgement is on the
//! disk, and only then the signal goes to that handle. All targets are ended together, with one wait over
//! all of them; whoever has not ended in time is judged once more before SIGKILL.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Clock, Host, HostError, Pid, Pinned, ProcId, Signal, Waiter, Why};

use crate::escalation::{Action, Escalation, Event, Outcome, Timeouts};
use crate::facts::Fact;
use crate::gates::{How, all_pass};
use crate::look::{Ground, Looker};
use crate::patience;
use crate::plan::{Role, Target};
use crate::report::build;
use crate::report::history::Account;
use crate::report::types::Record;
use crate::sightings::Past;
use crate::state::StateError;
use crate::verdict::{Answer, Finding, Gate, Verdict};

/// How often a wait looks up to see whether it is to stop.
const PULSE: Duration = Duration::from_millis(100);
/// How old a judgement may be when the last of its batch is done.
const FRESH: Duration = Duration::from_millis(250);
/// How often a batch is judged again for that.
const MAX_LOOKS: usize = 3;

/// Whom to judge, by which handle, as what.
type Question<H> = (Option<Arc<<H as Host>::Pinned>>, Target);

/// What became of one target.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The target.
    pub target: Target,
    /// The signals that it got.
    pub signals: Vec<Signal>,
    /// What became of it.
    pub outcome: Outcome,
    /// From the first signal to the end.
    pub took: Duration,
    /// Why it was spared, denied or survived.
    pub why: Option<String>,
    /// Whether it was spared because something could not be told, not because something spoke against its end.
    pub unsure: bool,
    /// Whether it has ended but not been collected by its parent.
    pub zombie: bool,
}

/// Who looks on while processes are being ended.
pub trait Watcher {
    /// `left` of `all` targets have not ended yet.
    fn progress(&mut self, left: usize, all: usize);

    /// Whether to stop: no more signals, and whoever has not ended is left to the next look.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Looks away.
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
    /// Set when an account could not be written: from then on nothing is signalled.
    pub trouble: Option<StateError>,
}

struct Job<P> {
    target: Target,
    process: Option<Arc<P>>,
    escalation: Escalation,
    first_signal: Option<Duration>,
    ended_at: Option<Duration>,
    findings: Vec<Finding>,
    why: Option<String>,
    unsure: bool,
}

/// What a judgement before a signal came to.
struct Verdicted {
    event: Event,
    findings: Vec<Finding>,
    why: Option<String>,
    unsure: bool,
}

impl<H: Host> Terminator<'_, H> {
    /// Ends the targets, in their order, as many at a time as can be pinned. Returns when the last one has
    /// ended or was given up.
    ///
    /// When an account cannot be written, what it was for is spared, and [`Terminator::trouble`] says why.
    ///
    /// # Errors
    /// When the system does not let us wait for processes. Nothing was signalled then.
    pub fn run(&mut self, targets: &[Target]) -> Result<Vec<Ended>, HostError> {
        let at_once = self.ground.host.pin_limit();
        let mut ended = Vec::with_capacity(targets.len());
        // A root that is spared spares what is above and below it, in whichever batch that is.
        let mut spared_roots = HashSet::new();
        for batch in targets.chunks(at_once.max(1)) {
            let roots: HashSet<Pid> = batch.iter().map(|t| t.root.pid).collect();
            let elsewhere: Vec<Target> = targets
                .iter()
                .filter(|t| t.role == Role::Root && roots.contains(&t.id.pid))
                .cloned()
                .collect();
            ended.extend(self.batch(batch, &elsewhere, &mut spared_roots)?);
        }
        Ok(ended)
    }

    fn batch(
        &mut self,
        targets: &[Target],
        roots: &[Target],
        spared_roots: &mut HashSet<Pid>,
    ) -> Result<Vec<Ended>, HostError> {
        let policy = Arc::clone(&self.ground.policy);
        let timeouts = Timeouts { term: policy.term_timeout(), kill: policy.kill_timeout() };
        let mut waiter = self.ground.host.waiter()?;
        let mut jobs: Vec<Job<H::Pinned>> = targets
            .iter()
            .map(|target| Job {
                target: target.clone(),
                process: None,
                escalation: Escalation::new(timeouts),
                first_signal: None,
                ended_at: None,
                findings: Vec::new(),
                why: None,
                unsure: false,
            })
            .collect();
        self.pin(&mut jobs);
        // Roots whose turn comes in a later batch are judged now, because their members' lives hang on it.
        let here: HashSet<Pid> = targets.iter().map(|t| t.id.pid).collect();
        for root in roots.iter().filter(|r| !here.contains(&r.id.pid)) {
            let verdict = self.ground.host.pin(root.id.pid).map(|p| self.judge_one(&Arc::new(p), root));
            if verdict.is_ok_and(|v| v.event == Event::Spared) {
                spared_roots.insert(root.id.pid);
            }
        }
        let mut watched = HashSet::new();
        loop {
            if self.watcher.is_stopped() {
                let now = self.now();
                jobs.iter_mut().for_each(|job| job.escalation.on(Event::Interrupted, now));
            }
            self.judge(&mut jobs, spared_roots);
            self.write_intents(&mut jobs);
            self.send(&mut jobs, &mut waiter, &mut watched);
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
            for token in waiter.wait(until.saturating_sub(now).min(PULSE))? {
                let now = self.now();
                if let Some(job) = usize::try_from(token).ok().and_then(|i| jobs.get_mut(i)) {
                    job.escalation.on(Event::Ended, now);
                    job.ended_at.get_or_insert(now);
                }
            }
        }
        let now = self.now();
        let ended: Vec<Ended> = jobs.into_iter().map(|job| finish(job, now)).collect();
        let records: Vec<Record> =
            ended.iter().map(|e| build::outcome(e, self.sweep, &self.clock())).collect();
        self.account(&records);
        Ok(ended)
    }

    fn pin(&self, jobs: &mut [Job<H::Pinned>]) {
        let now = self.now();
        for job in jobs {
            match self.ground.host.pin(job.target.id.pid) {
                // The handle that is pinned here is the one that is judged and signalled below.
                Ok(process) if process.id() == job.target.id => job.process = Some(Arc::new(process)),
                Ok(_) | Err(Why::Gone) => job.escalation.on(Event::Ended, now),
                Err(why) => {
                    job.why = Some(format!("it cannot be pinned: {why}"));
                    job.unsure = true;
                    job.escalation.on(Event::Spared, now);
                }
            }
        }
    }

    /// Judges everybody whose escalation asks for it, roots first.
    fn judge(&self, jobs: &mut [Job<H::Pinned>], spared_roots: &mut HashSet<Pid>) {
        let asked: Vec<usize> = jobs
            .iter()
            .enumerate()
            .filter(|(_, j)| matches!(j.escalation.action(), Action::Judge(_)))
            .map(|(i, _)| i)
            .collect();
        if asked.is_empty() {
            return;
        }
        let questions: Vec<Question<H>> = asked
            .iter()
            .filter_map(|i| jobs.get(*i).map(|j| (j.process.clone(), j.target.clone())))
            .collect();
        let answers = self.ask(&questions);
        let now = self.now();
        let mut verdicts: HashMap<usize, Verdicted> = HashMap::new();
        for (i, answer) in asked.iter().zip(answers) {
            let verdicted = answer.unwrap_or_else(|why| Verdicted {
                event: Event::Spared,
                findings: Vec::new(),
                why: Some(format!("it could not be judged again: {why}")),
                unsure: true,
            });
            if let Some(job) = jobs.get(*i)
                && job.target.role == Role::Root
                && verdicted.event == Event::Spared
            {
                spared_roots.insert(job.target.id.pid);
            }
            verdicts.insert(*i, verdicted);
        }
        for (i, verdicted) in verdicts {
            let Some(job) = jobs.get_mut(i) else { continue };
            let with_root = verdicted.event == Event::Cleared && spared_roots.contains(&job.target.root.pid);
            let event = if with_root { Event::Spared } else { verdicted.event };
            job.findings = verdicted.findings;
            job.unsure = verdicted.unsure && !with_root;
            job.why = if with_root {
                Some("the orphan that it belongs to was spared".into())
            } else {
                verdicted.why
            };
            job.escalation.on(event, now);
            if event == Event::Ended {
                job.ended_at.get_or_insert(now);
            }
        }
    }

    /// Judges a batch. One that hangs holds up all the others, and by then what cleared them for a signal is old: they
    /// are judged again, without it.
    fn ask(&self, questions: &[Question<H>]) -> Vec<Result<Verdicted, Why>> {
        let mut answers = BTreeMap::new();
        let mut asked: Vec<usize> = (0..questions.len()).collect();
        for _ in 0..MAX_LOOKS {
            let started = self.now();
            let (looker, past) = (Looker::new(self.ground), Arc::clone(&self.past));
            let batch: Vec<Question<H>> = asked.iter().filter_map(|i| questions.get(*i).cloned()).collect();
            let judged = patience::map(batch, self.limit, move |(process, target)| match process {
                Some(process) => verdict(&looker, &past, process, target),
                None => Verdicted { event: Event::Ended, findings: Vec::new(), why: None, unsure: false },
            });
            answers.extend(asked.iter().copied().zip(judged));
            if self.now().saturating_sub(started) <= FRESH {
                break;
            }
            let is_cleared = |a: &Result<Verdicted, Why>| a.as_ref().is_ok_and(|v| v.event == Event::Cleared);
            asked.retain(|i| answers.get(i).is_some_and(is_cleared));
        }
        answers.into_values().collect()
    }

    fn judge_one(&self, process: &Arc<H::Pinned>, target: &Target) -> Verdicted {
        verdict(&Looker::new(self.ground), &self.past, process, target)
    }

    /// Writes the accounts of all signals that are about to be sent, or calls the signals off.
    fn write_intents(&mut self, jobs: &mut [Job<H::Pinned>]) {
        let clock = self.clock();
        let intents: Vec<Record> = jobs
            .iter()
            .filter_map(|job| match job.escalation.action() {
                Action::Send(signal) => {
                    Some(build::intent(&job.target, signal, &job.findings, self.sweep, &clock))
                }
                _ => None,
            })
            .collect();
        if intents.is_empty() || self.account(&intents) {
            return;
        }
        for job in jobs.iter_mut().filter(|j| matches!(j.escalation.action(), Action::Send(_))) {
            job.why = Some("no account of the signal could be written".to_owned());
            job.escalation.on(Event::Spared, clock.monotonic);
        }
    }

    /// Whether the records are on the disk. After the first failure nothing more is tried.
    fn account(&mut self, records: &[Record]) -> bool {
        if self.trouble.is_none() {
            self.trouble = self.account.write(records).err();
        }
        self.trouble.is_none()
    }

    /// Sends what was cleared and accounted for.
    fn send(&self, jobs: &mut [Job<H::Pinned>], waiter: &mut H::Waiter, watched: &mut HashSet<usize>) {
        for (i, job) in jobs.iter_mut().enumerate() {
            let Action::Send(signal) = job.escalation.action() else { continue };
            let Some(process) = &job.process else { continue };
            let sent =
                if watched.insert(i) { waiter.watch(process, i as u64).map_err(|e| e.why) } else { Ok(()) };
            let sent = sent.and_then(|()| {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the one place: judged just now, by this handle"
                )]
                process.signal(signal)
            });
            let now = self.now();
            let event = match sent {
                Ok(()) => {
                    job.first_signal.get_or_insert(now);
                    Event::Sent
                }
                Err(Why::Gone | Why::Exiting) => Event::Ended,
                Err(why) => {
                    job.why = Some(format!("SIG{signal}: {why}"));
                    Event::Denied
                }
            };
            job.escalation.on(event, now);
        }
    }

    fn clock(&self) -> Clock {
        self.ground.host.clock()
    }

    fn now(&self) -> Duration {
        self.clock().monotonic
    }
}

/// Judges a target again, by the gates of its role.
fn verdict<H: Host>(
    looker: &Looker<H>,
    past: &Arc<dyn Fn(&ProcId) -> Past + Send + Sync>,
    process: &Arc<H::Pinned>,
    target: &Target,
) -> Verdicted {
    let ended = |event| Verdicted { event, findings: Vec::new(), why: None, unsure: false };
    match process.stat() {
        Err(Why::Gone) => return ended(Event::Ended),
        Ok(stat) if stat.state.is_dead() => return ended(Event::Ended),
        Ok(stat) if !stat.has_memory => return ended(Event::Exiting),
        _ => {}
    }
    let asked: Fact<(bool, Vec<Finding>)> = match target.role {
        Role::Root => looker
            .judge(process, How::Candidate, |id| past(id))
            .map(|j| (j.verdict == Verdict::Reap, j.findings)),
        Role::GroupMember => looker
            .judge(process, How::GroupMember(target.kin()), |id| past(id))
            .map(|j| (j.is_orphan(), j.findings)),
        Role::Wrapper | Role::Descendant => {
            looker.judge_member(process, target.kin()).map(|(_, f)| (all_pass(&f), f))
        }
    };
    match asked {
        Ok((true, findings)) => Verdicted { event: Event::Cleared, findings, why: None, unsure: false },
        Ok((false, findings)) => {
            let against = |f: &&Finding| {
                f.answer != Answer::Yes && (f.gate != Gate::Grace || target.role == Role::Root)
            };
            let no = findings.iter().find(|f| f.answer == Answer::No && against(f));
            let unsure = no.is_none();
            let why = no.or_else(|| findings.iter().find(against));
            let why = why.map(|f| format!("{}: {}", f.gate.name(), f.evidence));
            Verdicted { event: Event::Spared, findings, why, unsure }
        }
        Err(Why::Gone) => ended(Event::Ended),
        Err(Why::Exiting) => ended(Event::Exiting),
        Err(why) => {
            let why = Some(format!("it could not be judged again: {why}"));
            Verdicted { event: Event::Spared, findings: Vec::new(), why, unsure: true }
        }
    }
}

fn finish<P: Pinned>(job: Job<P>, now: Duration) -> Ended {
    let outcome = match job.escalation.action() {
        Action::Done(outcome) => outcome,
        // The loop ends only when all are done; anything else is still there.
        _ => Outcome::Survived,
    };
    let stat = job.process.as_ref().and_then(|p| p.stat().ok());
    let zombie =
        matches!(outcome, Outcome::Exited | Outcome::Killed) && stat.is_some_and(|s| s.state.is_dead());
    let took =
        job.first_signal.map_or(Duration::ZERO, |first| job.ended_at.unwrap_or(now).saturating_sub(first));
    let why = match outcome {
        Outcome::Survived => {
            Some("it did not end after SIGKILL: stuck in the kernel, or under a debugger".to_owned())
        }
        Outcome::Spared | Outcome::Denied => job.why,
        _ => None,
    };
    let unsure = job.unsure && outcome == Outcome::Spared;
    Ended { signals: job.escalation.sent().to_vec(), target: job.target, outcome, took, why, unsure, zombie }
}
