//! The process that `reaper doctor` ends to try itself out, and its launcher; both are hidden commands of this
//! program, because nothing else can be relied on to be there: an image may hold this one file.
//!
//! The launcher stamps the stand-in as a launcher of agents should: with our marker, and with a lease that names
//! itself as the owner. It tells the stand-in's pid, waits until the doctor has a handle of it, and exits. Nobody
//! but the doctor ends a stand-in, because programs called `reaper` are protected; it ends by itself.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reaper_platform::{NativeHost, Pid};

/// The first argument, which is no command of the public command line.
pub const COMMAND: &str = "__stand-in";
/// Its argument for the launcher.
pub const LAUNCH: &str = "launch";
/// Its argument for the stand-in.
pub const WAIT: &str = "wait";
/// How long a stand-in lives, whatever becomes of the doctor.
const LIFE: Duration = Duration::from_secs(60);
/// How long a launcher may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The stand-in's life.
pub fn wait() {
    std::thread::sleep(LIFE);
}

/// The launcher's life.
///
/// # Errors
/// In words: when the stand-in could not be started.
pub fn launch() -> Result<(), String> {
    let host = NativeHost::new().map_err(|e| e.to_string())?;
    // A session of its own, which is dead when the doctor looks: most launchers leave such orphans.
    host.leave_session().map_err(|e| format!("cannot leave the session: {e}"))?;
    let lease = reaper_launch::lease(&host).map_err(|e| format!("cannot read our own start: {e}"))?;
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut child = command(&program, WAIT);
    reaper_launch::stamp(&mut child, &lease);
    // It is the doctor that waits for its end; we are gone by then.
    let child = child.spawn().map_err(|e| format!("cannot start `{}`: {e}", program.display()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", child.id()).and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    // Until the doctor has its handle, or is gone.
    let _ = io::stdin().lock().read(&mut [0]);
    Ok(())
}

/// Nothing is inherited: a variable of the user's shell could protect the stand-in, or claim it.
fn command(program: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command.args([COMMAND, role]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A launcher that waits for us, and its stand-in.
pub struct Launched {
    /// The launcher's number.
    pub launcher: Option<Pid>,
    /// The stand-in's number.
    pub stand_in: Pid,
    child: Child,
    hold: Option<ChildStdin>,
}

impl Launched {
    /// Starts both.
    ///
    /// # Errors
    /// In words: why there is no stand-in.
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

    /// Lets the launcher go, and waits until it is gone.
    ///
    /// # Errors
    /// In words: when it does not go.
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

/// What a process says first; empty when it says nothing in time.
fn first_line(from: impl io::Read + Send + 'static, limit: Duration) -> String {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(from.take(4096)).read_line(&mut line);
        // Nobody listens any more when it took too long.
        let _ = send.send(read.map(|_| line).unwrap_or_default());
    });
    received.recv_timeout(limit).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_launcher_is_told_of() {
        let missing = Launched::start(Path::new("/nonexistent/reaper")).err().unwrap();
        assert!(missing.contains("/nonexistent/reaper"), "{missing}");
        let other = Launched::start(Path::new("/bin/cat")).err().unwrap();
        assert!(
            other.contains("launcher of the stand-in failed: ") && other.contains("__stand-in"),
            "{other}"
        );
    }
}
