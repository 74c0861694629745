//! Law 3: judged again, with the same gates, before SIGTERM and before SIGKILL; and with a member the
//! orphan that it is ended with.

use std::time::Duration;

use reaper_platform::fake::{Fault, FaultScript, Machine, Method, Reaction, When, pid};
use reaper_platform::{Uid, Why};

use super::scenarios::{buzz, sprout, world};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults};

fn denied() -> Fault {
    Fault::Fail(Why::Denied)
}

/// An orphan and a child of it, both of which stay after SIGTERM.
fn stubborn() -> Machine {
    let child = sprout(401, "rg").child_of(400).leader().on_term(Reaction::Ignore);
    world([sprout(400, "goose").on_term(Reaction::Ignore), child])
}

#[test]
fn a_target_spared_before_sigkill_is_not_killed() {
    assert_eq!(scan(&stubborn(), &policy()).signalled(), [401, 400, 401, 400]);
    let kept = Fault::Environ(b"SPROUT_MANAGED_AGENT=1\0REAPER_KEEP=1\0".to_vec());
    for what in [kept, Fault::Wipe, Fault::Setuid(Uid(0))] {
        let during = When::Call(Method::Wait, None, 1);
        let run = sweep_with_faults(
            &stubborn(),
            FaultScript::new().to(during.clone(), pid(401), what.clone()),
            &policy(),
        );
        assert_eq!(run.signalled(), [401, 400, 400], "the child: {what:?}");
        let run =
            sweep_with_faults(&stubborn(), FaultScript::new().to(during, pid(400), what.clone()), &policy());
        assert_eq!(run.signalled(), [401, 400], "the orphan, and so its child: {what:?}");
    }
}

#[test]
fn an_owner_that_appears_spares_the_whole_tree_before_each_signal() {
    let child = buzz(401, "rg", "run").child_of(400).leader().on_term(Reaction::Ignore);
    let machine = world([buzz(400, "goose", "run").on_term(Reaction::Ignore), child]);
    let undisturbed = scan(&machine, &policy());
    assert_eq!(undisturbed.signalled(), [401, 400, 401, 400]);
    let owner = || Fault::Start(Box::new(buzz(510, "goose", "run").child_of(700).leader()));
    let run = sweep_with_faults(
        &machine,
        FaultScript::new().at(When::Step(undisturbed.ending), owner()),
        &policy(),
    );
    assert_eq!(run.signalled(), [0; 0]);
    let run = sweep_with_faults(
        &machine,
        FaultScript::new().at(When::Call(Method::Wait, None, 1), owner()),
        &policy(),
    );
    assert_eq!(run.signalled(), [401, 400]);
}

/// If the orphan cannot be read, its descendants are not ended either.
#[test]
fn an_orphan_that_cannot_be_opened_again_spares_its_tree() {
    let pins = scan(&stubborn(), &policy()).log.calls;
    let ending = scan(&stubborn(), &policy()).ending;
    let before =
        pins.iter().filter(|c| c.step <= ending && c.method == Method::Open && c.pid == Some(pid(400)));
    let first = When::Call(Method::Open, Some(pid(400)), before.count() + 1);
    let run = sweep_with_faults(&stubborn(), FaultScript::new().at(first, denied()), &policy());
    assert_eq!((run.signalled(), run.outcome(400), run.outcome(401)), (vec![], "spared", "spared"));
}

#[test]
fn an_orphan_that_may_not_be_signalled_spares_its_tree_from_sigkill() {
    for method in [Method::Signal, Method::Watch] {
        let refused = When::Every(method, Some(pid(400)));
        let run = sweep_with_faults(&stubborn(), FaultScript::new().at(refused, denied()), &policy());
        assert_eq!((run.signalled(), run.outcome(400)), (vec![401], "denied"), "{method:?}");
    }
}

/// Where not all targets can be held by a handle at once, the orphan is in a later batch than its children.
#[test]
fn an_orphan_in_a_later_batch_is_judged_before_each_signal_to_its_tree() {
    let mut machine = stubborn();
    machine.handle_limit = 1;
    assert_eq!(scan(&machine, &policy()).signalled(), [401, 401, 400, 400]);
    let kept = || Fault::Environ(b"SPROUT_MANAGED_AGENT=1\0REAPER_KEEP=1\0".to_vec());
    let ending = scan(&machine, &policy()).ending;
    let run = sweep_with_faults(
        &machine,
        FaultScript::new().to(When::Step(ending + 1), pid(400), kept()),
        &policy(),
    );
    assert_eq!(run.signalled(), [0; 0]);
    let during = When::Call(Method::Wait, None, 1);
    let run = sweep_with_faults(&machine, FaultScript::new().to(during, pid(400), kept()), &policy());
    assert_eq!(run.signalled(), [401], "before SIGKILL, too");
    let unseen = When::Every(Method::Environ, Some(pid(400)));
    let unseen = FaultScript::new().at(unseen, Fault::Delay(Duration::ZERO));
    assert_eq!(sweep_with_faults(&machine, unseen, &policy()).signalled(), [401, 401, 400, 400]);
}
