//! The live test: a process of our own is started, orphaned, found, explained and ended, with the code of a scan.
//!
//! It can end nothing else. Its policy has one profile; only the stand-in has a sighting, so that every other orphan
//! is still in grace; the plan is reduced to the stand-in; and the terminator gets this one target, and judges it
//! twice more through the handle that it signals. Its descendants are not touched.
//!
//! Its account goes into the user's own history, under a sweep that begins with [`SELF_TEST`]: a signal needs a
//! durable account, and on a machine where none can be written nothing can be ended, which the test must find out.
//! `reaper history` shows the account and leaves it out of the totals. Sightings are kept in memory only.

mod failure;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reaper_platform::{Host, Pid, ProcId, ProcessHandle as _, Scope, Why};

use super::stand_in::Launched;
use crate::report::check::{Check, Level};
use crate::report::doctor::{SelfTestReport, StepReport};
use failure::{NAME, Stop, conclude, lost, unexpected};
use reaper_engine::audit::history::History;
use reaper_engine::audit::record::{SELF_TEST, findings};
use reaper_engine::context::Context;
use reaper_engine::format;
use reaper_engine::inspect::Inspector;
use reaper_engine::sightings::{Sightings, is_newborn};
use reaper_engine::state_dir::StateDir;
use reaper_engine::terminate::Terminator;
use reaper_engine::terminate::outcome::Ended;
use reaper_engine::tracker::{Survey, Tracker};
use reaper_policy::builtin_profiles::BUILT_IN;
use reaper_policy::case::Capacity;
use reaper_policy::plan::Target;
use reaper_policy::policy::{Policy, Reach};
use reaper_policy::verdict::{Answer, Finding, Verdict};

/// How long to wait for the lock while another reaper is ending processes.
const BUSY: Duration = Duration::from_secs(3);
/// How long to wait for the kernel to reparent the stand-in, and for PID 1 to reap it.
const LIMIT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(1);
/// One tick of the clock of start times (100 Hz): no sighting is recorded in the tick in which a process starts.
const GRACE: Duration = Duration::from_millis(10);

/// One step of the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, as in the public JSON.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Its result, in words.
    pub what: String,
}

/// The result of the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// The pid of the stand-in; `None` when none was started.
    pub pid: Option<Pid>,
    /// The steps that were made, in order.
    pub steps: Vec<Step>,
    /// The findings of the gates about the stand-in.
    pub findings: Vec<Finding>,
    /// The result as a check.
    pub check: Check,
}

impl SelfTest {
    /// As public JSON.
    #[must_use]
    pub fn report(&self) -> SelfTestReport {
        let step = |step: &Step| StepReport {
            name: step.name.to_owned(),
            took_us: u64::try_from(step.took.as_micros()).unwrap_or(u64::MAX),
            what: step.what.clone(),
        };
        SelfTestReport {
            pid: self.pid.map(Pid::get),
            steps: self.steps.iter().map(step).collect(),
            findings: findings(&self.findings),
        }
    }
}

/// The context of the test: the real machine and scope, with a policy of its own: only the profile that the stand-in is
/// marked for, the shortest grace that works, and no trees. Only the adopters come from the user's settings, because
/// they describe the machine.
#[must_use]
pub fn context<H: Host>(host: Arc<H>, scope: Scope, adopters: &[String]) -> Context<H> {
    let own = BUILT_IN.iter().filter(|built_in| built_in.profile.name == "own");
    let mut policy = Policy {
        grace: GRACE,
        term_timeout: Duration::from_secs(2),
        reach: Reach::Process,
        profiles: own.map(|built_in| built_in.profile.clone()).collect(),
        adopters: adopters.to_vec(),
        ..Policy::default()
    };
    // The stand-in is this very program, which is protected otherwise. No other process has a sighting in the
    // self-test, so that none is ever due and would need this protection; and we and our ancestors are spared anyway.
    policy.protect.retain(|name| name != "reaper");
    Context::new(host, Arc::new(policy), scope)
}

/// Runs the self-test. `program` is the path of this program, `state` the state directory with the history, `limit` the
/// time limit for reading one process.
pub fn run<H: Host>(context: &Context<H>, program: &Path, state: &Path, limit: Duration) -> SelfTest {
    let mut test = Test { context, limit, steps: Vec::new(), findings: Vec::new(), pid: None };
    let begun = Instant::now();
    let check = match test.steps_in_order(program, state) {
        Ok(check) => check,
        Err(stop) => {
            let last = test.steps.last().map_or("nothing was started", |step| step.name);
            let rest = if test.pid.is_some() { "; the stand-in ends by itself within a minute" } else { "" };
            let what = format!("{} (got as far as: {last}){rest}", stop.what);
            Check { name: NAME, level: stop.level, what, hint: Some(stop.hint) }
        }
    };
    let took = format::fine(begun.elapsed());
    let check = match check.level {
        Level::Ok => Check { what: format!("{}, {took} in all", check.what), ..check },
        _ => check,
    };
    SelfTest { pid: test.pid, steps: test.steps, findings: test.findings, check }
}

