//! What happened on the machine: every call, every signal, every state.

use super::call::Call;
use super::machine::Machine;
use super::process::Process;
use crate::types::{Clock, Signal};

/// One signal that reached a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The step.
    pub step: usize,
    /// The time.
    pub clock: Clock,
    /// Which.
    pub signal: Signal,
    /// Through which pinned handle.
    pub handle: u64,
    /// Who received it, as it was at that moment.
    pub to: Process,
}

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Every call, in order.
    pub calls: Vec<Call>,
    /// Every signal, in order.
    pub sent: Vec<Sent>,
    /// The state that the machine was in from a step on. Only the clocks of the entries are out of date.
    pub states: Vec<(usize, Machine)>,
}

impl Log {
    /// Every state that the machine was in during these steps, ends included.
    pub fn states_within(&self, from: usize, to: usize) -> impl Iterator<Item = &Machine> {
        let first = self.states.iter().rposition(|(step, _)| *step <= from).unwrap_or(0);
        self.states.iter().skip(first).take_while(move |(step, _)| *step <= to).map(|(_, machine)| machine)
    }
}
