//! A directory of stand-ins under many names, and everything that was started from it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::actors::Actor;
use crate::alive::{Alive, poll};
use crate::fifo::PATIENCE;
use crate::programs;
use crate::stage::INIT_IS_READY;

/// Owns a directory that any user may enter; ends what it started and removes the directory when dropped.
#[derive(Debug)]
pub struct Troupe {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) directory: PathBuf,
    pub(crate) desk: PathBuf,
    pub(crate) started: Mutex<Vec<Alive>>,
    serial: AtomicU32,
}

impl Troupe {
    /// On a stage the directory is in `/run` and ends with it; elsewhere among the temporary files.
    ///
    /// # Panics
    /// When the directory cannot be made, or the testkit's programs cannot be built.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let stage = Path::new("/run/stage");
        let on_stage = stage.join("desk").is_dir();
        let base = if on_stage { stage.to_owned() } else { std::env::temp_dir() };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = base.join(format!("troupe-{}-{number}", std::process::id()));
        let desk = if on_stage { stage.join("desk") } else { directory.join("desk") };
        let original = directory.join("original");
        let made = make_directory(&directory).and_then(|()| make_directory(&desk)).and_then(|()| {
            // Whoever takes a request removes it.
            fs::set_permissions(&desk, fs::Permissions::from_mode(0o777))?;
            fs::copy(&programs::locate()?.stand_in, &original)?;
            fs::set_permissions(&original, fs::Permissions::from_mode(0o755))
        });
        made.unwrap_or_else(|error| panic!("no troupe in {}: {error}", directory.display()));
        let inner = Inner { directory, desk, started: Mutex::default(), serial: AtomicU32::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// An actor under this name, with `argv` of just the name and a small plain environment.
    #[must_use]
    pub fn actor(&self, name: impl AsRef<OsStr>) -> Actor {
        Actor::new(Arc::clone(&self.inner), name.as_ref())
    }

    /// PID 1 of the stage, to spawn from (see [`Actor::by`]).
    ///
    /// # Panics
    /// When there is no stage.
    #[must_use]
    pub fn init(&self) -> Alive {
        assert!(Path::new("/run/stage/init").is_dir(), "PID 1 is an actor on a stage only");
        assert!(poll(PATIENCE, || Path::new(INIT_IS_READY).exists()), "PID 1 does not get ready");
        Alive::pin(1).expect("there is a PID 1")
    }

    /// A user's `systemd --user`: a subreaper below PID 1, in its own session, as this user.
    #[must_use]
    pub fn manager(&self, uid: u32) -> Alive {
        let actor =
            self.actor("systemd").argv(["/usr/lib/systemd/systemd", "--user"]).behave("subreaper").uid(uid);
        actor.orphan_in_session()
    }

    /// The directory, for files of the scene.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }
}

impl Default for Troupe {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Troupe {
    fn drop(&mut self) {
        for alive in self.inner.started.lock().unwrap().iter() {
            drop(alive.signal(libc::SIGKILL));
            drop(crate::sys::wait(alive.pid, libc::WNOHANG));
        }
        drop(fs::remove_dir_all(&self.inner.directory));
    }
}

impl Inner {
    /// A path nobody uses yet.
    pub(crate) fn fresh_path(&self, kind: &str) -> PathBuf {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{kind}-{number}"))
    }

    /// The stand-in under `name` in `directory` (default: the troupe's own), made on first use.
    pub(crate) fn dress(&self, directory: Option<&Path>, name: &OsStr) -> io::Result<PathBuf> {
        let directory = directory.map_or_else(|| self.directory.join("bin"), Path::to_owned);
        make_directory(&directory)?;
        let path = directory.join(name);
        let original = self.directory.join("original");
        match fs::hard_link(&original, &path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(path),
            Err(_) => fs::copy(&original, &path).map(|_| path),
        }
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
