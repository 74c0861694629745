//! The process that was judged is the one that is signalled: not its successor, and not what it became.

use std::time::{Duration, Instant};

use reaper_testkit::{Actor, Alive, IdMap, Shape, Stage, Troupe, here, play, recycle_pid, skip};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Ran, Reaper};
use crate::support::{
    LONG, Running, act, action, decided, ended, finding, home, marked, only, orphan, program, records,
    untouched, wait_for_sighting,
};
use crate::units::Units;

const SHAPE: Shape = Shape::OrphanOfDeadLeader;

/// The most dangerous successor there is: in all but identity the same.
fn twin(troupe: &Troupe) -> Actor {
    marked(troupe, "goose").args(["acp"])
}

fn acting(troupe: &Troupe, grace: &str) -> Reaper {
    Reaper::new(&home(troupe), ["scan", "--yes", "--all", "--grace", grace, "--format", "json"])
}

/// What happened to the process that was a target when it was looked at first.
fn target(ran: &Ran, alive: &Alive) -> (String, String) {
    let action = action(ran, alive).unwrap_or_else(|| panic!("no target: {}\n{}", alive.pid, ran.stdout));
    (action["outcome"].as_str().unwrap().to_owned(), action["signals"].to_string())
}

fn what(outcome: &str, signals: &str) -> (String, String) {
    (outcome.to_owned(), signals.to_owned())
}

/// Starts a run that waits for who ignores SIGTERM, and returns when every target has been sent one: they get it in
/// the order of their numbers, and the last one ends by it.
fn signalled(troupe: &Troupe) -> Running {
    let last = orphan(troupe);
    let run = Running::start(act(troupe).env("REAPER_TERM_TIMEOUT", "1s"));
    assert!(last.wait_gone(LONG));
    run
}

/// Waits for the next tick of the clock: no process is remembered in the tick in which it started.
fn next_tick() {
    std::thread::sleep(Duration::from_millis(20));
}

fn reused_between_term_and_kill() {
    let troupe = Troupe::new();
    let deaf = twin(&troupe).behave("ignore-term").orphan_of_dead_leader();
    let other = marked(&troupe, "claude").behave("ignore-term").orphan_of_dead_leader();
    let run = signalled(&troupe);
    let next = recycle_pid(&deaf, &twin(&troupe), SHAPE).unwrap();
    assert_eq!(next.pid, deaf.pid);
    let ran = run.finish().expect_code(0);
    assert!(next.is_alive(), "{}", ran.stdout);
    assert_eq!(target(&ran, &deaf).0, "exited");
    assert_eq!(target(&ran, &other), what("killed", "[\"TERM\",\"KILL\"]"));
    // No account of a second one either.
    let kills = records(&home(&troupe)).iter().filter(|r| r["signal"] == "KILL").count();
    assert_eq!(kills, 1);
}

#[test]
fn w07_pid_reuse_between_term_and_kill() {
    play(&Stage::new().systemd(), here!(), reused_between_term_and_kill);
}

#[test]
fn w07_pid_reuse_between_term_and_kill_for_an_ordinary_user() {
    play(&Stage::new().systemd().as_user(1000), here!(), reused_between_term_and_kill);
}

/// Two orphans, the second in a service, so that the manager is asked at each look: in both surveys and before
/// the signal. What is judged before it, or after it, is `first` or `last`.
struct Interposed {
    troupe: Troupe,
    units: Units,
    first: Alive,
    last: Alive,
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
    fn act(&self, n: u32, interpose: impl FnOnce()) -> Ran {
        self.units.stop_at(n);
        let run = Running::start(self.units.act(&self.troupe));
        self.units.wait_at(n);
        interpose();
        self.units.go_on(n);
        let ran = run.finish();
        assert_eq!(self.units.asked(), 3, "in two surveys, and before the signal\n{}", ran.stdout);
        ran
    }
}

/// Raises the scene, or says why not.
macro_rules! interposed {
    ($make:expr) => {
        match Interposed::new($make) {
            Ok(scene) => scene,
            Err(reason) => return skip(here!(), &reason),
        }
    };
}

