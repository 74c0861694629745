//! The log of a simulated machine: every call, every signal, every state.

use super::call::Call;
use super::machine::Machine;
use super::process::Process;
use crate::types::{Clock, Signal};

/// One signal that reached a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The number of the call that sent it.
    pub step: usize,
    /// The clocks when it was sent.
    pub clock: Clock,
    /// The signal.
    pub signal: Signal,
    /// The number of the process handle it was sent through.
    pub handle: u64,
    /// The process that received it, as it was at that moment.
    pub to: Process,
}

/// Everything that happened on the machine.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Every call, in order.
    pub calls: Vec<Call>,
    /// Every signal, in order.
    pub sent: Vec<Sent>,
    /// Each state of the machine with the step from which it holds. The clocks in an entry are those of that step.
    pub states: Vec<(usize, Machine)>,
}

impl Log {
    /// Every state that the machine was in during these steps, ends included.
    pub fn states_within(&self, from: usize, to: usize) -> impl Iterator<Item = &Machine> {
        let first = self.states.iter().rposition(|(step, _)| *step <= from).unwrap_or(0);
        self.states.iter().skip(first).take_while(move |(step, _)| *step <= to).map(|(_, machine)| machine)
    }
}
