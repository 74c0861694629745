//! Who plays: the description of a process to be, and the ways it comes to its parent.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::alive::{Alive, poll};
use crate::behaviour::VARIABLE;
use crate::fifo::{Fifo, PATIENCE};
use crate::launch::launch;
use crate::recipe::{Recipe, Shape};
use crate::sys;
use crate::troupe::Inner;

/// A process to be. Made by [`Troupe::actor`](crate::Troupe::actor); spawned as often as wanted.
#[derive(Clone, Debug)]
pub struct Actor {
    troupe: Arc<Inner>,
    name: OsString,
    exe_dir: Option<PathBuf>,
    foreign: Option<PathBuf>,
    argv: Vec<OsString>,
    env: Vec<OsString>,
    words: OsString,
    spawner: Option<Alive>,
    uid: Option<u32>,
    own_session: bool,
    own_group: bool,
    pid: Option<i32>,
}

impl Actor {
    pub(crate) fn new(troupe: Arc<Inner>, name: &OsStr) -> Self {
        Self {
            troupe,
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

    /// Puts the executable into this directory, so that its path says so.
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

    /// Is spawned by this actor (not a foreign program) instead of by the director.
    #[must_use]
    pub fn by(mut self, spawner: &Alive) -> Self {
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
    pub fn child(&self) -> Alive {
        self.shaped(Shape::Child)
    }

    /// A plain live child of `parent`.
    pub fn under(&self, parent: &Alive) -> Alive {
        self.clone().by(parent).child()
    }

    /// A launcher forks it and exits; it keeps the session and group of its spawner.
    pub fn orphan(&self) -> Alive {
        self.shaped(Shape::Orphan)
    }

    /// An orphan that leads its own session.
    pub fn orphan_in_session(&self) -> Alive {
        self.shaped(Shape::OrphanInSession)
    }

    /// An orphan in the session of its dead launcher.
    pub fn orphan_of_dead_leader(&self) -> Alive {
        self.shaped(Shape::OrphanOfDeadLeader)
    }

    /// An orphan made the daemon's way: fork, setsid, fork; both forebears are dead.
    pub fn orphan_double_fork(&self) -> Alive {
        self.shaped(Shape::OrphanDoubleFork)
    }

    fn shaped(&self, shape: Shape) -> Alive {
        self.spawn(shape)
            .unwrap_or_else(|error| panic!("{} did not come to life: {error}", self.name.display()))
    }

    /// Spawns it in this shape; returns once it executes and is set up, and its launchers are gone.
    pub fn spawn(&self, shape: Shape) -> io::Result<Alive> {
        let ready = Fifo::new(&self.troupe, "ready", 0o622)?;
        let go = Fifo::new(&self.troupe, "go", 0o644)?;
        let recipe = self.recipe(shape, &ready.path, &go.path)?;
        let launcher = match &self.spawner {
            Some(spawner) => {
                self.ask(spawner, &recipe)?;
                None
            }
            None => Some(launch(&recipe)?),
        };
        let outcome = ready.number().and_then(Alive::pin).and_then(|alive| {
            self.wait_for_its_exec(&alive, &ready)?;
            Ok(alive)
        });
        if shape == Shape::Child {
            if let (Err(_), Some(failed)) = (&outcome, launcher) {
                drop(sys::wait(failed, 0));
            }
        } else {
            let parent = outcome.as_ref().map(Alive::ppid);
            go.open_and_close();
            if let Some(launcher) = launcher {
                sys::wait(launcher, 0)?;
            }
            if let (Ok(alive), Ok(parent)) = (&outcome, parent)
                && !alive.wait_until(|alive| alive.ppid() != parent)
            {
                return Err(io::Error::other("the launcher does not leave"));
            }
        }
        let alive = outcome?;
        self.troupe.started.lock().unwrap().push(alive.clone());
        if self.is_told(|word| word == b"stop") && !alive.wait_until(|alive| alive.state() == 'T') {
            return Err(io::Error::other("it does not stop"));
        }
        Ok(alive)
    }

    fn is_told(&self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.words.as_bytes().split(|&byte| byte == b';').any(is_it)
    }

    /// A stand-in speaks for itself; a foreign program is announced just before its exec.
    fn wait_for_its_exec(&self, alive: &Alive, ready: &Fifo) -> io::Result<()> {
        if self.foreign.is_none() {
            return Ok(());
        }
        let before = match &self.spawner {
            Some(spawner) => spawner.exe(),
            None => std::env::current_exe(),
        };
        let before = before.unwrap_or_default();
        let mut failure = None;
        let done = poll(PATIENCE, || {
            failure = ready.failure();
            // Unreadable: the new program is another user's.
            failure.is_some() || alive.exe().map_or(true, |exe| exe != before)
        });
        match failure.or_else(|| ready.failure()) {
            Some(error) => Err(error),
            None if done => Ok(()),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn recipe(&self, shape: Shape, ready: &Path, go: &Path) -> io::Result<Recipe> {
        let exe = match &self.foreign {
            Some(program) => program.clone(),
            None => self.troupe.dress(self.exe_dir.as_deref(), &self.name)?,
        };
        let mut env = self.env.clone();
        if self.foreign.is_none() {
            let mut words = OsString::from(format!("{VARIABLE}="));
            words.push(&self.words);
            words.push("ready=");
            words.push(ready);
            words.push(";desk=");
            words.push(&self.troupe.desk);
            env.insert(0, words);
        }
        Ok(Recipe {
            exe: exe.into(),
            argv: self.argv.clone(),
            env,
            uid: self.uid,
            shape,
            own_session: self.own_session,
            own_group: self.own_group,
            pid: self.pid,
            holds_term: self.foreign.is_none() && self.is_told(|word| word.starts_with(b"record=")),
            ready: ready.into(),
            foreign: self.foreign.is_some(),
            go: go.into(),
        })
    }

    /// Lays the recipe on the spawner's desk and tells it so.
    fn ask(&self, spawner: &Alive, recipe: &Recipe) -> io::Result<()> {
        let request = self.troupe.desk.join(spawner.pid.to_string());
        if !poll(PATIENCE, || !request.exists()) {
            return Err(io::Error::other("the spawner did not take the last request"));
        }
        let draft = self.troupe.fresh_path("request");
        fs::write(&draft, recipe.encode())?;
        fs::rename(&draft, &request)?;
        spawner.signal(sys::request_signal())
    }
}
