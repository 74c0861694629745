//! The process that was judged is the one that is signalled, and not its successor.

use std::fs;
use std::time::{Duration, Instant};

use reaper_testkit::{IdMap, PidNamespace, ProcessSet, Shape, in_namespace, recycle_pid, test_name};
use serde_json::Value;

use super::interruption::{SHAPE, acting, interposed, lookalike, next_tick, signalled, target, what};
use crate::common::{
    LONG, Reaper, Running, act, decided, ended, home, marked, orphan, program, records, untouched,
    wait_for_sighting,
};

fn reused_between_term_and_kill() {
    let processes = ProcessSet::new();
    let deaf = lookalike(&processes).behave("ignore-term").orphan_of_dead_leader();
    // A program file of its own: the other stand-ins are one file under many names.
    let apart = processes.directory().join("apart");
    fs::create_dir(&apart).unwrap();
    fs::copy(program(&processes, "claude"), apart.join("claude")).unwrap();
    let other = marked(&processes, "claude").exe_dir(apart).behave("ignore-term").orphan_of_dead_leader();
    let run = signalled(&processes);
    // What starts in the tick in which a target of the same program ends may be what that one became.
    next_tick();
    let next = recycle_pid(&deaf, &lookalike(&processes), SHAPE).unwrap();
    assert_eq!(next.pid, deaf.pid);
    let ran = run.finish().expect_code(0);
    assert!(next.is_alive(), "{}", ran.stdout);
    assert_eq!(target(&ran, &deaf).0, "exited");
    assert_eq!(target(&ran, &other), what("killed", "[\"TERM\",\"KILL\"]"));
    // No record of a second one either.
    let kills = records(&home(&processes)).iter().filter(|r| r["signal"] == "KILL").count();
    assert_eq!(kills, 1);
}

#[test]
fn w07_pid_reuse_between_term_and_kill() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), reused_between_term_and_kill);
}

#[test]
fn w07_pid_reuse_between_term_and_kill_as_an_ordinary_user() {
    in_namespace(&PidNamespace::new().systemd().as_user(1000), test_name!(), reused_between_term_and_kill);
}

#[test]
fn w07_pid_reuse_between_the_census_and_the_signal() {
    interposed(
        test_name!(),
        |processes| lookalike(processes).orphan_of_dead_leader(),
        |setup| {
            let mut next = None;
            // By now the first has been judged for the last time before it is made a target.
            let ran = setup.act(1, || {
                next = Some(recycle_pid(&setup.first, &lookalike(&setup.processes), SHAPE).unwrap())
            });
            let next = next.unwrap();
            assert!(next.is_alive(), "{}", ran.stdout);
            assert_eq!(target(&ran, &setup.first), what("gone", "[]"));
            ended(&ran, &setup.last);
            ended(&act(&setup.processes).run().expect_code(0), &next);
        },
    );
}

#[test]
fn w07_children_of_a_new_process_with_the_targets_pid_are_spared() {
    interposed(
        test_name!(),
        |processes| lookalike(processes).orphan_of_dead_leader(),
        |setup| {
            // The first has been judged; which children it has is asked by its number. That is now an agent at work.
            let mut work = None;
            let ran = setup.act(1, || {
                let agent = recycle_pid(&setup.first, &lookalike(&setup.processes), Shape::Child).unwrap();
                let tool = marked(&setup.processes, "esbuild").own_session().under(&agent);
                work = Some((agent, tool));
            });
            let (agent, tool) = work.unwrap();
            assert_eq!((agent.pid, tool.ppid()), (setup.first.pid, setup.first.pid));
            assert_eq!(target(&ran, &setup.first), what("gone", "[]"));
            untouched(&ran, &tool);
            assert!(agent.is_alive());
            ended(&ran, &setup.last);
        },
    );
}

