//! The live test: a process of our own is started, orphaned, found, explained and ended, by the means of a scan.
//!
//! It can end nothing else. Its policy knows one profile; of all processes only the stand-in has a sighting, so
//! that every other orphan is still in grace; the plan is cut down to the stand-in; and the one target is handed to
//! the terminator, which judges it twice more through the handle that it signals. What hangs below is not touched.
//!
//! Its account goes into the user's own history, under a sweep that begins with [`SELF_TEST`]: a signal needs a
//! durable account, whoever it is for, and a machine where none can be written is one where nothing can be ended,
//! which is what is to be found out. `reaper history` shows it and leaves it out of the totals. Sightings are kept
//! in memory: nobody else needs them.

mod stop;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reaper_platform::{Host, Pid, Pinned as _, ProcId, Scope, Why};

use super::stand_in::Launched;
use crate::report::check::{Check, Level};
use crate::report::doctor::{SelfTestReport, StepReport};
use reaper_engine::audit::history::History;
use reaper_engine::audit::record::{SELF_TEST, findings};
use reaper_engine::context::Ground;
use reaper_engine::format;
use reaper_engine::inspect::Looker;
use reaper_engine::sightings::{Sightings, is_newborn};
use reaper_engine::state_dir::StateDir;
use reaper_engine::terminate::Terminator;
use reaper_engine::terminate::outcome::Ended;
use reaper_engine::tracker::{Survey, Tracker};
use reaper_policy::builtin_profiles::BUILT_IN;
use reaper_policy::case::How;
use reaper_policy::plan::Target;
use reaper_policy::policy::{Policy, Reach};
use reaper_policy::verdict::{Answer, Finding, Verdict};
use stop::{NAME, Stop, conclude, lost, unexpected};

/// How long another reaper may be ending processes before we give up.
const BUSY: Duration = Duration::from_secs(3);
/// How long the kernel may take to hand the stand-in over, or PID 1 to collect it.
const LIMIT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(1);
/// One tick of the clock by which the kernel counts starts: no process is remembered as an orphan in its first.
const GRACE: Duration = Duration::from_millis(10);

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub what: String,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// The stand-in; `None` when there was none.
    pub pid: Option<Pid>,
    /// What was done, as far as it went.
    pub steps: Vec<Step>,
    /// What the gates said of the stand-in.
    pub findings: Vec<Finding>,
    /// How it came out.
    pub check: Check,
}

