//! Judging again, right before a signal: by the gates of each target's role, through the handle that will be
//! signalled.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, ProcessHandle, Why};

use super::job::Job;
use crate::context::Context;
use crate::deadline;
use crate::inspect::Inspector;
use reaper_policy::case::Capacity;
use reaper_policy::escalation::{Action, Event};
use reaper_policy::facts::Fact;
use reaper_policy::gates::{all_pass, orphan};
use reaper_policy::past::Past;
use reaper_policy::plan::{Role, Target};
use reaper_policy::verdict::{Answer, Finding, Gate, Verdict};

/// How old a judgement may be when its batch is complete.
const FRESH: Duration = Duration::from_millis(250);
/// How often a batch is judged again to meet that limit.
const MAX_LOOKS: usize = 3;

/// A process to judge: its handle, and the target that it is.
type Question<H> = (Option<Arc<<H as Host>::ProcessHandle>>, Target);

/// The result of a judgement before a signal.
struct Verdicted {
    event: Event,
    findings: Vec<Finding>,
    why: Option<String>,
    /// Whether it was spared because a fact is unknown, not because of a negative answer.
    unsure: bool,
    /// Whether it is stopped.
    is_stopped: bool,
}

impl Verdicted {
    const fn of(event: Event) -> Self {
        Self { event, findings: Vec::new(), why: None, unsure: false, is_stopped: false }
    }

    fn unsure(why: String) -> Self {
        Self { why: Some(why), unsure: true, ..Self::of(Event::Spared) }
    }
}

/// Re-judges the targets of one sweep.
pub(super) struct Rejudge<'a, H: Host> {
    pub(super) context: &'a Context<H>,
    /// The sightings of a process.
    pub(super) past: &'a Arc<dyn Fn(&ProcId) -> Past + Send + Sync>,
    /// Time limit for reading one process.
    pub(super) limit: Duration,
}

impl<H: Host> Rejudge<'_, H> {
    /// Judges those roots of these jobs that are in another batch: their members here are spared with them.
    fn judge_elsewhere(&self, asked: &HashSet<Pid>, roots: &[Target], spared_roots: &mut HashSet<Pid>) {
        let roots: Vec<Target> = roots.iter().filter(|r| asked.contains(&r.id.pid)).cloned().collect();
        let (inspector, past) = (Inspector::new(self.context), Arc::clone(self.past));
        let answers = deadline::map(roots.clone(), self.limit, move |root| {
            match inspector.context.host.open(root.id.pid) {
                Ok(process) if process.id() == root.id => {
                    verdict(&inspector, &past, &Arc::new(process), root).event
                }
                Ok(_) | Err(Why::Gone) => Event::Ended,
                Err(_) => Event::Spared,
            }
        });
        let spared = roots.iter().zip(answers).filter(|(_, a)| matches!(a, Ok(Event::Spared) | Err(_)));
        spared_roots.extend(spared.map(|(root, _)| root.id.pid));
    }

    /// Judges each job whose escalation requests it, roots first. `elsewhere` are the roots in other batches.
    pub(super) fn judge(
        &self,
        jobs: &mut [Job<H::ProcessHandle>],
        elsewhere: &[Target],
        spared_roots: &mut HashSet<Pid>,
    ) {
        let asks = |job: &Job<H::ProcessHandle>| matches!(job.escalation.action(), Action::Judge(_));
        self.judge_those(jobs, asks, elsewhere, spared_roots);
    }

    /// Judges again what was cleared for a signal too long ago: writing its intent can take seconds on a slow disk, and
    /// the process may have executed another program meanwhile. It is signalled right after this.
    pub(super) fn judge_stale(
        &self,
        jobs: &mut [Job<H::ProcessHandle>],
        elsewhere: &[Target],
        spared_roots: &mut HashSet<Pid>,
    ) {
        let now = self.context.host.clock().monotonic;
        let is_stale = |job: &Job<H::ProcessHandle>| {
            matches!(job.escalation.action(), Action::Send(_)) && now.saturating_sub(job.judged_at) > FRESH
        };
        self.judge_those(jobs, is_stale, elsewhere, spared_roots);
    }

    fn judge_those(
        &self,
        jobs: &mut [Job<H::ProcessHandle>],
        is_asked: impl Fn(&Job<H::ProcessHandle>) -> bool,
        elsewhere: &[Target],
        spared_roots: &mut HashSet<Pid>,
    ) {
        let asked: Vec<usize> =
            jobs.iter().enumerate().filter(|(_, job)| is_asked(job)).map(|(i, _)| i).collect();
        if asked.is_empty() {
            return;
        }
        let questions: Vec<Question<H>> = asked
            .iter()
            .filter_map(|i| jobs.get(*i).map(|j| (j.process.clone(), j.target.clone())))
            .collect();
        let roots = questions.iter().map(|(_, target)| target.root.pid).collect();
        self.judge_elsewhere(&roots, elsewhere, spared_roots);
        let answers = self.ask(&questions);
        let now = self.context.host.clock().monotonic;
        let mut verdicts: HashMap<usize, (Duration, Verdicted)> = HashMap::new();
        for (i, (judged_at, answer)) in asked.iter().zip(answers) {
            let verdicted = answer
                .unwrap_or_else(|why| Verdicted::unsure(format!("it could not be judged again: {why}")));
            if let Some(job) = jobs.get(*i).filter(|_| verdicted.event == Event::Spared) {
                job.spare_tree(spared_roots);
            }
            verdicts.insert(*i, (judged_at, verdicted));
        }
        for (i, (judged_at, verdicted)) in verdicts {
            let Some(job) = jobs.get_mut(i) else { continue };
            let is_announced = matches!(job.escalation.action(), Action::Send(_));
            let with_root = verdicted.event == Event::Cleared && spared_roots.contains(&job.target.root.pid);
            let event = if with_root { Event::Spared } else { verdicted.event };
            // The history already has the intent with the findings of that time.
            if !is_announced {
                job.findings = verdicted.findings;
                job.is_stopped = verdicted.is_stopped;
            }
            job.judged_at = judged_at;
            job.unsure = verdicted.unsure && !with_root;
            job.why = if with_root {
                Some("the orphan that it belongs to was spared".into())
            } else {
                verdicted.why
            };
            if is_announced && event == Event::Spared {
                let why = job.why.take().unwrap_or_default();
                job.why = Some(format!("called off after it was announced: {why}"));
            }
            job.escalation.on(event, now);
            if event == Event::Ended {
                job.ended_at.get_or_insert(self.context.host.clock());
            }
        }
    }

    /// Judges a batch. A process whose reads hang delays all the others, whose judgements are then too old: they are
    /// judged again without it. Each answer has the time at which its reading began.
    fn ask(&self, questions: &[Question<H>]) -> Vec<(Duration, Result<Verdicted, Why>)> {
        let mut answers = BTreeMap::new();
        let mut asked: Vec<usize> = (0..questions.len()).collect();
        for _ in 0..MAX_LOOKS {
            let started = self.context.host.clock().monotonic;
            let (inspector, past) = (Inspector::new(self.context), Arc::clone(self.past));
            let batch: Vec<Question<H>> = asked.iter().filter_map(|i| questions.get(*i).cloned()).collect();
            let judged = deadline::map(batch, self.limit, move |(process, target)| match process {
                Some(process) => verdict(&inspector, &past, process, target),
                None => Verdicted::of(Event::Ended),
            });
            let judged = judged.into_iter().map(|answer| (started, answer));
            answers.extend(asked.iter().copied().zip(judged));
            if self.context.host.clock().monotonic.saturating_sub(started) <= FRESH {
                break;
            }
            let is_cleared = |(_, a): &(Duration, Result<Verdicted, Why>)| {
                a.as_ref().is_ok_and(|v| v.event == Event::Cleared)
            };
            asked.retain(|i| answers.get(i).is_some_and(is_cleared));
        }
        answers.into_values().collect()
    }
}

