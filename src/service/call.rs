//! Requests of the client tasks to the event loop, and its answers.

use tokio::sync::{mpsc, oneshot};

use super::protocol::Request;
use super::snapshot::Snapshot;

/// A request to the event loop, with the channel for the answer.
#[derive(Debug)]
pub enum Call {
    /// A command of the control socket.
    Command(Request, oneshot::Sender<Answer>),
    /// The metrics as OpenMetrics text, or an error.
    Metrics(oneshot::Sender<Result<String, String>>),
    /// Why the service is not ready; `None` when it is.
    Readiness(oneshot::Sender<Option<String>>),
}

/// Sends a request to the event loop and waits for the answer. `None` when the service is about to stop.
pub async fn ask<T>(call: impl FnOnce(oneshot::Sender<T>) -> Call, calls: &mpsc::Sender<Call>) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    calls.send(call(answer)).await.ok()?;
    answered.await.ok()
}

/// The result of a command.
#[derive(Debug)]
pub struct Answer {
    /// Why it was not carried out; `None` when it was.
    pub error: Option<String>,
    /// The state after the command.
    pub snapshot: Box<Snapshot>,
}
