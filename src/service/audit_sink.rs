//! Writes the account of each signal to the history, and with its outcome to the log.

use std::collections::HashMap;

use super::publish::log;
use reaper_engine::audit::history::History;
use reaper_engine::audit::record::{Account, Record};
use reaper_engine::failure::Failure;
use reaper_engine::state_dir::StateDir;

/// The sink of accounts for one plan.
pub struct AuditSink {
    history: History,
    /// The last account of each process, by pid and start, until its outcome is known.
    intents: HashMap<(i32, u64), Record>,
}

impl AuditSink {
    /// Opens the history.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(state: &StateDir) -> Result<Self, Failure> {
        Ok(Self { history: History::open(state)?, intents: HashMap::new() })
    }
}

impl Account for AuditSink {
    fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        self.history.write(records)?;
        for record in records {
            let key = (record.pid, record.start_ticks);
            if record.outcome.is_some() {
                log::ended(record, self.intents.remove(&key).as_ref());
            } else {
                self.intents.insert(key, record.clone());
            }
        }
        Ok(())
    }
}