/// Judges a target again, by the gates of its role.
fn verdict<H: Host>(
    inspector: &Inspector<H>,
    past: &Arc<dyn Fn(&ProcId) -> Past + Send + Sync>,
    process: &Arc<H::ProcessHandle>,
    target: &Target,
) -> Verdicted {
    // A process whose main thread has exited has the state of a zombie. Only the handle reports whether any thread is
    // left.
    match process.has_ended() {
        Ok(true) | Err(Why::Gone) => return Verdicted::of(Event::Ended),
        Ok(false) => {}
        Err(why) => return Verdicted::unsure(format!("whether it has ended cannot be told: {why}")),
    }
    let is_stopped = match process.stat() {
        Err(Why::Gone) => return Verdicted::of(Event::Ended),
        Ok(stat) if !stat.has_memory => return Verdicted::of(Event::Exiting),
        Ok(stat) => stat.state.is_stopped(),
        Err(_) => false,
    };
    let asked: Fact<(bool, Vec<Finding>)> = match target.role {
        Role::Root => inspector
            .judge(process, Capacity::Candidate, |id| past(id))
            .map(|j| (j.verdict == Verdict::Reap, j.findings)),
        Role::Successor => {
            inspector.judge(process, Capacity::Candidate, |id| past(id)).map(|j| (j.is_orphan(), j.findings))
        }
        Role::GroupMember => inspector
            .judge(process, Capacity::GroupMember(target.tree_context()), |id| past(id))
            .map(|j| (j.is_orphan() && j.stat.pgrp == target.group, j.findings)),
        Role::Descendant => {
            inspector.judge_member(process, target.tree_context()).map(|(_, f)| (all_pass(&f), f))
        }
        Role::Wrapper => inspector.judge_member(process, target.tree_context()).map(|(facts, f)| {
            (all_pass(&f) && orphan::is_marked_wrapper(&facts, &inspector.context.policy), f)
        }),
    };
    match asked {
        Ok((true, findings)) => Verdicted { findings, is_stopped, ..Verdicted::of(Event::Cleared) },
        // It may have exited while it was read; that must not be reported as spared.
        Ok((false, _)) if process.has_ended() == Ok(true) => Verdicted::of(Event::Ended),
        Ok((false, findings)) => {
            let against = |f: &&Finding| {
                f.answer != Answer::Yes && (f.gate != Gate::Grace || target.role == Role::Root)
            };
            let no = findings.iter().find(|f| f.answer == Answer::No && against(f));
            let why = no.or_else(|| findings.iter().find(against));
            let unsure = no.is_none() && why.is_some();
            let why = why.map_or_else(
                || "it is not what it was when it was planned".to_owned(),
                |f| format!("{}: {}", f.gate.name(), f.evidence),
            );
            Verdicted { findings, why: Some(why), unsure, ..Verdicted::of(Event::Spared) }
        }
        Err(Why::Gone) => Verdicted::of(Event::Ended),
        Err(Why::Exiting) => Verdicted::of(Event::Exiting),
        Err(why) => Verdicted::unsure(format!("it could not be judged again: {why}")),
    }
}
