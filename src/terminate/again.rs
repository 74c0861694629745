//! Judging again, right before a signal: by the gates of each target's role, through the handle that will be
//! signalled.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, Pinned, ProcId, Why};

use super::{Job, Terminator};
use crate::escalation::{Action, Event};
use crate::facts::Fact;
use crate::gates::{How, all_pass, orphan};
use crate::look::Looker;
use crate::patience;
use crate::plan::{Role, Target};
use crate::sightings::Past;
use crate::verdict::{Answer, Finding, Gate, Verdict};

/// How old a judgement may be when the last of its batch is done.
const FRESH: Duration = Duration::from_millis(250);
/// How often a batch is judged again for that.
const MAX_LOOKS: usize = 3;

/// Whom to judge, by which handle, as what.
type Question<H> = (Option<Arc<<H as Host>::Pinned>>, Target);

/// What a judgement before a signal came to.
struct Verdicted {
    event: Event,
    findings: Vec<Finding>,
    why: Option<String>,
    /// Whether something could not be told, rather than spoke against its end.
    unsure: bool,
}

impl<H: Host> Terminator<'_, H> {
    /// Judges the roots whose own turn is in another batch: the lives of their members here hang on them.
    pub(super) fn judge_elsewhere(
        &self,
        roots: &[Target],
        jobs: &[Job<H::Pinned>],
        spared_roots: &mut HashSet<Pid>,
    ) {
        let asks = |j: &&Job<H::Pinned>| matches!(j.escalation.action(), Action::Judge(_));
        let asked: HashSet<Pid> = jobs.iter().filter(asks).map(|j| j.target.root.pid).collect();
        let roots: Vec<Target> = roots.iter().filter(|r| asked.contains(&r.id.pid)).cloned().collect();
        let (looker, past) = (Looker::new(self.ground), Arc::clone(&self.past));
        let answers =
            patience::map(roots.clone(), self.limit, move |root| match looker.host.pin(root.id.pid) {
                Ok(process) if process.id() == root.id => {
                    verdict(&looker, &past, &Arc::new(process), root).event
                }
                Ok(_) | Err(Why::Gone) => Event::Ended,
                Err(_) => Event::Spared,
            });
        let spared = roots.iter().zip(answers).filter(|(_, a)| matches!(a, Ok(Event::Spared) | Err(_)));
        spared_roots.extend(spared.map(|(root, _)| root.id.pid));
    }

    /// Judges everybody whose escalation asks for it, roots first.
    pub(super) fn judge(&self, jobs: &mut [Job<H::Pinned>], spared_roots: &mut HashSet<Pid>) {
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
            if let Some(job) = jobs.get(*i).filter(|_| verdicted.event == Event::Spared) {
                job.spare_tree(spared_roots);
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
            .map(|j| (j.is_orphan() && j.stat.pgrp == target.group, j.findings)),
        Role::Descendant => looker.judge_member(process, target.kin()).map(|(_, f)| (all_pass(&f), f)),
        Role::Wrapper => looker
            .judge_member(process, target.kin())
            .map(|(facts, f)| (all_pass(&f) && orphan::is_marked_wrapper(&facts, &looker.policy), f)),
    };
    match asked {
        Ok((true, findings)) => Verdicted { event: Event::Cleared, findings, why: None, unsure: false },
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
            Verdicted { event: Event::Spared, findings, why: Some(why), unsure }
        }
        Err(Why::Gone) => ended(Event::Ended),
        Err(Why::Exiting) => ended(Event::Exiting),
        Err(why) => {
            let why = Some(format!("it could not be judged again: {why}"));
            Verdicted { event: Event::Spared, findings: Vec::new(), why, unsure: true }
        }
    }
}
