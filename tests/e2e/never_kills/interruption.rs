//! Helpers that stop a run at a chosen moment, so that a process can be exchanged just then.

use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, Shape, in_namespace, skip};

use super::systemd_units::Units;
use crate::common::{LONG, Ran, Reaper, Running, act, action, home, marked, orphan};

pub const SHAPE: Shape = Shape::OrphanOfDeadLeader;

/// The most dangerous successor: equal in everything but identity.
pub fn lookalike(processes: &ProcessSet) -> ProcessSpec {
    marked(processes, "goose").args(["acp"])
}

pub fn acting(processes: &ProcessSet, grace: &str) -> Reaper {
    Reaper::new(&home(processes), ["scan", "--yes", "--all", "--grace", grace, "--format", "json"])
}

/// What happened to the process that was a target when it was looked at first.
pub fn target(ran: &Ran, alive: &ProcessRef) -> (String, String) {
    let action = action(ran, alive).unwrap_or_else(|| panic!("no target: {}\n{}", alive.pid, ran.stdout));
    (action["outcome"].as_str().unwrap().to_owned(), action["signals"].to_string())
}

pub fn what(outcome: &str, signals: &str) -> (String, String) {
    (outcome.to_owned(), signals.to_owned())
}

/// Starts a run that waits for a target that ignores SIGTERM, and returns when every target has been sent one: they get
/// it in the order of their numbers, and the last one ends by it.
pub fn signalled(processes: &ProcessSet) -> Running {
    let last = orphan(processes);
    let run = Running::start(act(processes).env("REAPER_TERM_TIMEOUT", "1s"));
    assert!(last.wait_exit(LONG));
    run
}

/// Waits for the next tick of the clock: no process is remembered in the tick in which it started.
pub fn next_tick() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Three orphans, the second in a service, so that the manager is asked at each look: in the survey and before the
/// signal. What is judged before it, or after it, is `first` or `last`.
pub struct Interposed {
    pub processes: ProcessSet,
    pub units: Units,
    pub first: ProcessRef,
    pub last: ProcessRef,
}

impl Interposed {
    fn new(make: impl Fn(&ProcessSet) -> ProcessRef) -> Result<Self, String> {
        let processes = ProcessSet::new();
        let units = Units::new(&processes)?;
        let first = make(&processes);
        let middle = orphan(&processes);
        let last = make(&processes);
        assert!(first.pid < middle.pid && middle.pid < last.pid, "they are looked at in this order");
        units.enter("system.slice/cron.service", &middle);
        units.answer("--system", "cron.service", 1, 0);
        Ok(Self { processes, units, first, last })
    }

    /// Acts, and does something while the manager is asked for the `n`th time.
    pub fn act(&self, n: u32, interpose: impl FnOnce()) -> Ran {
        self.units.stop_at(n);
        let run = Running::start(self.units.act(&self.processes));
        self.units.wait_at(n);
        interpose();
        self.units.go_on(n);
        let ran = run.finish();
        assert!(self.units.asked() >= 2, "in the survey, and before the signal\n{}", ran.stdout);
        ran
    }
}

/// Runs a test of that kind. `make` makes the first and the last.
pub fn interposed(name: &str, make: impl Fn(&ProcessSet) -> ProcessRef, direct: impl FnOnce(Interposed)) {
    in_namespace(&PidNamespace::new().systemd(), name, || match Interposed::new(make) {
        Ok(setup) => direct(setup),
        Err(reason) => skip(name, &reason),
    });
}
