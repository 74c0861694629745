//! A process that looks like whatever a scene needs: linked under any name, given any arguments, and told by the
//! environment variable `STAND_IN` what to do (see `reaper_testkit::behaviour`). Without it: sleeps, and collects
//! its children.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::behaviour::{Behaviour, VARIABLE};
use reaper_testkit::recipe::Recipe;
use reaper_testkit::{hang, launch, memory, sys};

fn main() {
    let words = std::env::var_os(VARIABLE).unwrap_or_default();
    let result = Behaviour::parse(&words).and_then(|behaviour| Actor::new(behaviour)?.live());
    if let Err(error) = result {
        // The FIFO, if there is one, is where somebody waits for news.
        let code = error.raw_os_error().unwrap_or(libc::EINVAL);
        if let Ok(Behaviour { ready: Some(ready), .. }) = Behaviour::parse(&words) {
            drop(announce(&ready, &format!("!{code}\n")));
        }
        eprintln!("stand-in: {error}");
        std::process::exit(126);
    }
}

struct Actor {
    behaviour: Behaviour,
    /// What the process was given, copied before anything is overwritten.
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    signals: Vec<i32>,
    _hang: Option<[fs::File; 2]>,
}

impl Actor {
    fn new(behaviour: Behaviour) -> io::Result<Self> {
        let argv = std::env::args_os().collect();
        let env = std::env::vars_os().collect();
        // Rust starts with SIGPIPE ignored; the processes played here do not.
        sys::dispose(libc::SIGPIPE, false);
        let mut signals = vec![libc::SIGCHLD, sys::request_signal()];
        let on_term = behaviour.exit_after_ms.is_some() || behaviour.fork_on_term;
        if !behaviour.ignore_term && (on_term || std::process::id() == 1) {
            signals.push(libc::SIGTERM);
        }
        if behaviour.exec_on_usr1.is_some() {
            signals.push(libc::SIGUSR1);
        }
        if behaviour.env_on_usr2 {
            signals.push(libc::SIGUSR2);
        }
        sys::dispose(libc::SIGTERM, behaviour.ignore_term);
        sys::mask(libc::SIG_BLOCK, &signals)?;
        Ok(Self { behaviour, argv, env, signals, _hang: None })
    }

    fn live(mut self) -> io::Result<()> {
        self.set_up()?;
        if let Some(ready) = &self.behaviour.ready {
            announce(ready, &format!("{}\n", std::process::id()))?;
        }
        if self.behaviour.stop {
            // SAFETY: raise has no preconditions.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        let mut ends_at = self.behaviour.alarm_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let left = ends_at.map(|at| at.saturating_duration_since(Instant::now()).as_millis() as u64);
            if left == Some(0) {
                std::process::exit(0);
            }
            match sys::wait_signal(&self.signals, left)? {
                Some(libc::SIGCHLD) => self.collect(),
                Some(libc::SIGTERM) => {
                    let after = self.on_term();
                    ends_at.get_or_insert(Instant::now() + after);
                }
                Some(libc::SIGUSR1) => return Err(self.exec_other()),
                Some(libc::SIGUSR2) => return Err(self.exec_unmarked()),
                Some(_) => self.serve_desk(),
                None => {}
            }
        }
    }

    fn set_up(&mut self) -> io::Result<()> {
        let it = &self.behaviour;
        if it.subreaper {
            sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1)?;
        }
        if let Some(comm) = &it.comm {
            fs::write("/proc/thread-self/comm", comm.as_bytes())?;
        }
        let title = it.title.as_deref();
        if it.wipe_environ {
            memory::wipe_environ(title.unwrap_or(OsStr::new("stand-in: worker")))?;
        } else if let Some(title) = title {
            memory::set_title(title)?;
        }
        if it.garble_environ {
            memory::garble_environ()?;
        }
        if it.non_dumpable {
            sys::prctl(libc::PR_SET_DUMPABLE, 0)?;
        }
        // Last: from here on this process must not change its memory map.
        if it.hang_environ {
            let stage = Path::new("/run/stage");
            let base = if stage.is_dir() { stage.to_owned() } else { std::env::temp_dir() };
            let at = base.join(format!(".hang-{}", std::process::id()));
            fs::create_dir_all(&at)?;
            self._hang = Some(hang::hang_readers(&at)?);
        }
        Ok(())
    }

    /// Collects every child that has ended; ends with the one whose status is its own.
    fn collect(&self) {
        while let Ok(Some((pid, status))) = sys::wait(-1, libc::WNOHANG) {
            if self.behaviour.exit_with == Some(pid) {
                std::process::exit(sys::exit_code(status));
            }
        }
    }

    /// How long to live on after SIGTERM.
    fn on_term(&mut self) -> Duration {
        if self.behaviour.fork_on_term {
            // SAFETY: this process has one thread, so the child may go on as it likes.
            if unsafe { libc::fork() } == 0 {
                self.signals.retain(|&signal| signal != libc::SIGTERM);
                drop(sys::mask(libc::SIG_UNBLOCK, &[libc::SIGTERM]));
                return Duration::from_secs(24 * 3600);
            }
        }
        Duration::from_millis(self.behaviour.exit_after_ms.unwrap_or(0))
    }

    /// Spawns what the requests on the desk ask for.
    fn serve_desk(&self) {
        let Some(desk) = &self.behaviour.desk else { return };
        let request = desk.join(std::process::id().to_string());
        if let Ok(bytes) = fs::read(&request) {
            drop(fs::remove_file(&request));
            let recipe = Recipe::decode(&bytes);
            if let Err((ready, error)) = recipe
                .map_err(|error| (OsString::new(), error))
                .and_then(|recipe| launch::launch(&recipe).map_err(|error| (recipe.ready, error)))
            {
                let code = error.raw_os_error().unwrap_or(libc::EINVAL);
                drop(announce(Path::new(&ready), &format!("!{code}\n")));
            }
        }
    }

    fn exec_other(&self) -> io::Error {
        let path = self.behaviour.exec_on_usr1.clone().unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_owned();
        let mut command = Command::new(&path);
        command.arg0(name).env_clear().envs(self.env.iter().cloned());
        // The other program may be a stand-in as well: it must not do this again, nor announce itself.
        command.env(VARIABLE, "sleep");
        self.exec(command)
    }

    fn exec_unmarked(&self) -> io::Error {
        let kept = self.env.iter().filter(|(name, _)| {
            !["SPROUT_", "BUZZ_", "REAPER_"]
                .iter()
                .any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
        });
        let mut command = Command::new(fs::read_link("/proc/self/exe").unwrap_or_default());
        command.env_clear().envs(kept.cloned()).env(VARIABLE, "sleep");
        if let Some((first, rest)) = self.argv.split_first() {
            command.arg0(first).args(rest);
        }
        self.exec(command)
    }

    fn exec(&self, mut command: Command) -> io::Error {
        // SAFETY: this process is about to exec and has no handlers.
        unsafe { launch::reset_signals() };
        command.exec()
    }
}

/// Writes `line` into the FIFO `to`, or creates the file in one step.
fn announce(to: &Path, line: &str) -> io::Result<()> {
    if fs::metadata(to).is_ok_and(|meta| meta.file_type().is_fifo()) {
        let mut fifo = fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(to)?;
        return fifo.write_all(line.as_bytes());
    }
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".part");
    fs::write(&temporary, line)?;
    fs::rename(&temporary, to)
}
