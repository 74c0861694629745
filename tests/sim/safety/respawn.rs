//! B34, B35: a target that respawns as its own child, and one that is stopped.

use std::time::Duration;

use reaper_engine::audit::words;
use reaper_platform::fake::{Fault, FaultScript, Method, Process, Reaction, When};
use reaper_platform::{Signal, State};

use super::invariants::broken;
use super::scenarios::{sprout, world};
use crate::support::sweep::{scan, sweep_with_faults};
use crate::support::{TERM_TIMEOUT, policy, whereabouts};

/// When the first SIGTERM is sent on these machines, in ticks; later events do not change it.
fn sigterm() -> u64 {
    let run = scan(&world([sprout(400, "goose")]), &policy());
    whereabouts().start_clock.now(&run.log.sent[0].clock).0
}

/// What a process that forks on SIGTERM becomes: the same program in a session of its own.
fn again(number: i32, start: u64) -> Process {
    sprout(number, "goose").leader().started(start)
}

#[test]
fn b34_a_respawned_target_has_its_own_deadline() {
    let start = sigterm();
    let second = again(401, start);
    let machine = world([sprout(400, "goose").on_term(Reaction::LeaveChild(Box::new(second)))]);
    let run = scan(&machine, &policy());
    assert_eq!(broken(&run), [""; 0]);
    let sent: Vec<_> = run.log.sent.iter().map(|s| (s.to.pid.get(), s.signal)).collect();
    assert_eq!(sent, [(400, Signal::Term), (401, Signal::Kill)]);
    assert_eq!((run.outcome(400), run.outcome(401)), ("exited", "killed"));
    let since = run.log.sent[1].clock.boottime - Duration::from_millis(start * 10);
    assert!(since >= TERM_TIMEOUT && since < TERM_TIMEOUT + Duration::from_secs(1), "{since:?}");
    let role = |pid: i32| run.records.iter().find(|(_, r)| r.pid == pid).map(|(_, r)| r.role.clone());
    assert_eq!(role(401), Some(words::Role::Successor.into()));
    let why = run.ended.iter().find_map(|e| (e.target.id.pid.get() == 401).then(|| e.why.clone())).flatten();
    assert_eq!(why.as_deref(), Some("it came back: pid 400 started it while that was being ended"));
}

#[test]
fn b34_lookalikes_are_not_taken_for_a_respawn() {
    let start = sigterm();
    // Another program, another user's, one that was there before, one that asked to be kept.
    for other in [
        sprout(401, "claude").leader().started(start),
        again(401, start).uid(1001),
        again(401, start - 1),
        again(401, start).env("REAPER_KEEP", "1"),
    ] {
        let machine = world([sprout(400, "goose").on_term(Reaction::LeaveChild(Box::new(other)))]);
        let run = scan(&machine, &policy());
        let sent: Vec<_> = run.log.sent.iter().map(|s| (s.to.pid.get(), s.signal)).collect();
        assert_eq!(sent, [(400, Signal::Term)], "{:?}", run.outcome(401));
    }
}

/// Another launcher's orphan of the same program, which was started meanwhile, is not what the target became.
#[test]
fn b34_an_orphan_started_meanwhile_is_not_taken_for_a_respawn() {
    let start = sigterm();
    let slow = sprout(400, "goose").on_term(Reaction::ExitAfter(Duration::from_secs(2)));
    let during = When::Call(Method::Wait, None, 1);
    let script = FaultScript::new().at(during, Fault::Start(Box::new(again(401, start + 10))));
    let run = sweep_with_faults(&world([slow]), script, &policy());
    let sent: Vec<_> = run.log.sent.iter().map(|s| (s.to.pid.get(), s.signal)).collect();
    assert_eq!(sent, [(400, Signal::Term)], "{:?}", run.outcome(401));
}

#[test]
fn b35_a_stopped_target_is_continued_to_handle_sigterm() {
    let stopped = Process { state: State(b'T'), ..sprout(400, "goose") };
    let run = scan(&world([stopped.clone()]), &policy());
    assert_eq!(broken(&run), [""; 0]);
    let sent: Vec<_> = run.log.sent.iter().map(|s| s.signal).collect();
    assert_eq!((sent, run.outcome(400)), (vec![Signal::Term, Signal::Cont], "exited"));
    // Each signal has its record.
    let announced: Vec<_> = run.records.iter().filter_map(|(_, r)| r.signal.clone()).collect();
    assert_eq!(announced, [words::Signal::Term.into(), words::Signal::Cont.into()]);
    // One that ignores SIGTERM also gets SIGKILL as usual.
    let run = scan(&world([stopped.on_term(Reaction::Ignore)]), &policy());
    let sent: Vec<_> = run.log.sent.iter().map(|s| s.signal).collect();
    assert_eq!((sent, run.outcome(400)), (vec![Signal::Term, Signal::Cont, Signal::Kill], "killed"));
}
