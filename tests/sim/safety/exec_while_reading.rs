//! B29: the names and the environment of a judgement are of one program image.

use reaper_platform::Pid;
use reaper_platform::fake::{Fault, FaultScript, Method, Process, When, pid};

use super::scenarios::{sprout, world};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults};

/// A process that executes one program after another, neither of which is a marked agent.
fn programs() -> [Process; 2] {
    [Process::new(400, "goose"), sprout(400, "server").args(&["--port", "1"])]
}

#[test]
fn b29_a_process_that_executes_while_it_is_read_is_never_a_mixture() {
    let [agent, server] = programs();
    for (first, second) in [(agent.clone(), server.clone()), (server, agent)] {
        let machine = world([first.clone()]);
        // What becomes of interest half-way is looked at longer, so more steps than an undisturbed scan has.
        let steps = scan(&world([sprout(400, "goose")]), &policy()).log.calls.len();
        for step in 1..=steps {
            let exec = |into: &Process| Fault::Exec(Box::new(into.clone()));
            for back in [1, 2, 3] {
                let script = FaultScript::new().to(When::Step(step), pid(400), exec(&second)).to(
                    When::Step(step + back),
                    pid(400),
                    exec(&first),
                );
                let run = sweep_with_faults(&machine, script, &policy());
                assert_eq!(run.signalled(), [0; 0], "at {step}, and back {back} later");
                let verdict = run.verdict(400);
                assert!(!verdict.starts_with("reap") && !verdict.starts_with("wait"), "at {step}: {verdict}");
            }
        }
    }
}

#[test]
fn b29_a_process_that_keeps_executing_is_a_doubt() {
    let [agent, server] = programs();
    let machine = world([sprout(400, "goose")]);
    let mut script = FaultScript::new();
    for (nth, into) in [&agent, &server].into_iter().cycle().take(40).enumerate() {
        let read = When::Call(Method::Environ, Some(pid(400)), nth + 1);
        script = script.to(read, pid(400), Fault::Exec(Box::new(into.clone())));
    }
    let run = sweep_with_faults(&machine, script, &policy());
    assert_eq!(run.signalled(), [0; 0]);
    assert!(run.verdict(400).starts_with("unknown"), "{}", run.verdict(400));
}

/// An exec into the same program with the same marker is read again and is what it was.
#[test]
fn b29_one_exec_costs_one_more_read() {
    let same = sprout(400, "goose");
    let machine = world([same.clone()]);
    let script = FaultScript::new().to(
        When::Call(Method::Environ, Pid::new(400), 1),
        pid(400),
        Fault::Exec(Box::new(same)),
    );
    assert_eq!(sweep_with_faults(&machine, script, &policy()).signalled(), [400]);
}