impl SelfTest {
    /// The public JSON of it.
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

/// The ground to test on: the machine and the scope as they are. Whatever the user's settings are, only the profile is in
/// force that the stand-in is marked for, the grace is the shortest that is one, and no tree is ended. Only the adopters
/// are the user's, because they describe the machine.
#[must_use]
pub fn ground<H: Host>(host: Arc<H>, scope: Scope, adopters: &[String]) -> Ground<H> {
    let own = BUILT_IN.iter().filter(|built_in| built_in.profile.name == "own");
    let mut policy = Policy {
        grace: GRACE,
        term_timeout: Duration::from_secs(2),
        reach: Reach::Process,
        profiles: own.map(|built_in| built_in.profile.clone()).collect(),
        adopters: adopters.to_vec(),
        ..Policy::default()
    };
    // The stand-in is this very program, which is protected elsewhere. No other process has a sighting in the self-test,
    // so that none comes so far as to need this protection; and we and our ancestors are spared anyway.
    policy.protect.retain(|name| name != "reaper");
    Ground::new(host, Arc::new(policy), scope)
}

/// Tests. `program` is this program's file, `state` where accounts go, `limit` how long one process may take to be
/// read.
pub fn run<H: Host>(ground: &Ground<H>, program: &Path, state: &Path, limit: Duration) -> SelfTest {
    let mut test = Test { ground, limit, steps: Vec::new(), findings: Vec::new(), pid: None };
    let begun = Instant::now();
    let check = match test.story(program, state) {
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
    ground: &'a Ground<H>,
    limit: Duration,
    steps: Vec<Step>,
    findings: Vec<Finding>,
    pid: Option<Pid>,
}

impl<H: Host> Test<'_, H> {
    /// The story, from top to bottom.
    fn story(&mut self, program: &Path, state: &Path) -> Result<Check, Stop> {
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

    fn start(&mut self, program: &Path) -> Result<(Launched, H::Pinned), Stop> {
        let begun = Instant::now();
        let hint = "reaper starts itself for this test: its file must be there and may be executed";
        let launched = Launched::start(program).map_err(|why| Stop::fail(why, hint))?;
        // Its launcher still waits for us, so nobody else can have this number.
        let process = self.ground.host.pin(launched.stand_in).map_err(|why| {
            Stop::fail(
                format!("the stand-in (pid {}) cannot be looked at: {why}", launched.stand_in),
                "see the checks `proc` and `sandbox`",
            )
        })?;
        self.pid = Some(launched.stand_in);
        self.step("started", begun, format!("pid {}, marked and leased", launched.stand_in));
        Ok((launched, process))
    }

    fn orphan(&mut self, launched: &mut Launched, process: &H::Pinned) -> Result<Pid, Stop> {
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
            self.ground.host.sleep(STEP);
        };
        let parent = parent.ok_or_else(|| {
            let hint = "run reaper inside the PID namespace whose orphans it is to end, with an init there";
            Stop::fail("orphans leave this PID namespace", hint)
        })?;
        let called = self.called(parent);
        self.step("orphaned", begun, format!("its launcher is dead, {called} has it"));
        Ok(parent)
    }

    /// Finds it by a survey, and remembers the sighting: of it alone.
    fn find(&mut self, id: &ProcId, parent: Pid, sightings: &mut Sightings) -> Result<(), Stop> {
        let begun = Instant::now();
        let host = &*self.ground.host;
        // Nobody is remembered in the tick of its start.
        while is_newborn(id, &host.clock(), host.here()) && begun.elapsed() < LIMIT {
            host.sleep(STEP);
        }
        let looked = Instant::now();
        let survey = Tracker::survey(self.ground, sightings, false, self.limit).map_err(|e| {
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
        sightings.note(*id, &host.clock(), host.here());
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

    /// Waits out the grace, and asks every gate.
    fn explain(&mut self, process: &H::Pinned, sightings: &Sightings) -> Result<(), Stop> {
        let grace = self.ground.policy.grace;
        let begun = Instant::now();
        self.ground.host.sleep(grace + STEP);
        self.step("waited", begun, format!("its grace of {} ms is over", grace.as_millis()));
        let begun = Instant::now();
        let clock = self.ground.host.clock();
        let judgement = Looker::new(self.ground)
            .judge(process, How::Explained, |id| sightings.past(id, &clock))
            .map_err(|why| lost(&why))?;
        self.findings.clone_from(&judgement.findings);
        if judgement.verdict != Verdict::Reap {
            return Err(unexpected(&judgement));
        }
        let yes = judgement.findings.iter().filter(|f| f.answer == Answer::Yes).count();
        self.step("explained", begun, format!("verdict reap: {yes} gates say yes"));
        Ok(())
    }

    /// Looks again, as before every end. Whoever else is in the plan is no business of ours.
    fn plan(&mut self, id: &ProcId, sightings: &Sightings) -> Result<Target, Stop> {
        let begun = Instant::now();
        let survey = Tracker::survey(self.ground, sightings, false, self.limit)
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
        let host = &*self.ground.host;
        let here = host.here();
        if let Some(why) = &here.cannot_signal {
            let hint = "see the check `kernel`";
            return Err(Stop::fail(format!("it cannot be ended: {why}"), hint));
        }
        let state = StateDir::create(state, here.uid)?;
        let _lock = state.lock_to_act(BUSY)?.ok_or_else(|| Stop::busy(state.busy()))?;
        let mut history = History::open(&state)?;
        let begun = Instant::now();
        let (seen, ours) = (sightings.clone(), Arc::clone(&self.ground.host));
        let sweep = format!("{SELF_TEST}{}-{}", host.clock().realtime.as_millis(), here.pid);
        let mut terminator = Terminator {
            ground: self.ground,
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

    /// Whether its new parent collects it; some look for dead children every second only.
    fn collect(&mut self, process: &H::Pinned, parent: Pid) -> bool {
        let begun = Instant::now();
        while process.stat().is_ok() {
            if begun.elapsed() > LIMIT {
                return false;
            }
            self.ground.host.sleep(STEP);
        }
        let called = self.called(parent);
        self.step("collected", begun, format!("by {called}"));
        true
    }

    fn called(&self, pid: Pid) -> String {
        Looker::new(self.ground).adopter(pid, None).0
    }

    fn step(&mut self, name: &'static str, begun: Instant, what: String) {
        self.steps.push(Step { name, took: begun.elapsed(), what });
    }
}
