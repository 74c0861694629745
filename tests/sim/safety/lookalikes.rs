//! W8: a new process that equals an earlier one in all that can be compared waits for a grace of its own.

use reaper_platform::fake::{Fault, FaultScript, Method, Process, When, pid};

use super::scenarios::{sprout, world};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults};

/// A launcher starts the same agent anew, with the number of the one that is being ended.
#[test]
fn w08_a_lookalike_that_has_just_started_waits_for_its_grace() {
    let machine = world([sprout(400, "goose")]);
    let steps = scan(&machine, &policy()).log.calls.len();
    for step in 1..=steps {
        for generations in [true, false] {
            let mut machine = machine.clone();
            machine.generations = generations;
            let again = sprout(400, "goose").started(370_000);
            let script = FaultScript::new().to(When::Step(step), pid(400), Fault::Reuse(Box::new(again)));
            let run = sweep_with_faults(&machine, script, &policy());
            let young = run.log.sent.iter().find(|s| s.to.start.0 == 370_000);
            assert!(young.is_none(), "at step {step}: ended {:?}", young.map(|s| s.clock.monotonic));
        }
    }
}

/// A process group is a number, too. When its last member has ended, the number can come to lead another
/// group, and its members are no members of the old one.
#[test]
fn w08_a_group_number_that_is_reused_names_another_group() {
    // The leader of the orphan's group is long dead.
    let orphan = || sprout(400, "goose").group(395).session(0);
    let fresh = || sprout(395, "goose").leader().started(370_000);
    let steps = scan(&world([orphan()]), &policy()).log;
    let term = steps.sent[0].step;
    for step in term..=steps.calls.len() {
        let script = FaultScript::new().to(When::Step(step + 1), pid(400), Fault::Start(Box::new(fresh())));
        let run = sweep_with_faults(&world([orphan()]), script, &policy());
        assert_eq!(
            run.signalled(),
            [400],
            "a newcomer that leads a group of the same number, at step {step}"
        );
    }
    // What was forked into the group while it was being ended is still ended.
    let child = sprout(401, "goose").group(395).session(0).started(370_000);
    let forked =
        FaultScript::new().to(When::Call(Method::Signal, None, 1), pid(400), Fault::Fork(Box::new(child)));
    assert_eq!(sweep_with_faults(&world([orphan()]), forked, &policy()).signalled(), [400, 401]);
}

/// The same with a session: the number of a target that led one is led by another.
#[test]
fn w08_a_session_number_that_is_reused_names_another_session() {
    let machine = world([sprout(400, "goose").leader()]);
    let leader = Process::new(400, "zsh").leader().started(370_000);
    let helper = sprout(405, "goose").session(400).group(405).started(370_000);
    let term = scan(&machine, &policy()).log.sent[0].step;
    for step in term + 1..term + 30 {
        let script = FaultScript::new()
            .to(When::Step(step), pid(400), Fault::Reuse(Box::new(leader.clone())))
            .to(When::Step(step), pid(400), Fault::Start(Box::new(helper.clone())));
        let run = sweep_with_faults(&machine, script, &policy());
        assert!(!run.signalled().contains(&405), "at step {step}");
    }
}
