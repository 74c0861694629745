//! B28: a process is judged again when writing its record took so long that the judgement is old.

use std::time::Duration;

use reaper_engine::audit::record::{Account, Record};
use reaper_engine::audit::words::{Event, Outcome};
use reaper_engine::failure::Failure;
use reaper_platform::fake::{FakeHost, FaultScript, Machine, Process, pid};

use super::scenarios::{sprout, world};
use crate::support::sweep::{Ledger, PATIENT, Run, sweep_with};
use crate::support::{policy, whereabouts};

/// A disk that takes its time for the account of a signal, and what happens meanwhile.
struct Slow<F> {
    ledger: Ledger,
    host: FakeHost,
    takes: Duration,
    meanwhile: Option<F>,
}

impl<F: FnOnce(&mut Machine)> Account for Slow<F> {
    fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        self.ledger.write(records)?;
        if records.iter().any(|r| r.event == Event::Intent)
            && let Some(happen) = self.meanwhile.take()
        {
            self.host.change(|machine| {
                machine.advance(self.takes);
                happen(machine);
            });
        }
        Ok(())
    }
}

fn with_a_disk(takes: Duration, meanwhile: impl FnOnce(&mut Machine)) -> Run {
    let host = FakeHost::new(whereabouts(), world([sprout(400, "goose")]), FaultScript::new());
    let ledger = Ledger::new(&host);
    let mut slow = Slow { ledger, host: host.clone(), takes, meanwhile: Some(meanwhile) };
    let mut run = sweep_with(&host, &policy(), PATIENT, &mut slow);
    run.records = slow.ledger.records;
    run
}

fn becomes(process: Process) -> impl FnOnce(&mut Machine) {
    move |machine| {
        if let Some(it) = machine.processes.get_mut(&pid(400)) {
            it.exec(&process);
        }
    }
}

#[test]
fn b28_a_target_protected_while_its_record_is_written_gets_no_signal() {
    let slow = Duration::from_secs(4);
    for other in
        [sprout(400, "tmux"), sprout(400, "goose").env("REAPER_KEEP", "1"), Process::new(400, "goose")]
    {
        let run = with_a_disk(slow, becomes(other));
        assert_eq!((run.signalled(), run.outcome(400)), (vec![], "spared"));
        let last = run.records.last().map(|(_, record)| record.clone()).unwrap();
        assert_eq!((last.event, last.outcome), (Event::Outcome, Some(Outcome::Spared.into())));
        let why = last.why.unwrap();
        assert!(why.starts_with("called off after it was announced: "), "{why}");
    }
}

#[test]
fn b28_a_slow_disk_alone_spares_nothing() {
    for takes in
        [Duration::ZERO, Duration::from_millis(249), Duration::from_millis(251), Duration::from_secs(4)]
    {
        let run = with_a_disk(takes, |_| {});
        assert_eq!((run.signalled(), run.outcome(400)), (vec![400], "exited"), "{takes:?}");
    }
}
