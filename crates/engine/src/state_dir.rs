//! The state directory: data that outlives one run, writable by its user alone.
//!
//! Sightings decide when a process may be ended and the history records why one was, so neither is read from nor
//! written to a place that others can write.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reaper_platform::Uid;

use crate::failure::Failure;
use crate::trusted_file::{self, Distrust, Lasting, NotOpened, Writers};

/// Size limit of a file, in bytes: more than the sightings of a million processes take.
const LARGEST: u64 = 256 << 20;
const ACT_LOCK: &str = "act.lock";

/// An open state directory that only our user can write.
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
    pub fn create(path: &Path, uid: Uid) -> Result<Self, Failure> {
        let failed = |source: io::Error| {
            let hint = "make it writable, or set XDG_STATE_HOME or XDG_RUNTIME_DIR to a directory of yours; in a \
                        container, mount a volume there";
            Failure::new("cannot create the directory").at(path).because(source).hint(hint)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let directory = Self::open(path, uid)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        trusted_file::sweep_drafts(path, None);
        Ok(directory)
    }

    /// Makes the directory again after it was removed.
    ///
    /// # Errors
    /// As [`StateDir::create`].
    pub fn restore(&self) -> Result<(), Failure> {
        Self::create(&self.path, self.uid).map(drop)
    }

    /// Opens the directory for reading; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be examined, belongs to another user, or others can write it.
    pub fn open(path: &Path, uid: Uid) -> Result<Option<Self>, Failure> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                let hint = "check the permissions of the directories above it";
                return Err(Failure::new("cannot look at the state directory")
                    .at(path)
                    .because(e)
                    .hint(hint));
            }
        };
        if !meta.is_dir() {
            return Err(refusal(path, "it is not a directory").hint("move it away"));
        }
        match Writers::User(uid).check(&meta) {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), uid })),
            Err(Distrust::Owner { owner, .. }) => {
                let why = format!("it belongs to uid {owner}, not to you (uid {uid})");
                Err(refusal(path, why).hint("set XDG_STATE_HOME to a directory of yours"))
            }
            Err(_) => {
                let hint = format!("run `chmod go-w {}`", path.display());
                Err(refusal(path, "others can write it").hint(hint))
            }
        }
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file that only our user could have written; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read, or others could have written it.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let read = trusted_file::read(&self.file(name), Writers::User(self.uid), LARGEST);
        read.map_err(|e| {
            self.not_opened(name, "cannot read", e, "check the permissions of the state directory", ANEW)
        })
    }

    /// Opens a file that is read piece by piece, as [`StateDir::read`]; failures say `what` was tried.
    ///
    /// # Errors
    /// When it cannot be opened, or others could have written it.
    pub fn open_to_read(&self, name: &str, what: &'static str) -> Result<Option<File>, Failure> {
        let opened = trusted_file::open_to_read(&self.file(name), Writers::User(self.uid));
        opened.map_err(|e| {
            self.not_opened(name, what, e, "check the permissions of the state directory", ASIDE)
        })
    }

    /// Opens a file with these options, to be written in place; failures say `what` was tried, and the `hint` for when
    /// the system refuses.
    ///
    /// # Errors
    /// When it cannot be opened or made, or others could have written it.
    pub fn open_to_write(
        &self,
        name: &str,
        options: &mut OpenOptions,
        what: &'static str,
        hint: &'static str,
    ) -> Result<File, Failure> {
        let opened = trusted_file::open_to_write(&self.file(name), options, Writers::User(self.uid));
        opened.map_err(|e| self.not_opened(name, what, e, hint, ASIDE))
    }

    fn not_opened(
        &self,
        name: &str,
        what: &'static str,
        e: NotOpened,
        failed: &'static str,
        remedy: &'static str,
    ) -> Failure {
        let path = self.file(name);
        match e {
            NotOpened::Failed(e) => Failure::new(what).at(path).because(e).hint(failed),
            NotOpened::Distrusted(why @ (Distrust::Link | Distrust::Names | Distrust::LargerThan(_))) => {
                refusal(&path, why.to_string()).hint(remedy)
            }
            NotOpened::Distrusted(_) => refusal(&path, "others could have written it").hint(remedy),
        }
    }

    /// Replaces a file as a whole: readers see the old one or the new one.
    ///
    /// # Errors
    /// When the disk is full, read-only, or otherwise refuses.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.file(name);
        trusted_file::replace(&path, bytes, 0o600, Lasting::Synced).map_err(|e| {
            let hint = "nothing was ended. Free some space, or make the directory writable";
            Failure::new("cannot write").at(path).because(e).hint(hint)
        })
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Failure::new("cannot remove").at(path).because(e).hint("make the directory writable"))
            }
            _ => Ok(()),
        }
    }

    /// Moves an unusable file out of the way; returns its new path.
    pub fn set_aside(&self, name: &str) -> Option<PathBuf> {
        let aside = self.file(&format!("{name}.bad"));
        fs::rename(self.file(name), &aside).ok().map(|()| aside)
    }

    /// Takes the lock that is held while processes are ended; `None` when another process holds it for longer than
    /// `patience`.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn lock_to_act(&self, patience: Duration) -> Result<Option<ActLock>, Failure> {
        let hint = "nothing was ended. Free some space, or make the state directory writable";
        let file = self.open_to_write(ACT_LOCK, &mut OpenOptions::new(), "cannot lock", hint)?;
        let failed = |e: io::Error| Failure::new("cannot lock").at(self.file(ACT_LOCK)).because(e).hint(hint);
        Ok(trusted_file::lock(&file, patience).map_err(failed)?.then_some(ActLock(file)))
    }

    /// The failure for that lock being held by another process.
    #[must_use]
    pub fn busy(&self) -> Failure {
        let holder = format!("(it holds `{}`)", self.file(ACT_LOCK).display());
        Failure::new(format!("another reaper is ending processes right now {holder}"))
            .hint("wait for it to finish, then run this again")
    }
}

/// Hint for a file that can be recreated.
const ANEW: &str = "remove it; it will be made anew";
/// Hint for a file whose content exists nowhere else.
const ASIDE: &str = "move it away; a new one will be begun";

fn refusal(path: &Path, why: impl Into<String>) -> Failure {
    Failure::new("refusing to use").at(path).because(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

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
        assert!(state.read("x").unwrap_err().to_string().starts_with("refusing to use"));
        assert_eq!(fs::read_dir(dir.path().join("s")).unwrap().count(), 1, "no draft is left behind");
        let left = fs::File::create(state.file(".x.1.draft")).unwrap();
        left.set_modified(std::time::SystemTime::now() - Duration::from_secs(24 * 3600)).unwrap();
        state.restore().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("s")).unwrap().count(), 1, "nor one of a killed process");
    }

    #[test]
    fn w15_only_one_reaper_acts() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s").as_path(), own()).unwrap();
        let take = || state.lock_to_act(Duration::ZERO).unwrap();
        let held = take().unwrap();
        assert!(take().is_none());
        drop(held);
        take().unwrap();
    }
}
