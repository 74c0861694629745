//! W25: a process that changes between the census and the signal is judged again, and spared.

use reaper_platform::fake::{Fault, FaultScript, Machine, Process, When, pid};
use reaper_platform::{Pid, Uid};

use super::scenarios::{sprout, world};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults};

/// Applies the change at every step from the second survey up to the last read before the signal, and expects
/// the process to be spared.
fn spared_from_the_second_survey_on(machine: &Machine, target: Pid, what: &Fault) {
    let undisturbed = scan(machine, &policy());
    let signal = undisturbed.log.sent.iter().find(|s| s.to.pid == target).expect("it is signalled as a rule");
    let read = undisturbed.log.calls[..signal.step - 1]
        .iter()
        .rev()
        .find(|c| c.handle.is_some_and(|(handle, _)| handle == signal.handle) && c.step < signal.step)
        .expect("it was read");
    // The judgement reads it last of all before the record is written; reads of it begin five calls before.
    let judged = undisturbed.log.calls[..read.step]
        .iter()
        .rposition(|c| c.pid == Some(target) && c.method == reaper_platform::fake::Method::Ids)
        .expect("it was judged");
    for step in undisturbed.again + 1..=judged + 1 {
        let run = sweep_with_faults(
            machine,
            FaultScript::new().to(When::Step(step), target, what.clone()),
            &policy(),
        );
        assert!(!run.signalled().contains(&target.get()), "{what:?} at step {step} of {judged}");
    }
}

#[test]
fn w25_an_orphan_that_executes_another_program_is_spared() {
    let machine = world([sprout(400, "goose")]);
    let marked = |p: Process| p.env("SPROUT_MANAGED_AGENT", "1");
    let changes = [
        Fault::Exec(Box::new(marked(Process::new(400, "vim")))),
        Fault::Exec(Box::new(marked(Process::new(400, "tmux")))),
        Fault::Exec(Box::new(Process::new(400, "goose"))),
        Fault::Environ(b"SPROUT_MANAGED_AGENT=0\0".to_vec()),
        Fault::Environ(b"SPROUT_MANAGED_AGENT=1\0REAPER_KEEP=1\0".to_vec()),
        Fault::Wipe,
        Fault::Setuid(Uid(0)),
        Fault::Reparent(pid(700)),
    ];
    for what in changes {
        spared_from_the_second_survey_on(&machine, pid(400), &what);
    }
}

/// A shell runs another program after its agent has ended.
#[test]
fn w25_a_wrapper_that_executes_another_program_is_spared() {
    let machine = world([
        sprout(400, "sh").group(400).session(0),
        sprout(401, "goose").child_of(400).group(400).session(0),
    ]);
    assert_eq!(scan(&machine, &policy()).signalled(), [401, 400]);
    let editor = Process::new(400, "vim").env("SPROUT_MANAGED_AGENT", "1");
    spared_from_the_second_survey_on(&machine, pid(400), &Fault::Exec(Box::new(editor)));
}

#[test]
fn w25_a_group_member_that_leaves_the_group_is_spared() {
    let machine =
        world([sprout(400, "goose").group(400).session(0), sprout(401, "rg").group(400).session(0)]);
    assert_eq!(scan(&machine, &policy()).signalled(), [400, 401]);
    spared_from_the_second_survey_on(&machine, pid(401), &Fault::Setsid);
}

#[test]
fn w25_a_member_that_drops_its_marker_is_spared() {
    let machine = world([sprout(400, "goose"), sprout(401, "rg").child_of(400).leader()]);
    for what in [Fault::Environ(b"PATH=/usr/bin\0".to_vec()), Fault::Wipe, Fault::Setuid(Uid(0))] {
        spared_from_the_second_survey_on(&machine, pid(401), &what);
    }
}
