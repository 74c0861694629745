//! The process that `reaper doctor` ends to try itself out, and its launcher; both are hidden commands of this
//! program, because nothing else can be relied on to be there: an image may hold this one file.
//!
//! The launcher stamps the stand-in as a launcher of agents should: with our marker, and with a lease that names
//! itself as the owner. It prints the stand-in's pid, waits until the doctor has a handle of it, and exits. No other
//! reaper ends a stand-in, because programs called `reaper` are protected; it exits by itself after a while.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reaper_platform::{NativeHost, Pid};

/// The first argument, which is not a public command.
pub const COMMAND: &str = "__stand-in";
/// The second argument, for the launcher.
pub const LAUNCH: &str = "launch";
/// The second argument, for the stand-in.
pub const WAIT: &str = "wait";
/// After this time a stand-in exits by itself, also when the doctor has crashed.
const LIFE: Duration = Duration::from_secs(60);
/// How long a launcher may take to start a stand-in, and to exit.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs as the stand-in: sleeps, then exits.
pub fn wait() {
    std::thread::sleep(LIFE);
}

/// Runs as the launcher: starts a stand-in, prints its pid, waits for the doctor, and exits.
///
/// # Errors
/// When the stand-in could not be started, in words.
pub fn launch() -> Result<(), String> {
    let host = NativeHost::new().map_err(|e| e.to_string())?;
    // A session of its own, whose leader is dead when the doctor surveys: most launchers leave such orphans.
    host.leave_session().map_err(|e| format!("cannot leave the session: {e}"))?;
    let lease = reaper_launch::lease(&host).map_err(|e| format!("cannot read our own start: {e}"))?;
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut child = command(&program, WAIT);
    reaper_launch::stamp(&mut child, &lease);
    // It is not waited for here: the launcher has exited by then, and the doctor waits for its end.
    let child = child.spawn().map_err(|e| format!("cannot start `{}`: {e}", program.display()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", child.id()).and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    // Until the doctor has its handle, or has exited.
    let _ = io::stdin().lock().read(&mut [0]);
    Ok(())
}

/// No environment is inherited: a variable of the user's shell could protect the stand-in, or claim it.
fn command(program: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command.args([COMMAND, role]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A launcher that waits for the doctor, and its stand-in.
pub struct Launched {
    /// The pid of the launcher.
    pub launcher: Option<Pid>,
    /// The pid of the stand-in.
    pub stand_in: Pid,
    child: Child,
    hold: Option<ChildStdin>,
}

impl Launched {
    /// Starts both.
    ///
    /// # Errors
    /// Why there is no stand-in, in words.
    pub fn start(program: &Path) -> Result<Self, String> {
        let mut command = command(program, LAUNCH);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("cannot start `{}`: {e}", program.display()))?;
        let launcher = i32::try_from(child.id()).ok().and_then(Pid::new);
        let hold = child.stdin.take();
        let said = child.stdout.take().map(|out| first_line(out, LIMIT)).unwrap_or_default();
        match Pid::parse(said.trim().as_bytes()) {
            Some(stand_in) => Ok(Self { launcher, stand_in, child, hold }),
            None => {
                drop(hold);
                let why = child.stderr.take().map(|err| first_line(err, LIMIT)).unwrap_or_default();
                Err(format!("the launcher of the stand-in failed: {}", why.trim()))
            }
        }
    }

    /// Tells the launcher to exit, and waits until it has.
    ///
    /// # Errors
    /// When it does not exit in time, in words.
    pub fn let_go(&mut self) -> Result<(), String> {
        self.hold = None;
        let end = Instant::now() + LIMIT;
        let mut pause = Duration::from_micros(200);
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if Instant::now() < end => std::thread::sleep(pause),
                Ok(None) => return Err("the launcher of the stand-in does not exit".to_owned()),
                Err(e) => return Err(format!("cannot wait for the launcher of the stand-in: {e}")),
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}

/// The first line that a process prints; empty when there is none in time.
fn first_line(from: impl io::Read + Send + 'static, limit: Duration) -> String {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(from.take(4096)).read_line(&mut line);
        // The receiver is gone when the time limit is over.
        let _ = send.send(read.map(|_| line).unwrap_or_default());
    });
    received.recv_timeout(limit).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_launcher_is_reported() {
        let missing = Launched::start(Path::new("/nonexistent/reaper")).err().unwrap();
        assert!(missing.contains("/nonexistent/reaper"), "{missing}");
        let other = Launched::start(Path::new("/bin/cat")).err().unwrap();
        assert!(
            other.contains("launcher of the stand-in failed: ") && other.contains("__stand-in"),
            "{other}"
        );
    }
}
