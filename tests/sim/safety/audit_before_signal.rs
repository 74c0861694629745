//! Law 6: a durable record before every signal, and its outcome after, whatever fails meanwhile.

use reaper_engine::audit::words::{Answer, Event, Outcome, Role, Signal};
use reaper_platform::Why;
use reaper_platform::fake::{FakeHost, Fault, FaultScript, Method, When};
use reaper_policy::escalation;

use super::scenarios;
use crate::support::sweep::{Ledger, PATIENT, Run, scan, sweep, sweep_with_faults};
use crate::support::{policy, whereabouts};

fn events(run: &Run) -> Vec<(Event, i32)> {
    run.records.iter().map(|(_, r)| (r.event, r.pid)).collect()
}

fn with_failing_account(from: usize) -> Run {
    let host = FakeHost::new(whereabouts(), scenarios::tree().machine, FaultScript::new());
    let mut ledger = Ledger::new(&host);
    ledger.fails_from = Some(from);
    sweep(&host, &policy(), PATIENT, &mut ledger)
}

#[test]
fn every_target_has_an_outcome_and_every_signal_an_intent() {
    let run = scan(&scenarios::tree().machine, &policy());
    let intents = events(&run).iter().filter(|(event, _)| *event == Event::Intent).count();
    assert_eq!(intents, run.log.sent.len());
    for ended in &run.ended {
        assert!(events(&run).contains(&(Event::Outcome, ended.target.id.pid.get())));
    }
}

#[test]
fn without_a_record_no_signal_is_sent() {
    let whole = scan(&scenarios::tree().machine, &policy());
    let run = with_failing_account(0);
    assert!(run.signalled().is_empty() && run.trouble.is_some());
    assert!(run.ended.iter().all(|e| e.outcome == escalation::Outcome::Spared), "{:?}", run.ended);
    // SIGTERM had its account; SIGKILL and the outcome have none.
    let run = with_failing_account(1);
    assert_eq!(run.signalled(), whole.signalled()[..5]);
    assert!(run.trouble.is_some() && events(&run).iter().all(|(event, _)| *event == Event::Intent));
    assert_eq!(run.outcome(411), "spared");
}

/// What was signalled is recorded with its outcome, and reported, even when waiting is impossible.
#[test]
fn when_waiting_fails_the_outcomes_are_still_written() {
    let whole = scan(&scenarios::tree().machine, &policy());
    for method in [Method::Wait, Method::ExitWatcher] {
        let calls = whole.log.calls.iter().filter(|c| c.method == method).count();
        for nth in 1..=calls {
            let fails = When::Call(method, None, nth);
            let failure = Fault::Fail(Why::Failed("out of memory".to_owned()));
            let run = sweep_with_faults(
                &scenarios::tree().machine,
                FaultScript::new().at(fails, failure),
                &policy(),
            );
            assert!(run.trouble.is_some() || run.error.is_some(), "{method:?} {nth}: it is said");
            for sent in &run.log.sent {
                let pid = sent.to.pid.get();
                let outcome = (Event::Outcome, pid);
                assert!(events(&run).contains(&outcome), "{method:?} {nth}: no outcome of pid {pid}");
                assert!(run.ended.iter().any(|e| e.target.id.pid == sent.to.pid), "{method:?} {nth}: {pid}");
            }
        }
    }
}

#[test]
fn a_record_names_the_process_the_reason_and_the_outcome() {
    let run = scan(&scenarios::plain().machine, &policy());
    let [(_, intent), (_, outcome)] = run.records.as_slice() else { panic!("{:?}", run.records) };
    assert_eq!((intent.event, &intent.signal), (Event::Intent, &Some(Signal::Term.into())));
    assert_eq!((intent.pid, intent.root, &intent.role), (400, 400, &Role::Root.into()));
    let gates: Vec<String> = intent.findings.iter().map(|f| f.gate.to_string()).collect();
    assert_eq!(
        gates,
        ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected", "grace"]
    );
    assert!(intent.findings.iter().all(|f| f.answer.is(Answer::Yes) && !f.evidence.is_empty()));
    assert_eq!((outcome.event, &outcome.outcome), (Event::Outcome, &Some(Outcome::Exited.into())));
    assert_eq!((&outcome.sweep, outcome.start_ticks), (&intent.sweep, intent.start_ticks));
}
