//! W7: a pid that is reused between look, SIGTERM and SIGKILL never brings a signal to the new process.

use std::time::Duration;

use reaper_platform::fake::{Fault, FaultScript, Machine, Method, Process, Reaction, When, pid};

use super::scenarios::{sprout, world};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults};

/// At every step from when the orphan was seen on, a newcomer gets its number and its start tick.
fn reused_at_every_step(machine: &Machine, newcomer: &Process) {
    let undisturbed = scan(machine, &policy());
    let star = newcomer.pid;
    for step in undisturbed.seen.0 + 1..=undisturbed.log.calls.len() {
        let reuse = Fault::Reuse(Box::new(newcomer.clone()));
        let run = sweep_with_faults(machine, FaultScript::new().to(When::Step(step), star, reuse), &policy());
        for sent in run.log.sent.iter().filter(|s| s.to.pid == star) {
            let old = machine.get(star).unwrap().serial;
            assert_eq!(sent.to.serial, old, "at step {step}, SIG{} reached the next holder", sent.signal);
        }
    }
}

fn stubborn() -> Machine {
    world([sprout(400, "goose").on_term(Reaction::Ignore)])
}

#[test]
fn w07_another_process_with_the_pid_of_an_orphan_is_never_signalled() {
    assert_eq!(scan(&stubborn(), &policy()).signalled(), [400, 400]);
    reused_at_every_step(&stubborn(), &Process::new(400, "vim"));
}

/// The newcomer is marked, known and orphaned, and alike in everything but that it is another.
#[test]
fn w07_a_lookalike_with_the_pid_of_an_orphan_is_never_signalled() {
    reused_at_every_step(&stubborn(), &sprout(400, "goose"));
}

#[test]
fn w07_another_process_with_the_pid_of_a_member_is_never_signalled() {
    let child = sprout(401, "rg").child_of(400).on_term(Reaction::Ignore);
    let machine = world([sprout(400, "goose"), child]);
    assert_eq!(scan(&machine, &policy()).signalled(), [401, 400, 401]);
    reused_at_every_step(&machine, &sprout(401, "claude").child_of(300));
}

/// Without pidfd inodes (before Linux 6.9) number and tick are all there is: a handle still tells.
#[test]
fn w07_without_generation_numbers_the_handle_detects_reuse() {
    let mut machine = stubborn();
    machine.generations = false;
    reused_at_every_step(&machine, &Process::new(400, "vim"));
}

/// A dead process is not signalled a second time, however long it stays a zombie.
#[test]
fn w07_a_zombie_is_not_signalled_again() {
    let lazy = sprout(400, "goose").on_term(Reaction::ExitAfter(Duration::from_secs(1)));
    let mut machine = world([lazy]);
    machine.processes.get_mut(&pid(1)).unwrap().collects = false;
    let run = scan(&machine, &policy());
    assert_eq!((run.signalled(), run.outcome(400)), (vec![400], "exited"));
    assert!(run.ended[0].zombie);
    let early = FaultScript::new().to(When::Call(Method::Sleep, None, 1), pid(400), Fault::Zombie);
    assert_eq!(sweep_with_faults(&machine, early, &policy()).signalled(), [0; 0]);
}
