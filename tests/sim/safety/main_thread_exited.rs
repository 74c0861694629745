//! B23, B24: a process is dead when no thread of it is left, and not when its main thread has exited.

use reaper_platform::State;
use reaper_platform::fake::{Fault, FaultScript, Method, Process, Reaction, When, pid};

use super::scenarios::{buzz, sprout, world};
use crate::support::sweep::{scan, sweep_with_faults};
use crate::support::{lease, policy, whereabouts};

/// Its main thread has exited, and another one runs.
fn without_main_thread(process: Process) -> Process {
    Process { state: State(b'Z'), threads: 2, ..process }
}

/// All of its threads have exited.
fn dead(process: Process) -> Process {
    Process { state: State(b'Z'), threads: 1, ..process }
}

#[test]
fn b23_an_owner_without_its_main_thread_is_alive() {
    let here = whereabouts();
    let leased = |owner: Process| {
        let lease = format!("{}:{}", lease(600, 1_600), here.pid_namespace);
        let worker = Process::new(650, "worker").env("REAPER_MANAGED", "1").env("REAPER_OWNER", &lease);
        scan(&world([owner, worker]), &policy())
    };
    let owner = || Process::new(600, "launcher").child_of(50).leader();
    let run = leased(without_main_thread(owner()));
    assert_eq!((run.signalled(), run.verdict(650).as_str()), (vec![], "spare unclaimed"));
    assert_eq!(leased(dead(owner())).signalled(), [650]);
    let named = |owner: Process| {
        let agent = Process::new(650, "my-agent").env("MINE", "1").env("MINE_PID", "600");
        scan(&world([owner, agent]), &policy()).signalled()
    };
    assert_eq!(named(without_main_thread(owner())), [0; 0]);
    assert_eq!(named(dead(owner())), [650]);
}

#[test]
fn b23_a_holder_or_a_leader_without_its_main_thread_is_alive() {
    let beside = |holder: Process| scan(&world([buzz(650, "goose", "run"), holder]), &policy()).signalled();
    let holder = || buzz(600, "buzz-acp", "run").child_of(300).leader();
    assert_eq!(beside(without_main_thread(holder())), [0; 0]);
    assert_eq!(beside(dead(holder())), [650]);
    let led = |leader: Process| {
        let member = sprout(650, "goose").session(600).group(600);
        scan(&world([leader, member]), &policy()).signalled()
    };
    let leader = || sprout(600, "sprout-acp").child_of(300).leader();
    assert_eq!(led(without_main_thread(leader())), [0; 0]);
    assert_eq!(led(dead(leader())), [650]);
}

#[test]
fn b24_a_target_that_ends_only_its_main_thread_is_killed_and_never_reported_as_exited() {
    let machine = world([sprout(400, "goose").on_term(Reaction::ExitMainThread)]);
    let run = scan(&machine, &policy());
    assert_eq!((run.signalled(), run.outcome(400)), (vec![400, 400], "killed"));
    // One that does not end on SIGKILL either is alive, whatever its state.
    let machine = world([sprout(400, "goose").on_term(Reaction::ExitMainThread).on_kill(Reaction::Ignore)]);
    let run = scan(&machine, &policy());
    assert_eq!((run.signalled(), run.outcome(400)), (vec![400, 400], "survived"));
}

#[test]
fn b24_an_orphan_without_its_main_thread_is_found() {
    let run = scan(&world([without_main_thread(sprout(400, "goose"))]), &policy());
    assert_eq!((run.signalled(), run.outcome(400)), (vec![400], "exited"));
}

/// Whenever a main thread exits, a sweep kills the process or spares it; it never reports it as ended before it is.
#[test]
fn b24_a_main_thread_may_exit_at_any_moment() {
    let machine = world([sprout(400, "goose").on_term(Reaction::Ignore)]);
    let steps = scan(&machine, &policy()).log.calls.len();
    for step in 1..=steps {
        let script = FaultScript::new().to(When::Step(step), pid(400), Fault::ExitMainThread);
        let run = sweep_with_faults(&machine, script, &policy());
        let is_there =
            run.log.states.last().is_some_and(|(_, m)| m.get(pid(400)).is_some_and(|p| !p.is_dead()));
        let said = run.outcome(400);
        assert!(!(is_there && ["exited", "killed", "gone"].contains(&said)), "step {step}: {said}");
    }
}

/// Only the handle decides whether a process has ended: where it cannot answer, nothing is reported as ended.
#[test]
fn b24_a_handle_that_does_not_answer_is_not_taken_as_an_exit() {
    let machine = world([sprout(400, "goose")]);
    let silent = Fault::Fail(reaper_platform::Why::Failed("input/output error".to_owned()));
    let script = FaultScript::new().at(When::Every(Method::HasEnded, Some(pid(400))), silent);
    let run = sweep_with_faults(&machine, script, &policy());
    assert_eq!((run.signalled(), run.outcome(400)), (vec![], "spared"));
}
