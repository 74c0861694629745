//! Checks a sweep against the laws, from the log of the machine alone.
//!
//! No program can prevent that a process changes between the last look at it and the signal. So what must
//! be true is asked of the states that the machine was in while the judgement before a signal was made: a
//! condition holds if it held at one moment of that judgement. Whatever changed before it must be noticed.

use std::collections::HashSet;
use std::time::Duration;

use reaper_engine::audit::words::{self, Answer, Event};
use reaper_engine::tracker::Survey;
use reaper_platform::fake::{Call, Log, Machine, Method, Process, Sent};
use reaper_platform::{ProcId, Signal};
use reaper_policy::plan::{Role, Target};
use reaper_policy::verdict::{Gate, Verdict};

use crate::support::oracle::{Oracle, Root};
use crate::support::signs::{FAMILIES, Family, is_wrapper};
use crate::support::sweep::Run;
use crate::support::{GRACE, TERM_TIMEOUT};

/// Every broken law, as text.
pub fn broken(run: &Run) -> Vec<String> {
    let mut broken = Vec::new();
    for (index, sent) in run.log.sent.iter().enumerate() {
        let signal = Examined::new(run, index, sent);
        let checks: [(&str, bool); 13] = [
            ("law 1: its own marker was not read through the handle that was signalled", signal.was_read()),
            ("law 1: it was not marked, ours and unprotected while it was judged", signal.may_go()),
            ("law 2: the process that got it was not planned", signal.target.is_some()),
            ("law 3: it was in no tree of an orphan while it was judged", signal.belongs()),
            ("law 3: the orphan it belongs to was not judged again", signal.root_was_judged()),
            ("law 4: its verdict was one that spares", !verdict_spares(run.last.as_ref(), sent)),
            ("law 6: no account was written between judgement and signal", signal.has_intent()),
            ("law 6: no outcome was written", signal.has_outcome()),
            ("grace: its orphan was not seen orphaned for so long", signal.saw_grace()),
            ("grace: its orphan was not listed before", signal.was_listed()),
            ("escalation: SIGKILL without SIGTERM and its time-out", signal.is_in_order()),
            ("escalation: the same signal twice", signal.is_no_repetition()),
            ("report: the signals it is said to have got are others", signal.is_reported()),
        ];
        let who =
            format!("SIG{} to {} (pid {})", sent.signal, String::from_utf8_lossy(&sent.to.comm), sent.to.pid);
        broken.extend(checks.iter().filter(|(_, holds)| !holds).map(|(law, _)| format!("{who}: {law}")));
    }
    broken
}

/// One signal, and when the judgement before it was made.
struct Examined<'a> {
    run: &'a Run,
    sent: &'a Sent,
    target: Option<&'a Target>,
    /// The signals before it to the same process.
    before: Vec<&'a Sent>,
    /// From the last wait on: whatever was read since is what this signal rests on.
    round: usize,
    /// From the first read of the process in that time.
    judged: usize,
    families: Vec<&'static str>,
}

impl<'a> Examined<'a> {
    fn new(run: &'a Run, index: usize, sent: &'a Sent) -> Self {
        let log = &run.log;
        let before: Vec<&Sent> = log.sent[..index].iter().filter(|s| s.to.serial == sent.to.serial).collect();
        let waits = log.calls[..sent.step].iter().rev().find(|c| c.method == Method::Wait);
        let round = waits.map_or(0, |c| c.step).max(run.ending);
        // SIGCONT belongs to the SIGTERM before it, by the same judgement.
        let with = |s: &&&Sent| sent.signal == Signal::Cont && s.signal == Signal::Term;
        let since = round.max(before.iter().rev().find(|s| !with(s)).map_or(0, |s| s.step));
        let first = reads(log, sent.handle, since, sent.step).find(|c| c.method != Method::Open);
        let targets = run.ended.iter().map(|e| &e.target);
        let planned = run.last.iter().flat_map(|s| &s.plan.targets);
        let target = targets.chain(planned).find(|t| is(t.id, &sent.to));
        let judged = first.map_or(sent.step, |c| c.step);
        let profiles = target.map(|t| t.profiles.clone()).unwrap_or_default();
        let families = FAMILIES.iter().map(|f| f.name).filter(|n| profiles.iter().any(|p| p == n)).collect();
        Self { run, sent, target, before, round, judged, families }
    }

