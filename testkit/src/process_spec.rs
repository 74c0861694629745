//! The description of a process to be started, and the ways in which it gets its parent.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::behaviour::VARIABLE;
use crate::fifo::{Fifo, SPAWN_LIMIT};
use crate::process_ref::{ProcessRef, poll};
use crate::spawn::spawn;
use crate::spawn_spec::{Shape, SpawnSpec};
use crate::sys;
use crate::workspace::Workspace;

/// A process to be started. Made by [`ProcessSet::spec`](crate::ProcessSet::spec); spawned as often as wanted.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    workspace: Arc<Workspace>,
    name: OsString,
    exe_dir: Option<PathBuf>,
    foreign: Option<PathBuf>,
    argv: Vec<OsString>,
    env: Vec<OsString>,
    words: OsString,
    spawner: Option<ProcessRef>,
    uid: Option<u32>,
    own_session: bool,
    own_group: bool,
    pid: Option<i32>,
}

impl ProcessSpec {
    pub(crate) fn new(workspace: Arc<Workspace>, name: &OsStr) -> Self {
        Self {
            workspace,
            name: name.to_owned(),
            exe_dir: None,
            foreign: None,
            argv: vec![name.to_owned()],
            env: ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"].map(OsString::from).to_vec(),
            words: OsString::new(),
            spawner: None,
            uid: None,
            own_session: false,
            own_group: false,
            pid: None,
        }
    }