struct Test<'a, H: Host> {
    context: &'a Context<H>,
    limit: Duration,
    steps: Vec<Step>,
    findings: Vec<Finding>,
    pid: Option<Pid>,
}

impl<H: Host> Test<'_, H> {
    /// Makes the steps in order.
    fn steps_in_order(&mut self, program: &Path, state: &Path) -> Result<Check, Stop> {
        let (mut launched, process) = self.start(program)?;
        let id = process.id();
        let parent = self.orphan(&mut launched, &process)?;
        let mut sightings = Sightings::default();
        self.find(&id, parent, &mut sightings)?;
        self.explain(&process, &sightings)?;
        let target = self.plan(&id, &sightings)?;
        let ended = self.end(target, &sightings, state)?;
        let is_collected = self.collect(&process, parent);
        Ok(conclude(&ended, is_collected, &self.called(parent)))
    }

    fn start(&mut self, program: &Path) -> Result<(Launched, H::ProcessHandle), Stop> {
        let begun = Instant::now();
        let hint = "reaper starts itself for this test: its file must be there and may be executed";
        let launched = Launched::start(program).map_err(|why| Stop::fail(why, hint))?;
        // Its launcher still waits for us and has not reaped it, so that the pid cannot have been reused.
        let process = self.context.host.open(launched.stand_in).map_err(|why| {
            Stop::fail(
                format!("the stand-in (pid {}) cannot be looked at: {why}", launched.stand_in),
                "see the checks `proc` and `sandbox`",
            )
        })?;
        self.pid = Some(launched.stand_in);
        self.step("started", begun, format!("pid {}, marked and leased", launched.stand_in));
        Ok((launched, process))
    }

    fn orphan(&mut self, launched: &mut Launched, process: &H::ProcessHandle) -> Result<Pid, Stop> {
        let begun = Instant::now();
        let hint = "look for what holds it: `ps -ef | grep __stand-in`";
        launched.let_go().map_err(|why| Stop::fail(why, hint))?;
        let parent = loop {
            let stat =
                process.stat().map_err(|why| Stop::fail(format!("the stand-in is lost: {why}"), hint))?;
            if stat.is_dead() {
                return Err(Stop::fail(
                    "the stand-in ended with its launcher",
                    "a sandbox ends whole groups here",
                ));
            }
            if stat.ppid != launched.launcher {
                break stat.ppid;
            }
            if begun.elapsed() > LIMIT {
                return Err(Stop::fail("the kernel does not hand the stand-in over", hint));
            }
            self.context.host.sleep(STEP);
        };
        let parent = parent.ok_or_else(|| {
            let hint = "run reaper inside the PID namespace whose orphans it is to end, with an init there";
            Stop::fail("orphans leave this PID namespace", hint)
        })?;
        let called = self.called(parent);
        self.step("orphaned", begun, format!("its launcher is dead, {called} has it"));
        Ok(parent)
    }

    /// Finds the stand-in by a survey, and records a sighting of it alone.
    fn find(&mut self, id: &ProcId, parent: Pid, sightings: &mut Sightings) -> Result<(), Stop> {
        let begun = Instant::now();
        let host = &*self.context.host;
        // No sighting is recorded in the tick in which a process starts.
        while is_newborn(id, &host.clock(), host.info()) && begun.elapsed() < LIMIT {
            host.sleep(STEP);
        }
        let looked = Instant::now();
        let survey = Tracker::survey(self.context, sightings, false, self.limit).map_err(|e| {
            Stop::fail(format!("{e}: no orphan can be found"), "see the checks `proc` and `adopters`")
        })?;
        let Some(judgement) = survey.judgements.iter().find(|j| j.id == *id) else {
            return Err(self.not_found(parent, &survey));
        };
        self.step(
            "found",
            looked,
            format!(
                "by {}, among {}",
                survey.census.method,
                format::count(survey.census.examined, "process")
            ),
        );
        self.findings.clone_from(&judgement.findings);
        if !judgement.is_orphan() {
            return Err(unexpected(judgement));
        }
        sightings.note(*id, &host.clock(), host.info());
        Ok(())
    }

    fn not_found(&self, parent: Pid, survey: &Survey) -> Stop {
        let called = self.called(parent);
        if !survey.census.adopters.contains(&parent) {
            return Stop::fail(
                format!("the stand-in was not found: {called} has it, which is no adopter that reaper knows"),
                "name it in `adopters` in the config: what it has adopted is found then, and ended where the death of its \
                 parent is proven",
            );
        }
        if survey.blind {
            let hint = "see the check `sandbox`";
            return Stop::fail("the stand-in was not found: not one environment can be read", hint);
        }
        let looked = format::count(survey.census.examined, "process");
        let what = format!("the stand-in was not found among {looked}, {} unreadable", survey.unreadable);
        Stop::fail(what, "run the test again; if it fails again, please report it")
    }

    /// Waits until the grace is over, and judges the stand-in by every gate.
    fn explain(&mut self, process: &H::ProcessHandle, sightings: &Sightings) -> Result<(), Stop> {
        let grace = self.context.policy.grace;
        let begun = Instant::now();
        self.context.host.sleep(grace + STEP);
        self.step("waited", begun, format!("its grace of {} ms is over", grace.as_millis()));
        let begun = Instant::now();
        let clock = self.context.host.clock();
        let judgement = Inspector::new(self.context)
            .judge(process, Capacity::Explained, |id| sightings.past(id, &clock))
            .map_err(|why| lost(&why))?;
        self.findings.clone_from(&judgement.findings);
        if judgement.verdict != Verdict::Reap {
            return Err(unexpected(&judgement));
        }
        let yes = judgement.findings.iter().filter(|f| f.answer == Answer::Yes).count();
        self.step("explained", begun, format!("verdict reap: {yes} gates say yes"));
        Ok(())
    }

    /// Surveys again, as before every end, and takes the stand-in alone from the plan.
    fn plan(&mut self, id: &ProcId, sightings: &Sightings) -> Result<Target, Stop> {
        let begun = Instant::now();
        let survey = Tracker::survey(self.context, sightings, false, self.limit)
            .map_err(|e| Stop::fail(format!("{e}: nothing can be planned"), "run the test again"))?;
        let target = survey.plan.targets.into_iter().find(|target| target.id == *id && target.root == *id);
        let target = target.ok_or_else(|| {
            let judged = survey.judgements.iter().find(|j| j.id == *id);
            judged.map_or_else(|| lost(&Why::Gone), unexpected)
        })?;
        self.step("planned", begun, "it alone".to_owned());
        Ok(target)
    }

    fn end(&mut self, target: Target, sightings: &Sightings, state: &Path) -> Result<Ended, Stop> {
        let host = &*self.context.host;
        let here = host.info();
        if let Some(why) = &here.cannot_signal {
            let hint = "see the check `kernel`";
            return Err(Stop::fail(format!("it cannot be ended: {why}"), hint));
        }
        let state = StateDir::create(state, here.uid)?;
        let _lock = state.lock_to_act(BUSY)?.ok_or_else(|| Stop::busy(state.busy()))?;
        let mut history = History::open(&state)?;
        let begun = Instant::now();
        let (seen, ours) = (sightings.clone(), Arc::clone(&self.context.host));
        let sweep = format!("{SELF_TEST}{}-{}", host.clock().realtime.as_millis(), here.pid);
        let mut terminator = Terminator {
            context: self.context,
            past: Arc::new(move |id: &ProcId| seen.past(id, &ours.clock())),
            account: &mut history,
            watcher: &mut (),
            sweep: &sweep,
            limit: self.limit,
            trouble: None,
        };
        let ended = terminator.run(&[target]);
        let trouble = terminator.trouble.take();
        if let Some(e) = trouble {
            return Err(e.into());
        }
        let ended = ended.into_iter().next().ok_or_else(|| lost(&Why::Gone))?;
        let signals: Vec<String> = ended.signals.iter().map(|s| format!("SIG{s}")).collect();
        let signals = if signals.is_empty() { "no signal".to_owned() } else { signals.join(", ") };
        self.step(
            "ended",
            begun,
            format!("{signals}, {} after {}", ended.outcome.name(), format::fine(ended.took)),
        );
        Ok(ended)
    }

    /// Whether its new parent reaps it; some parents check for dead children once a second only.
    fn collect(&mut self, process: &H::ProcessHandle, parent: Pid) -> bool {
        let begun = Instant::now();
        while process.stat().is_ok() {
            if begun.elapsed() > LIMIT {
                return false;
            }
            self.context.host.sleep(STEP);
        }
        let called = self.called(parent);
        self.step("collected", begun, format!("by {called}"));
        true
    }

    fn called(&self, pid: Pid) -> String {
        Inspector::new(self.context).adopter(pid, None).0
    }

    fn step(&mut self, name: &'static str, begun: Instant, what: String) {
        self.steps.push(Step { name, took: begun.elapsed(), what });
    }
}
