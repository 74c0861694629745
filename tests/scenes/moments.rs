//! The moments at which one process can be taken for another, brought about on purpose.

use std::time::Duration;

use reaper_testkit::{Actor, Alive, Shape, Stage, Troupe, play, skip};

use crate::common::{Ran, Reaper};
use crate::support::{LONG, Running, act, action, home, marked, orphan};
use crate::units::Units;

pub const SHAPE: Shape = Shape::OrphanOfDeadLeader;

/// The most dangerous successor there is: in all but identity the same.
pub fn twin(troupe: &Troupe) -> Actor {
    marked(troupe, "goose").args(["acp"])
}

pub fn acting(troupe: &Troupe, grace: &str) -> Reaper {
    Reaper::new(&home(troupe), ["scan", "--yes", "--all", "--grace", grace, "--format", "json"])
}

/// What happened to the process that was a target when it was looked at first.
pub fn target(ran: &Ran, alive: &Alive) -> (String, String) {
    let action = action(ran, alive).unwrap_or_else(|| panic!("no target: {}\n{}", alive.pid, ran.stdout));
    (action["outcome"].as_str().unwrap().to_owned(), action["signals"].to_string())
}

pub fn what(outcome: &str, signals: &str) -> (String, String) {
    (outcome.to_owned(), signals.to_owned())
}

/// Starts a run that waits for who ignores SIGTERM, and returns when every target has been sent one: they get it in
/// the order of their numbers, and the last one ends by it.
pub fn signalled(troupe: &Troupe) -> Running {
    let last = orphan(troupe);
    let run = Running::start(act(troupe).env("REAPER_TERM_TIMEOUT", "1s"));
    assert!(last.wait_gone(LONG));
    run
}

/// Waits for the next tick of the clock: no process is remembered in the tick in which it started.
pub fn next_tick() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Three orphans, the second in a service, so that the manager is asked at each look: in the survey and before the
/// signal. What is judged before it, or after it, is `first` or `last`.
pub struct Interposed {
    pub troupe: Troupe,
    pub units: Units,
    pub first: Alive,
    pub last: Alive,
}

impl Interposed {
    fn new(make: impl Fn(&Troupe) -> Alive) -> Result<Self, String> {
        let troupe = Troupe::new();
        let units = Units::new(&troupe)?;
        let first = make(&troupe);
        let middle = orphan(&troupe);
        let last = make(&troupe);
        assert!(first.pid < middle.pid && middle.pid < last.pid, "they are looked at in this order");
        units.enter("system.slice/cron.service", &middle);
        units.answer("--system", "cron.service", 1, 0);
        Ok(Self { troupe, units, first, last })
    }

    /// Acts, and does something while the manager is asked for the `n`th time.
    pub fn act(&self, n: u32, interpose: impl FnOnce()) -> Ran {
        self.units.stop_at(n);
        let run = Running::start(self.units.act(&self.troupe));
        self.units.wait_at(n);
        interpose();
        self.units.go_on(n);
        let ran = run.finish();
        assert!(self.units.asked() >= 2, "in the survey, and before the signal\n{}", ran.stdout);
        ran
    }
}

/// Plays a scene of that kind. `make` makes the first and the last.
pub fn interposed(name: &str, make: impl Fn(&Troupe) -> Alive, direct: impl FnOnce(Interposed)) {
    play(&Stage::new().systemd(), name, || match Interposed::new(make) {
        Ok(scene) => direct(scene),
        Err(reason) => skip(name, &reason),
    });
}
