//! The state behind a [`super::FakeHost`]: the machine, its fault script and its log, advanced by one call at a time.

use super::call::{Call, Method};
use super::faults::{Fault, FaultScript};
use super::log::Log;
use super::machine::Machine;
use crate::types::{Generation, Image, Pid, ProcId, Uid, Why};

/// The part of a fake host that calls change.
#[derive(Debug)]
pub(super) struct FakeState {
    pub(super) machine: Machine,
    pub(super) log: Log,
    /// Whether hanging reads return.
    pub(super) released: bool,
    /// The process that is missing from the list being read.
    pub(super) missed: Option<Pid>,
    script: FaultScript,
    handles: u64,
}

/// The call that is being made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) method: Method,
    pub(super) pid: Option<Pid>,
    pub(super) handle: Option<(u64, u64)>,
}

impl FakeState {
    /// The state before the first call.
    pub(super) fn new(machine: Machine, script: FaultScript) -> Self {
        let log = Log { states: vec![(0, machine.clone())], ..Log::default() };
        Self { machine, log, released: false, missed: None, script, handles: 0 }
    }

    /// Counts a call; returns its index in the log.
    pub(super) fn begin(&mut self, made: Made) -> usize {
        let index = self.log.calls.len();
        let Made { method, pid, handle } = made;
        self.log.calls.push(Call { step: index + 1, method, pid, handle, ok: false });
        index
    }

    /// Applies the faults that are due, and returns the one of the call itself, if any.
    pub(super) fn apply_due(&mut self, made: Made) -> Option<Fault> {
        self.machine.advance(self.machine.step);
        let (mut call_fault, mut missed) = (None, None);
        for (target, fault) in self.script.due(self.log.calls.len(), made.method, made.pid) {
            self.machine.apply(target, &fault);
            match fault {
                Fault::Fail(_) | Fault::Hang => call_fault = Some(fault),
                Fault::Miss(pid) => missed = Some(pid),
                _ => {}
            }
        }
        self.missed = missed;
        self.note();
        call_fault
    }

    /// Logs the state, if anything but the time has changed.
    pub(super) fn note(&mut self) {
        let known = self.log.states.last().map(|(_, machine)| machine.version());
        if known != Some(self.machine.version()) {
            self.log.states.push((self.log.calls.len(), self.machine.clone()));
        }
    }

    /// Opens a handle of the process that has this pid.
    pub(super) fn open(&mut self, pid: Pid, to: Uid) -> Result<(ProcId, u64, u64, Image), Why> {
        let machine = &self.machine;
        let process = machine.get(pid).filter(|p| machine.is_visible(p, to)).ok_or(Why::Gone)?;
        let generation = machine.generations.then_some(Generation(process.serial));
        self.handles += 1;
        let image = process.image();
        Ok((ProcId { pid, start: process.start, generation }, process.serial, self.handles, image))
    }
}