    /// Puts the executable into this directory.
    #[must_use]
    pub fn exe_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.exe_dir = Some(directory.into());
        self
    }

    /// Runs this existing program instead of a stand-in. It takes no behaviour and no spawn requests.
    #[must_use]
    pub fn foreign(mut self, program: impl Into<PathBuf>) -> Self {
        self.foreign = Some(program.into());
        self
    }

    /// Adds arguments after those so far.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// The whole argument vector, `argv[0]` first. Empty is possible: the kernel then gives it one empty argument.
    #[must_use]
    pub fn argv<S: Into<OsString>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        self.argv = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut entry = name.as_ref().to_owned();
        entry.push("=");
        entry.push(value);
        self.env_remove(name).env_raw(entry)
    }

    /// Adds an entry to the end of the environment block as it is: a duplicate, without `=`, not UTF-8…
    #[must_use]
    pub fn env_raw(mut self, entry: impl Into<OsString>) -> Self {
        self.env.push(entry.into());
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().as_bytes();
        self.env.retain(|entry| entry.as_bytes().split(|&byte| byte == b'=').next() != Some(name));
        self
    }

    /// Removes every variable but `STAND_IN`.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.env.clear();
        self
    }

    /// Adds words to `STAND_IN` (see [`Behaviour`](crate::behaviour::Behaviour)).
    #[must_use]
    pub fn behave(mut self, words: impl AsRef<OsStr>) -> Self {
        self.words.push(words);
        self.words.push(";");
        self
    }

    /// Runs as this user and group, with no other groups.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Calls `setsid` itself, whatever its shape.
    #[must_use]
    pub fn own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// Calls `setpgid(0, 0)` itself.
    #[must_use]
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Has this stand-in (not a foreign program) spawn it, instead of the test.
    #[must_use]
    pub fn by(mut self, spawner: &ProcessRef) -> Self {
        self.spawner = Some(spawner.clone());
        self
    }

    /// Must get this pid.
    #[must_use]
    pub fn with_pid(mut self, pid: i32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// A plain live child of its spawner.
    pub fn child(&self) -> ProcessRef {
        self.shaped(Shape::Child)
    }

    /// A plain live child of `parent`.
    pub fn under(&self, parent: &ProcessRef) -> ProcessRef {
        self.clone().by(parent).child()
    }

    /// A launcher forks it and exits; it keeps the session and group of its spawner.
    pub fn orphan(&self) -> ProcessRef {
        self.shaped(Shape::Orphan)
    }

    /// An orphan that leads its own session.
    pub fn orphan_in_session(&self) -> ProcessRef {
        self.shaped(Shape::OrphanInSession)
    }

    /// An orphan in the session of its dead launcher.
    pub fn orphan_of_dead_leader(&self) -> ProcessRef {
        self.shaped(Shape::OrphanOfDeadLeader)
    }

    /// An orphan made as daemons are: fork, setsid, fork; parent and grandparent are dead.
    pub fn orphan_double_fork(&self) -> ProcessRef {
        self.shaped(Shape::OrphanDoubleFork)
    }

    fn shaped(&self, shape: Shape) -> ProcessRef {
        self.spawn(shape)
            .unwrap_or_else(|error| panic!("{} could not be started: {error}", self.name.display()))
    }

    /// Spawns it in this shape; returns once it executes and is set up, and its launchers have exited.
    pub fn spawn(&self, shape: Shape) -> io::Result<ProcessRef> {
        let ready = Fifo::new(&self.workspace, "ready", 0o622)?;
        let go = Fifo::new(&self.workspace, "go", 0o644)?;
        let spec = self.spawn_spec(shape, &ready.path, &go.path)?;
        let launcher = match &self.spawner {
            Some(spawner) => {
                self.request(spawner, &spec)?;
                None
            }
            None => Some(spawn(&spec)?),
        };
        let outcome = ready.number().and_then(ProcessRef::open).and_then(|alive| {
            self.wait_for_its_exec(&alive, &ready)?;
            Ok(alive)
        });
        if shape == Shape::Child {
            if let (Err(_), Some(failed)) = (&outcome, launcher) {
                drop(sys::wait(failed, 0));
            }
        } else {
            let parent = outcome.as_ref().map(ProcessRef::ppid);
            go.open_and_close();
            if let Some(launcher) = launcher {
                sys::wait(launcher, 0)?;
            }
            if let (Ok(alive), Ok(parent)) = (&outcome, parent)
                && !alive.wait_until(|alive| alive.ppid() != parent)
            {
                return Err(io::Error::other("the launcher does not exit"));
            }
        }
        let alive = outcome?;
        self.workspace.started.lock().unwrap().push(alive.clone());
        if self.has_word(|word| word == b"stop") && !alive.wait_until(|alive| alive.state() == 'T') {
            return Err(io::Error::other("it does not stop"));
        }
        Ok(alive)
    }

    fn has_word(&self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.words.as_bytes().split(|&byte| byte == b';').any(is_it)
    }

    /// Waits for the exec of a foreign program, which is reported just before it; a stand-in reports itself.
    fn wait_for_its_exec(&self, alive: &ProcessRef, ready: &Fifo) -> io::Result<()> {
        if self.foreign.is_none() {
            return Ok(());
        }
        let before = match &self.spawner {
            Some(spawner) => spawner.exe(),
            None => std::env::current_exe(),
        };
        let before = before.unwrap_or_default();
        let mut failure = None;
        let done = poll(SPAWN_LIMIT, || {
            failure = ready.failure();
            // Unreadable: the process runs as another user now.
            failure.is_some() || alive.exe().map_or(true, |exe| exe != before)
        });
        match failure.or_else(|| ready.failure()) {
            Some(error) => Err(error),
            None if done => Ok(()),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn spawn_spec(&self, shape: Shape, ready: &Path, go: &Path) -> io::Result<SpawnSpec> {
        let exe = match &self.foreign {
            Some(program) => program.clone(),
            None => self.workspace.install_stand_in(self.exe_dir.as_deref(), &self.name)?,
        };
        let mut env = self.env.clone();
        if self.foreign.is_none() {
            let mut words = OsString::from(format!("{VARIABLE}="));
            words.push(&self.words);
            words.push("ready=");
            words.push(ready);
            words.push(";request-dir=");
            words.push(&self.workspace.request_dir);
            env.insert(0, words);
        }
        Ok(SpawnSpec {
            exe: exe.into(),
            argv: self.argv.clone(),
            env,
            uid: self.uid,
            shape,
            own_session: self.own_session,
            own_group: self.own_group,
            pid: self.pid,
            holds_term: self.foreign.is_none() && self.has_word(|word| word.starts_with(b"record=")),
            ready: ready.into(),
            foreign: self.foreign.is_some(),
            go: go.into(),
        })
    }

    /// Writes the spec where the spawner looks for requests, and signals it.
    fn request(&self, spawner: &ProcessRef, spec: &SpawnSpec) -> io::Result<()> {
        let request = self.workspace.request_dir.join(spawner.pid.to_string());
        if !poll(SPAWN_LIMIT, || !request.exists()) {
            return Err(io::Error::other("the spawner did not take the last request"));
        }
        let draft = self.workspace.fresh_path("request");
        fs::write(&draft, spec.encode())?;
        fs::rename(&draft, &request)?;
        spawner.signal(sys::request_signal())
    }
}
