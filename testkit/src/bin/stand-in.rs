//! A process that looks like what a test needs: linked under any name, given any arguments, and controlled by the
//! environment variable `STAND_IN` (see `reaper_testkit::behaviour`). Without it, it sleeps and reaps
//! its children.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use reaper_testkit::behaviour::{Behaviour, VARIABLE};
use reaper_testkit::spawn_spec::SpawnSpec;
use reaper_testkit::{churn, hanging_reads, memory, spawn, sys};

fn main() {
    let words = std::env::var_os(VARIABLE).unwrap_or_default();
    let result = Behaviour::parse(&words).and_then(|behaviour| StandIn::new(behaviour)?.run());
    if let Err(error) = result {
        // The FIFO, if there is one, is where the spawner waits for the result.
        let code = error.raw_os_error().unwrap_or(libc::EINVAL);
        if let Ok(Behaviour { ready: Some(ready), .. }) = Behaviour::parse(&words) {
            drop(announce(&ready, &format!("!{code}\n")));
        }
        eprintln!("stand-in: {error}");
        std::process::exit(126);
    }
}

struct StandIn {
    behaviour: Behaviour,
    /// The arguments of the process, copied before anything is overwritten.
    argv: Vec<OsString>,
    env: Vec<OsString>,
    signals: Vec<i32>,
    _hang: Option<[fs::File; 2]>,
}

