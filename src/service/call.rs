//! What the tasks that serve clients ask of the event loop, and what it answers.

use tokio::sync::{mpsc, oneshot};

use super::protocol::Request;
use super::snapshot::Snapshot;

/// A question on its way to the event loop, and where the answer goes.
#[derive(Debug)]
pub enum Call {
    /// A command of the control socket.
    Command(Request, oneshot::Sender<Answer>),
    /// The metrics as OpenMetrics text, or why there are none.
    Metrics(oneshot::Sender<Result<String, String>>),
    /// Why the service is not ready; `None` when it is.
    Readiness(oneshot::Sender<Option<String>>),
}

/// Puts a question to the event loop. `None` when the service is about to stop.
pub async fn ask<T>(call: impl FnOnce(oneshot::Sender<T>) -> Call, calls: &mpsc::Sender<Call>) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    calls.send(call(answer)).await.ok()?;
    answered.await.ok()
}

/// What came of a command.
#[derive(Debug)]
pub struct Answer {
    /// Why it was not carried out.
    pub error: Option<String>,
    /// How things are after it.
    pub snapshot: Box<Snapshot>,
}