#[test]
fn w07_pid_reuse_between_the_census_and_the_signal() {
    play(&Stage::new().systemd(), here!(), || {
        let scene = interposed!(|troupe| twin(troupe).orphan_of_dead_leader());
        let mut next = None;
        // By now the first has been judged for the last time before it is made a target.
        let ran =
            scene.act(2, || next = Some(recycle_pid(&scene.first, &twin(&scene.troupe), SHAPE).unwrap()));
        let next = next.unwrap();
        assert!(next.is_alive(), "{}", ran.stdout);
        assert_eq!(target(&ran, &scene.first), what("gone", "[]"));
        ended(&ran, &scene.last);
        ended(&act(&scene.troupe).run().expect_code(0), &next);
    });
}

#[test]
fn w07_pid_reuse_between_the_pin_and_the_signal() {
    play(&Stage::new().systemd(), here!(), || {
        let scene = interposed!(|troupe| twin(troupe).orphan_of_dead_leader());
        let (mut first, mut last) = (None, None);
        // All targets are pinned; the first is cleared for its signal, the last is still to be judged.
        let ran = scene.act(3, || {
            first = Some(recycle_pid(&scene.first, &twin(&scene.troupe), SHAPE).unwrap());
            last = Some(recycle_pid(&scene.last, &twin(&scene.troupe), SHAPE).unwrap());
        });
        for (next, old) in [(first.unwrap(), &scene.first), (last.unwrap(), &scene.last)] {
            assert!(next.is_alive(), "{}", ran.stdout);
            assert_eq!(target(&ran, old), what("gone", "[]"));
        }
    });
}

#[test]
fn w25_an_exec_between_the_census_and_the_signal() {
    play(&Stage::new().systemd(), here!(), || {
        let change = |troupe: &Troupe| {
            let other = program(troupe, "cat");
            twin(troupe).behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader()
        };
        let scene = interposed!(change);
        let ran = scene.act(3, || become_another(&scene.last, Signal::USR1, |one| one.comm() == "cat"));
        assert_eq!(target(&ran, &scene.last), what("spared", "[]"));
        let why = action(&ran, &scene.last).unwrap()["why"].to_string();
        assert!(why.contains("marker: REAPER_MANAGED is not in its environment"), "{why}");
        assert!(scene.last.is_alive());
        ended(&ran, &scene.first);
    });
}

#[test]
fn w25_another_environment_between_the_census_and_the_signal() {
    play(&Stage::new().systemd(), here!(), || {
        let scene = interposed!(|troupe| twin(troupe).behave("env-on-usr2").orphan_of_dead_leader());
        let ran = scene.act(3, || become_another(&scene.last, Signal::USR2, is_unmarked));
        assert_eq!(target(&ran, &scene.last), what("spared", "[]"));
        let why = action(&ran, &scene.last).unwrap()["why"].to_string();
        assert!(why.contains("marker: "), "{why}");
        assert!(scene.last.is_alive());
        ended(&ran, &scene.first);
    });
}

fn become_another(alive: &Alive, signal: Signal, is_it: impl Fn(&Alive) -> bool) {
    alive.signal(signal.as_raw()).unwrap();
    assert!(alive.wait_until(is_it), "it does not change");
}

fn is_unmarked(alive: &Alive) -> bool {
    alive.environ().is_ok_and(|env| !env.is_empty() && !env.windows(7).any(|part| part == b"SPROUT_"))
}

#[test]
fn w25_a_change_between_term_and_kill() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let other = program(&troupe, "cat");
        let deaf = twin(&troupe).behave("ignore-term");
        let execs = deaf.clone().behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader();
        let sheds = deaf.clone().behave("env-on-usr2").orphan_of_dead_leader();
        let stays = deaf.orphan_of_dead_leader();
        let run = signalled(&troupe);
        become_another(&execs, Signal::USR1, |one| one.comm() == "cat");
        become_another(&sheds, Signal::USR2, is_unmarked);
        let ran = run.finish().expect_code(0);
        for changed in [&execs, &sheds] {
            assert_eq!(target(&ran, changed), what("spared", "[\"TERM\"]"), "{}", ran.stdout);
            assert!(changed.is_alive());
        }
        assert_eq!(target(&ran, &stays), what("killed", "[\"TERM\",\"KILL\"]"));
    });
}

