//! A run of the command in the background.

use std::process::{Child, Command, Stdio};

use reaper_testkit::ProcessRef;
use rustix::process::Signal;

use super::command::{Ran, Reaper};

/// A run in the background.
pub struct Running(Child);

impl Running {
    pub fn start(reaper: Reaper) -> Self {
        Self::spawn(reaper.command())
    }

    /// Through another program (see [`Reaper::through`]).
    pub fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits for its end.
    pub fn finish(self) -> Ran {
        self.0.wait_with_output().unwrap().into()
    }

    /// Kills it with SIGKILL, as after a power cut.
    pub fn kill(mut self) {
        let pid = i32::try_from(self.0.id()).unwrap();
        ProcessRef::open(pid).unwrap().signal(Signal::KILL.as_raw()).unwrap();
        self.0.wait().unwrap();
    }
}
