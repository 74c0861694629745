//! Running a service manager's own command with a time limit.
//!
//! The commands are the managers' documented, scriptable interfaces. One that hangs must not block us: it is killed,
//! and its answer is unknown.

use std::io::Read as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::types::Why;

/// The most that is read of an answer, in bytes; no real answer is longer.
const MAX_OUTPUT: u64 = 16 << 20;

/// The result of a command.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub text: String,
}

/// Runs a command to its end. Its standard input is empty, its standard error is discarded.
///
/// # Errors
/// When it cannot be started, does not end within `limit`, or prints what is not UTF-8.
pub fn run(command: &mut Command, limit: Duration) -> Result<Said, Why> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |e: std::io::Error| Why::Failed(format!("{name}: {e}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let out = child.stdout.take().ok_or(Why::Garbled("the service manager's command has no output"))?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.take(MAX_OUTPUT).read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                // Our own child, which only we can have reaped.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Why::Slow(limit));
            }
            Err(e) => return Err(failed(e)),
        }
    };
    match reader.join() {
        Ok(Ok(text)) => Ok(Said { status, text }),
        Ok(Err(e)) => Err(failed(e)),
        Err(_) => Err(Why::Garbled("the reader of the service manager's command stopped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_given_up() {
        let started = Instant::now();
        let limit = Duration::from_millis(50);
        assert_eq!(run(Command::new("sleep").arg("60"), limit).unwrap_err(), Why::Slow(limit));
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(run(&mut Command::new("/nonexistent/systemctl"), Duration::from_secs(1)).is_err());
    }

    #[test]
    fn what_it_says_and_how_it_ends_are_told_apart() {
        let said =
            run(Command::new("sh").args(["-c", "echo words; exit 112"]), Duration::from_secs(60)).unwrap();
        assert_eq!((said.text.as_str(), said.status.code()), ("words\n", Some(112)));
    }
}