impl StandIn {
    fn new(behaviour: Behaviour) -> io::Result<Self> {
        let argv = std::env::args_os().collect();
        let env = fs::read("/proc/self/environ")?;
        let env = env.strip_suffix(b"\0").unwrap_or_default().split(|&byte| byte == 0);
        let env = env.map(|entry| OsStr::from_bytes(entry).to_owned()).collect();
        // Rust programs start with SIGPIPE ignored; the processes that it stands for do not.
        sys::dispose(libc::SIGPIPE, false);
        let mut signals = vec![libc::SIGCHLD, sys::request_signal()];
        let on_term = behaviour.exit_after_ms.is_some()
            || behaviour.fork_on_term
            || behaviour.return_on_term
            || behaviour.exit_main_thread
            || behaviour.record.is_some();
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

    fn run(mut self) -> io::Result<()> {
        self.set_up()?;
        if let Some(ready) = &self.behaviour.ready {
            announce(ready, &format!("{}\n", std::process::id()))?;
        }
        if self.behaviour.stop {
            // SAFETY: raise has no preconditions.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        if let Some(file) = &self.behaviour.open {
            drop(fs::File::open(file));
        }
        if let Some(rate) = self.behaviour.churn {
            return churn::churn(rate);
        }
        // The command of the namespace runs since before the exec of PID 1: its requests, or its end, may have been
        // signalled before these signals were blocked, and is lost then.
        self.collect();
        self.serve_request();
        let mut ends_at = self.behaviour.alarm_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let left = ends_at.map(|at| at.saturating_duration_since(Instant::now()).as_millis() as u64);
            if left == Some(0) {
                std::process::exit(0);
            }
            let Some(caught) = sys::wait_signal(&self.signals, left)? else { continue };
            match caught.signal {
                libc::SIGCHLD => self.collect(),
                libc::SIGTERM => match &self.behaviour.record {
                    Some(file) => append(file, &format!("{}\n", caught.sender))?,
                    None if self.behaviour.exit_main_thread => sys::exit_thread(),
                    None if self.behaviour.return_on_term => respawn()?,
                    None => {
                        let after = self.on_term();
                        ends_at.get_or_insert(Instant::now() + after);
                    }
                },
                libc::SIGUSR1 => return Err(self.exec_other()),
                libc::SIGUSR2 => return Err(self.exec_unmarked()),
                _ => self.serve_request(),
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
        // They have those signals blocked that the main thread waits for.
        for _ in 0..it.threads + usize::from(it.exit_main_thread) {
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
        }
        // Last: from here on this process must not change its memory map.
        if it.hang_environ {
            let files = Path::new("/run/testkit");
            let base = if files.is_dir() { files.to_owned() } else { std::env::temp_dir() };
            let at = base.join(format!(".hang-{}", std::process::id()));
            fs::create_dir_all(&at)?;
            self._hang = Some(hanging_reads::hang_readers(&at)?);
        }
        Ok(())
    }

    /// Reaps every child that has ended; exits with the status of the `exit-with` child.
    fn collect(&self) {
        let which = match (self.behaviour.keep_zombies, self.behaviour.exit_with) {
            (false, _) => -1,
            (true, Some(one)) => one,
            (true, None) => return,
        };
        while let Ok(Some((pid, status))) = sys::ended(which) {
            // Written before the child is reaped: a reader that finds it gone also finds the line.
            if let Some(file) = &self.behaviour.deaths {
                // One write, so that the lines of many parents do not mix.
                let line = format!("{pid} {status} {}\n", sys::monotonic_ns());
                let file = fs::OpenOptions::new().append(true).open(file);
                drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
            }
            if sys::wait(pid, 0).is_err() {
                return;
            }
            if self.behaviour.exit_with == Some(pid) {
                std::process::exit(sys::exit_code(status));
            }
        }
    }

    /// How long to run on after SIGTERM.
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

    /// Spawns what a request asks for, if there is one.
    fn serve_request(&self) {
        let Some(request_dir) = &self.behaviour.request_dir else { return };
        let request = request_dir.join(std::process::id().to_string());
        if let Ok(bytes) = fs::read(&request) {
            drop(fs::remove_file(&request));
            let spec = SpawnSpec::decode(&bytes);
            if let Err((ready, error)) = spec
                .map_err(|error| (OsString::new(), error))
                .and_then(|spec| spawn::spawn(&spec).map_err(|error| (spec.ready, error)))
            {
                let code = error.raw_os_error().unwrap_or(libc::EINVAL);
                drop(announce(Path::new(&ready), &format!("!{code}\n")));
            }
        }
    }

    /// Executes the other program, with the same environment.
    fn exec_other(&self) -> io::Error {
        let path = self.behaviour.exec_on_usr1.clone().unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_owned();
        self.exec(path.as_os_str(), &[name], |_| true)
    }

    /// Executes itself again, without the variables that could mark it.
    fn exec_unmarked(&self) -> io::Error {
        let exe = fs::read_link("/proc/self/exe").unwrap_or_default();
        self.exec(exe.as_os_str(), &self.argv, |entry| {
            !["SPROUT_", "BUZZ_", "REAPER_"].iter().any(|prefix| entry.starts_with(prefix.as_bytes()))
        })
    }

    /// Executes `exe` with those entries of the environment that `keep` keeps, in their order. The other program
    /// may be a stand-in as well: it must neither do this again nor announce itself.
    fn exec(&self, exe: &OsStr, argv: &[OsString], keep: impl Fn(&[u8]) -> bool) -> io::Error {
        let mut words = OsString::from(format!("{VARIABLE}="));
        if let Some(request_dir) = &self.behaviour.request_dir {
            words.push("request-dir=");
            words.push(request_dir);
        }
        let prefix = format!("{VARIABLE}=");
        let env = self.env.iter().filter(|entry| keep(entry.as_bytes()));
        let env =
            env.map(|entry| if entry.as_bytes().starts_with(prefix.as_bytes()) { &words } else { entry });
        spawn::exec(exe, argv, &env.cloned().collect::<Vec<_>>())
    }
}

/// Continues as a child of this process in a session of its own, and ends this one.
fn respawn() -> io::Result<()> {
    // SAFETY: this process has one thread, so the child may go on as it likes.
    if sys::check(unsafe { libc::fork() })? != 0 {
        std::process::exit(0);
    }
    // SAFETY: setsid has no preconditions.
    sys::check(unsafe { libc::setsid() }).map(drop)
}

/// Writes `line` to the end of `file`, which is made when it is not there.
fn append(file: &Path, line: &str) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())
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