#[test]
fn w25_a_change_while_grace_is_waited_out() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let other = program(&troupe, "cat");
        let execs = twin(&troupe).behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader();
        let sheds = twin(&troupe).behave("env-on-usr2").orphan_of_dead_leader();
        let stays = orphan(&troupe);
        next_tick();
        let run = Running::start(acting(&troupe, "1s"));
        for one in [&execs, &sheds, &stays] {
            wait_for_sighting(&home(&troupe), one);
        }
        become_another(&execs, Signal::USR1, |one| one.comm() == "cat");
        become_another(&sheds, Signal::USR2, is_unmarked);
        let ran = run.finish().expect_code(0);
        ended(&ran, &stays);
        for changed in [&execs, &sheds] {
            untouched(&ran, changed);
            decided(&ran.judgement(changed.pid).unwrap(), "spare", "marker", "is not in its environment");
            only_marker_or_name(&troupe, changed);
        }
    });
}

/// It is still there, alone, and an orphan: only what it became speaks for it.
fn only_marker_or_name(troupe: &Troupe, alive: &Alive) {
    if alive.comm() == "cat" {
        let judgement = crate::support::explain(troupe, alive);
        assert_eq!(finding(&judgement, "orphan").unwrap()["answer"], "yes", "{judgement:#}");
    } else {
        only(troupe, alive, "marker");
    }
}

fn a_twin_has_a_grace_of_its_own() {
    let troupe = Troupe::new();
    let old = twin(&troupe).orphan_of_dead_leader();
    let control = orphan(&troupe);
    next_tick();
    let run = Running::start(acting(&troupe, "2s"));
    wait_for_sighting(&home(&troupe), &old);
    wait_for_sighting(&home(&troupe), &control);
    let next = recycle_pid(&old, &twin(&troupe), SHAPE).unwrap();
    assert_eq!(next.cmdline(), b"goose\0acp\0");
    let ran = run.finish().expect_code(0);
    ended(&ran, &control);
    untouched(&ran, &next);
    let judgement = ran.judgement(next.pid).unwrap();
    decided(&judgement, "wait", "grace", "first seen orphaned now (grace 2s)");
}

#[test]
fn w08_a_twin_has_a_grace_of_its_own() {
    play(&Stage::new().systemd(), here!(), a_twin_has_a_grace_of_its_own);
}

#[test]
fn w08_a_twin_has_a_grace_of_its_own_for_an_ordinary_user() {
    play(&Stage::new().systemd().as_user(1000), here!(), a_twin_has_a_grace_of_its_own);
}

#[test]
fn w08_a_twin_does_not_inherit_what_an_earlier_run_saw() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let old = twin(&troupe).orphan_of_dead_leader();
        let control = orphan(&troupe);
        next_tick();
        let first = Running::start(acting(&troupe, "1h"));
        wait_for_sighting(&home(&troupe), &old);
        wait_for_sighting(&home(&troupe), &control);
        let seen = Instant::now();
        first.kill();
        let next = recycle_pid(&old, &twin(&troupe), SHAPE).unwrap();
        std::thread::sleep(Duration::from_millis(500).saturating_sub(seen.elapsed()));
        let args = ["scan", "--dry-run", "--all", "--grace", "500ms", "--format", "json"];
        let ran = Reaper::new(&home(&troupe), args).run().expect_code(0);
        assert_eq!(ran.verdict(control.pid).0, "reap", "what the killed run saw is not lost");
        let judgement = ran.judgement(next.pid).unwrap();
        decided(&judgement, "wait", "grace", "first seen orphaned now");
        assert_eq!(judgement["orphaned_s"], Value::from(0.0));
        assert!(next.is_alive() && control.is_alive());
    });
}

#[test]
fn w08_who_is_adopted_during_the_wait_is_not_ended_with_the_others() {
    play(&Stage::new().systemd().user_namespace(IdMap::Root), here!(), || {
        let troupe = Troupe::new();
        let control = orphan(&troupe);
        let launcher = marked(&troupe, "sprout-acp").own_session().child();
        let late = marked(&troupe, "goose").own_session().under(&launcher);
        next_tick();
        let run = Running::start(acting(&troupe, "1s"));
        wait_for_sighting(&home(&troupe), &control);
        launcher.kill();
        assert!(launcher.wait_collected(LONG) && late.wait_until(|late| late.ppid() == 1));
        let ran = run.finish().expect_code(0);
        ended(&ran, &control);
        untouched(&ran, &late);
        decided(&ran.judgement(late.pid).unwrap(), "wait", "grace", "first seen orphaned now");
    });
}