    fn states(&self, from: usize) -> impl Iterator<Item = (&'a Machine, &'a Process)> {
        let serial = self.sent.to.serial;
        let states = self.run.log.states_within(from, self.sent.step);
        states.filter_map(move |machine| Some((machine, machine.by_serial(serial)?)))
    }

    fn was_read(&self) -> bool {
        let read = |method| {
            reads(&self.run.log, self.sent.handle, self.judged - 1, self.sent.step).any(|c| {
                c.ok && c.method == method && c.handle == Some((self.sent.handle, self.sent.to.serial))
            })
        };
        [Method::Environ, Method::Ids, Method::Stat, Method::Argv].into_iter().all(read)
    }

    fn may_go(&self) -> bool {
        let families: Vec<&Family> = FAMILIES.iter().filter(|f| self.families.contains(&f.name)).collect();
        self.states(self.judged).any(|(machine, p)| Oracle::new(machine).may_go_along(p, &families))
    }

    fn root_in<'m>(&self, machine: &'m Machine) -> Option<&'m Process> {
        machine.processes.values().find(|p| self.target.is_some_and(|t| is(t.root, p)))
    }

    fn orphan_in(&self, machine: &Machine) -> Option<Root> {
        Oracle::new(machine).root(self.root_in(machine)?)
    }

    /// Whether it was in its place in the tree: as the orphan itself, above, below or beside it.
    fn belongs(&self) -> bool {
        let Some(target) = self.target else { return false };
        let since_look = || self.run.log.states_within(self.run.again, self.sent.step);
        let in_tree = || {
            since_look().any(|machine| {
                let Some(p) = machine.by_serial(self.sent.to.serial) else { return false };
                self.orphan_in(machine).is_some_and(|root| Oracle::new(machine).tree(&root).contains(&p.pid))
            })
        };
        match target.role {
            Role::Root | Role::Successor => {
                self.states(self.round).any(|(machine, p)| Oracle::new(machine).root(p).is_some())
            }
            Role::Wrapper => in_tree() && self.states(self.judged).any(|(_, p)| is_wrapper(p)),
            Role::Descendant => in_tree() || self.is_left_over(),
            Role::GroupMember => self.is_left_over(),
        }
    }

    /// An orphan in the group of a target or in the session that a target led, or who hangs below one.
    fn is_left_over(&self) -> bool {
        let targets: Vec<&Target> = self.run.ended.iter().map(|e| &e.target).collect();
        let beside = |p: &Process| {
            targets.iter().any(|t| {
                let led = Some(t.id.pid) == p.session && t.id.pid != p.pid;
                t.id.pid != p.pid && t.group.is_some() && t.group == p.group || led
            })
        };
        self.states(self.round).any(|(machine, p)| {
            let oracle = Oracle::new(machine);
            let mut at = Some(p);
            while let Some(ancestor) = at {
                if oracle.fellow(ancestor, &self.families) && beside(ancestor) {
                    return true;
                }
                at = ancestor.ppid.and_then(|pid| machine.get(pid));
            }
            false
        })
    }

    /// A member is ended only with its orphan: that one has ended, or was judged to be an orphan again.
    fn root_was_judged(&self) -> bool {
        let log = &self.run.log;
        let mut lately = log.states_within(self.round, self.sent.step);
        let now = log.states_within(self.sent.step, self.sent.step).last();
        let Some(root) = now.and_then(|machine| self.root_in(machine)).filter(|r| r.has_memory()) else {
            return true;
        };
        let was_read = log.calls[self.round..self.sent.step].iter().any(|c| {
            c.ok && c.method == Method::Environ && c.handle.is_some_and(|(_, serial)| serial == root.serial)
        });
        was_read && lately.any(|machine| self.orphan_in(machine).is_some())
    }

    fn has_intent(&self) -> bool {
        let same = |s: &&Sent| s.to.serial == self.sent.to.serial && s.signal == self.sent.signal;
        let nth = self.before.iter().copied().filter(|s| same(s)).count();
        let intents = self.run.records.iter().filter(|(_, r)| {
            r.event == Event::Intent
                && r.pid == self.sent.to.pid.get()
                && r.start_ticks == self.sent.to.start.0
                && r.signal == Some(words::Signal::from(self.sent.signal).into())
                && !r.findings.is_empty()
                && r.findings.iter().all(|f| f.answer.is(Answer::Yes) || f.gate.is(words::Gate::Grace))
        });
        intents
            .map(|(step, _)| *step)
            .nth(nth)
            .is_some_and(|step| self.judged <= step && step < self.sent.step)
    }

    fn has_outcome(&self) -> bool {
        self.run.records.iter().any(|(step, r)| {
            r.event == Event::Outcome
                && r.pid == self.sent.to.pid.get()
                && r.start_ticks == self.sent.to.start.0
                && *step >= self.sent.step
        })
    }

    fn saw_grace(&self) -> bool {
        // A successor got its SIGTERM as the process that it was before.
        if self.target.is_some_and(|t| t.role == Role::Successor) {
            return true;
        }
        let (step, at) = self.run.seen;
        self.sent.clock.monotonic.saturating_sub(at) >= GRACE
            && self.run.log.states_within(0, step).any(|machine| self.orphan_in(machine).is_some())
    }

    fn was_listed(&self) -> bool {
        if self.target.is_some_and(|t| t.role == Role::Successor) {
            return true;
        }
        let listed: HashSet<ProcId> = self.run.first.iter().flat_map(Survey::orphans).map(|j| j.id).collect();
        self.target.is_some_and(|t| listed.contains(&t.root))
    }

    fn is_in_order(&self) -> bool {
        match (self.sent.signal, self.target.and_then(|t| t.comeback)) {
            (Signal::Term, None) => true,
            (Signal::Term | Signal::Cont, Some(_)) => false,
            // Right behind SIGTERM, to what was stopped.
            (Signal::Cont, None) => {
                self.before.last().is_some_and(|s| s.signal == Signal::Term)
                    && self.sent.to.state.is_stopped()
            }
            // Its own time has passed since its start, or it came back once more.
            (Signal::Kill, Some(comeback)) => {
                let since_start = self.sent.clock.boottime - Duration::from_millis(self.sent.to.start.0 * 10);
                comeback.times > 1 || since_start >= TERM_TIMEOUT
            }
            (Signal::Kill, None) => self.before.iter().any(|s| {
                s.signal == Signal::Term && self.sent.clock.monotonic - s.clock.monotonic >= TERM_TIMEOUT
            }),
        }
    }

    fn is_no_repetition(&self) -> bool {
        self.before.iter().all(|s| s.signal != self.sent.signal)
    }

    fn is_reported(&self) -> bool {
        let sent = self.run.log.sent.iter().filter(|s| s.to.serial == self.sent.to.serial).map(|s| s.signal);
        let told = self.run.ended.iter().find(|e| is(e.target.id, &self.sent.to)).map(|e| e.signals.clone());
        self.run.error.is_some() || told == Some(sent.collect())
    }
}

/// Whether an identity is this process's; simulated machines have pidfd inodes.
fn is(id: ProcId, p: &Process) -> bool {
    id.pid == p.pid && id.start == p.start && id.generation.is_some_and(|g| g.0 == p.serial)
}

/// Reads through a handle between two steps, both left out.
fn reads(log: &Log, handle: u64, after: usize, before: usize) -> impl Iterator<Item = &Call> {
    let calls = log.calls.get(after..before - 1).unwrap_or_default();
    calls.iter().filter(move |c| c.handle.is_some_and(|(h, _)| h == handle))
}

/// Whether the survey itself had found something that spares, or could not tell.
fn verdict_spares(survey: Option<&Survey>, sent: &Sent) -> bool {
    let deliberate = [Gate::User, Gate::Unsupervised, Gate::Unclaimed, Gate::Unprotected];
    survey.into_iter().flat_map(|s| &s.judgements).filter(|j| is(j.id, &sent.to)).any(|j| match j.verdict {
        Verdict::Unknown => true,
        Verdict::Spare => deliberate.contains(&j.decided_by),
        Verdict::Reap | Verdict::Wait(_) => false,
    })
}
