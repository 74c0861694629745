//! The state directory: what must outlive one run, and who may touch it.
//!
//! Sightings decide when a process may be ended and the history says why one was, so neither is taken from,
//! or entrusted to, a place that others can write.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use reaper_platform::Uid;

/// What went wrong with the state directory or a file in it.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {what} `{}`: {source}\nhint: {hint}", path.display())]
    Io {
        /// The attempt.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// The way out.
        hint: &'static str,
    },
    /// Others could write it.
    #[error("refusing to use `{}`: {why}\nhint: {hint}", path.display())]
    Refused {
        /// What.
        path: PathBuf,
        /// Why not.
        why: String,
        /// The way out.
        hint: String,
    },
    /// Another reaper is ending processes.
    #[error("another reaper is ending processes right now (it holds `{}`)\nhint: wait for it to finish, then run this again", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
}

/// An open state directory of our own.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    uid: Uid,
}

/// Held while processes are being ended, so that two reapers never work on one target.
#[derive(Debug)]
pub struct ActLock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl StateDir {
    /// Opens the directory, and makes it (mode 0700) if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, belongs to another user, or others can write it.
    pub fn create(path: &Path, uid: Uid) -> Result<Self, StateError> {
        let io = |source| StateError::Io {
            what: "create the directory",
            path: path.to_owned(),
            source,
            hint: "make it writable, or set XDG_STATE_HOME or XDG_RUNTIME_DIR to a directory of yours; in a \
                   container, mount a volume there",
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        Self::open(path, uid)?.ok_or_else(|| io(io::Error::from(io::ErrorKind::NotFound)))
    }

    /// Makes the directory again after somebody removed it.
    ///
    /// # Errors
    /// As [`StateDir::create`].
    pub fn restore(&self) -> Result<(), StateError> {
        Self::create(&self.path, self.uid).map(drop)
    }

    /// Opens the directory for reading; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be looked at, belongs to another user, or others can write it.
    pub fn open(path: &Path, uid: Uid) -> Result<Option<Self>, StateError> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let hint = "check the permissions of the directories above it";
                return Err(StateError::Io {
                    what: "look at the state directory",
                    path: path.to_owned(),
                    source,
                    hint,
                });
            }
        };
        let refuse = |why: String, hint: String| StateError::Refused { path: path.to_owned(), why, hint };
        if !meta.is_dir() {
            return Err(refuse("it is not a directory".into(), "move it away".into()));
        }
        if meta.uid() != uid.0 {
            let why = format!("it belongs to uid {}, not to you (uid {uid})", meta.uid());
            return Err(refuse(why, "set XDG_STATE_HOME to a directory of yours".into()));
        }
        if meta.permissions().mode() & 0o022 != 0 {
            return Err(refuse("others can write it".into(), format!("run `chmod go-w {}`", path.display())));
        }
        Ok(Some(Self { path: path.to_owned(), uid }))
    }

    /// Where a file in it is.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file that only we could have written; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or others could have written it.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        let io = |source| StateError::Io {
            what: "read",
            path: path.clone(),
            source,
            hint: "check the permissions of the state directory",
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() || meta.uid() != self.uid.0 || meta.permissions().mode() & 0o022 != 0 {
            let why = "others could have written it".to_owned();
            return Err(StateError::Refused { path, why, hint: "remove it; it will be made anew".into() });
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes).map_err(io)?;
        Ok(Some(bytes))
    }

    /// Replaces a file as a whole: readers see the old one or the new one.
    ///
    /// # Errors
    /// When the disk is full, read-only, or otherwise refuses.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.file(name);
        let draft = self.file(&format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| {
            // The draft is of no use to anybody; that it could not be removed changes nothing.
            let _ = fs::remove_file(&draft);
            StateError::Io {
                what: "write",
                path,
                source,
                hint: "nothing was ended. Free some space, or make the directory writable",
            }
        })
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { what: "remove", path, source, hint: "make the directory writable" })
            }
            _ => Ok(()),
        }
    }

    /// Moves a file that cannot be used out of the way, and tells where to.
    pub fn set_aside(&self, name: &str) -> Option<PathBuf> {
        let aside = self.file(&format!("{name}.bad"));
        fs::rename(self.file(name), &aside).ok().map(|()| aside)
    }

    /// Takes the lock of those who end processes.
    ///
    /// # Errors
    /// [`StateError::Busy`] when another has it.
    pub fn lock_to_act(&self) -> Result<ActLock, StateError> {
        let path = self.file("act.lock");
        let io = |source| StateError::Io {
            what: "lock",
            path: path.clone(),
            source,
            hint: "nothing was ended. Free some space, or make the state directory writable",
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(ActLock(file)),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy { path }),
            Err(TryLockError::Error(e)) => Err(io(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Uid {
        Uid(fs::metadata(tempfile::tempdir().unwrap().path()).unwrap().uid())
    }

    #[test]
    fn the_directory_is_private_and_must_stay_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        StateDir::create(&path, own()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = StateDir::open(&path, own()).unwrap_err().to_string();
        assert!(refused.contains("others can write it") && refused.contains("hint:"), "{refused}");
        assert!(StateDir::open(&path, Uid(own().0 + 1)).unwrap_err().to_string().contains("belongs to uid"));
    }

    #[test]
    fn files_are_replaced_whole_and_foreign_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(&dir.path().join("s"), own()).unwrap();
        assert!(state.read("x").unwrap().is_none());
        state.replace("x", b"one").unwrap();
        state.replace("x", b"two").unwrap();
        assert_eq!(state.read("x").unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(state.file("x")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(state.file("x"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(state.read("x"), Err(StateError::Refused { .. })));
        assert_eq!(fs::read_dir(dir.path().join("s")).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn w15_only_one_reaper_acts() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s").as_path(), own()).unwrap();
        let held = state.lock_to_act().unwrap();
        assert!(matches!(state.lock_to_act(), Err(StateError::Busy { .. })));
        drop(held);
        state.lock_to_act().unwrap();
    }
}