#[test]
fn w07_pid_reuse_between_opening_the_pidfd_and_the_signal() {
    interposed(
        test_name!(),
        |processes| lookalike(processes).orphan_of_dead_leader(),
        |setup| {
            let (mut first, mut last) = (None, None);
            // All targets are held by handles; the first is judged for its signal, the last is still to be judged.
            let ran = setup.act(2, || {
                first = Some(recycle_pid(&setup.first, &lookalike(&setup.processes), SHAPE).unwrap());
                last = Some(recycle_pid(&setup.last, &lookalike(&setup.processes), SHAPE).unwrap());
            });
            for (next, old) in [(first.unwrap(), &setup.first), (last.unwrap(), &setup.last)] {
                assert!(next.is_alive(), "{}", ran.stdout);
                assert_eq!(target(&ran, old), what("gone", "[]"));
            }
        },
    );
}

fn a_twin_has_a_grace_of_its_own() {
    let processes = ProcessSet::new();
    let old = lookalike(&processes).orphan_of_dead_leader();
    let control = orphan(&processes);
    next_tick();
    let run = Running::start(acting(&processes, "2s"));
    wait_for_sighting(&home(&processes), &old);
    wait_for_sighting(&home(&processes), &control);
    let next = recycle_pid(&old, &lookalike(&processes), SHAPE).unwrap();
    assert_eq!(next.cmdline(), b"goose\0acp\0");
    let ran = run.finish().expect_code(0);
    ended(&ran, &control);
    untouched(&ran, &next);
    let judgement = ran.judgement(next.pid).unwrap();
    decided(&judgement, "wait", "grace", "first seen orphaned now (grace 2s)");
}

#[test]
fn w08_a_lookalike_has_its_own_grace() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), a_twin_has_a_grace_of_its_own);
}

#[test]
fn w08_a_lookalike_has_its_own_grace_as_an_ordinary_user() {
    in_namespace(&PidNamespace::new().systemd().as_user(1000), test_name!(), a_twin_has_a_grace_of_its_own);
}

#[test]
fn w08_a_lookalike_does_not_inherit_an_earlier_sighting() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let old = lookalike(&processes).orphan_of_dead_leader();
        let control = orphan(&processes);
        next_tick();
        let first = Running::start(acting(&processes, "1h"));
        wait_for_sighting(&home(&processes), &old);
        wait_for_sighting(&home(&processes), &control);
        let seen = Instant::now();
        first.kill();
        let next = recycle_pid(&old, &lookalike(&processes), SHAPE).unwrap();
        std::thread::sleep(Duration::from_millis(500).saturating_sub(seen.elapsed()));
        let args = ["scan", "--dry-run", "--all", "--grace", "500ms", "--format", "json"];
        let ran = Reaper::new(&home(&processes), args).run().expect_code(0);
        assert_eq!(ran.verdict(control.pid).0, "reap", "what the killed run saw is not lost");
        let judgement = ran.judgement(next.pid).unwrap();
        decided(&judgement, "wait", "grace", "first seen orphaned now");
        assert_eq!(judgement["orphaned_s"], Value::from(0.0));
        assert!(next.is_alive() && control.is_alive());
    });
}

#[test]
fn w08_an_orphan_adopted_during_the_wait_is_not_ended_with_the_others() {
    in_namespace(&PidNamespace::new().systemd().user_namespace(IdMap::Root), test_name!(), || {
        let processes = ProcessSet::new();
        let control = orphan(&processes);
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let late = marked(&processes, "goose").own_session().under(&launcher);
        next_tick();
        let run = Running::start(acting(&processes, "1s"));
        wait_for_sighting(&home(&processes), &control);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && late.wait_until(|late| late.ppid() == 1));
        let ran = run.finish().expect_code(0);
        ended(&ran, &control);
        untouched(&ran, &late);
        decided(&ran.judgement(late.pid).unwrap(), "wait", "grace", "first seen orphaned now");
    });
}

#[test]
fn w08_an_orphan_not_listed_before_the_question_is_not_ended() {
    interposed(
        test_name!(),
        |processes| lookalike(processes).orphan_of_dead_leader(),
        |setup| {
            // During the survey one more is left behind. No grace protects it.
            let mut late = None;
            let ran = setup.act(1, || late = Some(lookalike(&setup.processes).orphan_of_dead_leader()));
            let late = late.unwrap();
            untouched(&ran, &late);
            ended(&ran, &setup.first);
            ended(&ran, &setup.last);
            ended(&act(&setup.processes).run().expect_code(0), &late);
        },
    );
}
