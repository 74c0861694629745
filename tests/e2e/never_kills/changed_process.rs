//! A process that changes after it was judged.

use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};
use rustix::process::Signal;

use super::interruption::{acting, interposed, lookalike, next_tick, signalled, target, what};
use crate::common::{
    Running, action, decided, ended, explain, finding, home, only, orphan, program, untouched,
    wait_for_sighting,
};

#[test]
fn w25_an_exec_between_the_census_and_the_signal() {
    let change = |processes: &ProcessSet| {
        let other = program(processes, "cat");
        lookalike(processes).behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader()
    };
    interposed(test_name!(), change, |setup| {
        let ran = setup.act(2, || become_another(&setup.last, Signal::USR1, |one| one.comm() == "cat"));
        assert_eq!(target(&ran, &setup.last), what("spared", "[]"));
        let why = action(&ran, &setup.last).unwrap()["why"].to_string();
        assert!(why.contains("in its environment"), "{why}");
        assert!(setup.last.is_alive());
        ended(&ran, &setup.first);
    });
}

#[test]
fn w25_an_exec_while_other_targets_are_judged_slowly() {
    let change = |processes: &ProcessSet| {
        let other = program(processes, "cat");
        lookalike(processes).behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader()
    };
    interposed(test_name!(), change, |setup| {
        // The first has been judged for its signal, and the query for the next one's unit is slow.
        let ran = setup.act(2, || {
            become_another(&setup.first, Signal::USR1, |one| one.comm() == "cat");
            std::thread::sleep(Duration::from_millis(400));
        });
        assert_eq!(target(&ran, &setup.first), what("spared", "[]"));
        assert!(setup.first.is_alive());
        ended(&ran, &setup.last);
    });
}

#[test]
fn w25_a_lost_marker_between_the_census_and_the_signal() {
    interposed(
        test_name!(),
        |processes| lookalike(processes).behave("env-on-usr2").orphan_of_dead_leader(),
        |setup| {
            let ran = setup.act(2, || become_another(&setup.last, Signal::USR2, is_unmarked));
            assert_eq!(target(&ran, &setup.last), what("spared", "[]"));
            let why = action(&ran, &setup.last).unwrap()["why"].to_string();
            assert!(why.contains("marker: "), "{why}");
            assert!(setup.last.is_alive());
            ended(&ran, &setup.first);
        },
    );
}

fn become_another(alive: &ProcessRef, signal: Signal, is_it: impl Fn(&ProcessRef) -> bool) {
    alive.signal(signal.as_raw()).unwrap();
    assert!(alive.wait_until(is_it), "it does not change");
}

fn is_unmarked(alive: &ProcessRef) -> bool {
    alive.environ().is_ok_and(|env| !env.is_empty() && !env.windows(7).any(|part| part == b"SPROUT_"))
}

#[test]
fn w25_a_change_between_term_and_kill() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let other = program(&processes, "cat");
        let deaf = lookalike(&processes).behave("ignore-term");
        let execs = deaf.clone().behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader();
        let sheds = deaf.clone().behave("env-on-usr2").orphan_of_dead_leader();
        let stays = deaf.orphan_of_dead_leader();
        let run = signalled(&processes);
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
fn w25_a_change_during_the_grace() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let other = program(&processes, "cat");
        let execs =
            lookalike(&processes).behave(format!("exec-on-usr1={}", other.display())).orphan_of_dead_leader();
        let sheds = lookalike(&processes).behave("env-on-usr2").orphan_of_dead_leader();
        let stays = orphan(&processes);
        next_tick();
        let run = Running::start(acting(&processes, "1s"));
        for one in [&execs, &sheds, &stays] {
            wait_for_sighting(&home(&processes), one);
        }
        become_another(&execs, Signal::USR1, |one| one.comm() == "cat");
        become_another(&sheds, Signal::USR2, is_unmarked);
        let ran = run.finish().expect_code(0);
        ended(&ran, &stays);
        for changed in [&execs, &sheds] {
            untouched(&ran, changed);
            decided(&ran.judgement(changed.pid).unwrap(), "spare", "marker", "in its environment");
            only_marker_or_name(&processes, changed);
        }
    });
}

/// It is still there, alone, and an orphan: only what it has become spares it.
fn only_marker_or_name(processes: &ProcessSet, alive: &ProcessRef) {
    if alive.comm() == "cat" {
        let judgement = explain(processes, alive);
        assert_eq!(finding(&judgement, "orphan").unwrap()["answer"], "yes", "{judgement:#}");
    } else {
        only(processes, alive, "marker");
    }
}
