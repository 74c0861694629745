//! One whole sweep, as `reaper scan --yes` makes it: look, remember, wait, look again, end what was listed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_engine::audit::record::{Account, Record};
use reaper_engine::context::Context;
use reaper_engine::failure::Failure;
use reaper_engine::sightings::Sightings;
use reaper_engine::sweep;
use reaper_engine::terminate::outcome::Ended;
use reaper_engine::terminate::trouble::Trouble;
use reaper_engine::tracker::{Survey, Tracker};
use reaper_platform::fake::{FakeHost, FaultScript, Log, Machine};
use reaper_platform::{Host as _, HostError, ProcId, Scope};
use reaper_policy::policy::Policy;
use reaper_policy::verdict::Verdict;

use super::whereabouts;

/// Longer than any read that does not hang.
pub const PATIENT: Duration = Duration::from_secs(2);

/// An in-memory history, with the step after which each record was written.
pub struct Ledger {
    host: FakeHost,
    pub records: Vec<(usize, Record)>,
    /// From which attempt on it fails; 0 is the first.
    pub fails_from: Option<usize>,
    attempts: usize,
}

impl Ledger {
    pub fn new(host: &FakeHost) -> Self {
        Self { host: host.clone(), records: Vec::new(), fails_from: None, attempts: 0 }
    }
}

impl Account for Ledger {
    fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        self.attempts += 1;
        if self.fails_from.is_some_and(|first| self.attempts > first) {
            return Err(Failure::new("cannot write").at("history").because("the disk is full"));
        }
        let step = self.host.steps();
        self.records.extend(records.iter().map(|record| (step, record.clone())));
        Ok(())
    }
}

/// The result of a sweep.
pub struct Run {
    /// The first look; what it listed may be ended.
    pub first: Option<Survey>,
    /// The look after the wait.
    pub last: Option<Survey>,
    pub ended: Vec<Ended>,
    pub records: Vec<(usize, Record)>,
    pub trouble: Option<Trouble>,
    pub error: Option<HostError>,
    /// When the orphans of the first look were remembered: a step, and the monotonic clock.
    pub seen: (usize, Duration),
    /// The step before the second look.
    pub again: usize,
    /// The step before the ending.
    pub ending: usize,
    pub log: Log,
}

impl Run {
    /// The processes that received a signal, by pid.
    pub fn signalled(&self) -> Vec<i32> {
        self.log.sent.iter().map(|s| s.to.pid.get()).collect()
    }

    /// The outcome of a target.
    pub fn outcome(&self, pid: i32) -> &'static str {
        self.ended.iter().find(|e| e.target.id.pid.get() == pid).map_or("", |e| e.outcome.name())
    }

    /// A process's verdict at the second look, or else at the first, with what decided.
    pub fn verdict(&self, pid: i32) -> String {
        let survey = self.last.as_ref().or(self.first.as_ref());
        let found = survey.and_then(|s| s.judgements.iter().find(|j| j.id.pid.get() == pid));
        found.map_or_else(String::new, |j| format!("{} {}", j.verdict.name(), j.decided_by))
    }
}

/// Sweeps a machine while the faults of a script happen on it.
pub fn sweep_with_faults(machine: &Machine, script: FaultScript, policy: &Arc<Policy>) -> Run {
    let host = FakeHost::new(whereabouts(), machine.clone(), script);
    sweep(&host, policy, PATIENT, &mut Ledger::new(&host))
}

/// When a sweep counts as hung: longer than any machine is ever busy.
const HUNG: Duration = Duration::from_secs(60);

/// The same where a read may hang. `None` when the sweep hung with it.
pub fn sweep_with_hangs(machine: &Machine, script: FaultScript, policy: &Arc<Policy>) -> Option<Run> {
    const IMPATIENT: Duration = Duration::from_millis(10);
    let host = FakeHost::new(whereabouts(), machine.clone(), script);
    let (tell, told) = std::sync::mpsc::channel();
    let sweeper = {
        let (host, policy) = (host.clone(), Arc::clone(policy));
        std::thread::spawn(move || {
            let run = sweep(&host, &policy, IMPATIENT, &mut Ledger::new(&host));
            drop(tell.send(run));
        })
    };
    let run = told.recv_timeout(HUNG);
    host.release();
    sweeper.join().unwrap();
    run.ok()
}

/// Sweeps a machine without faults.
pub fn scan(machine: &Machine, policy: &Arc<Policy>) -> Run {
    sweep_with_faults(machine, FaultScript::new(), policy)
}

/// Sweeps as `reaper scan --yes` does.
pub fn sweep(host: &FakeHost, policy: &Arc<Policy>, limit: Duration, ledger: &mut Ledger) -> Run {
    let mut run = sweep_with(host, policy, limit, ledger);
    run.records = ledger.records.clone();
    run
}

/// The same with a history of the test's own.
pub fn sweep_with(host: &FakeHost, policy: &Arc<Policy>, limit: Duration, ledger: &mut dyn Account) -> Run {
    let mut run = Run {
        first: None,
        last: None,
        ended: Vec::new(),
        records: Vec::new(),
        trouble: None,
        error: None,
        seen: (0, Duration::MAX),
        again: 0,
        ending: 0,
        log: Log::default(),
    };
    run.error = steps(host, policy, limit, ledger, &mut run).err();
    run.log = host.log();
    run
}

fn steps(
    host: &FakeHost,
    policy: &Arc<Policy>,
    limit: Duration,
    ledger: &mut dyn Account,
    run: &mut Run,
) -> Result<(), HostError> {
    let scope = Scope::User(host.info().uid);
    let context = Context::new(Arc::new(host.clone()), Arc::clone(policy), scope);
    let mut sightings = Sightings::default();
    let first = run.first.insert(Tracker::survey(&context, &sightings, false, limit)?).clone();
    run.seen = (host.steps(), host.machine().clock.monotonic);
    sweep::remember(&context, &first, &mut sightings);
    let listed: HashSet<ProcId> = first.orphans().map(|j| j.id).collect();
    if listed.is_empty() {
        return Ok(());
    }
    let longest = first.judgements.iter().filter_map(|j| match j.verdict {
        Verdict::Wait(left) => Some(left),
        _ => None,
    });
    if let Some(longest) = longest.max() {
        host.sleep(longest + Duration::from_millis(10));
    }
    run.again = host.steps();
    let mut last = Tracker::survey(&context, &sightings, false, limit)?;
    last.plan.targets.retain(|t| listed.contains(&t.root));
    run.last = Some(last.clone());
    sweep::remember(&context, &last, &mut sightings);
    run.ending = host.steps();
    if !last.plan.targets.is_empty() {
        (run.ended, run.trouble) =
            sweep::end(&context, &last.plan, &last.judgements, &sightings, ledger, &mut (), limit);
    }
    Ok(())
}
