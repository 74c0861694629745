//! Files that influence or record signals: other users must not be able to write them, nor to block reaper through
//! them.
//!
//! A file is checked through its open descriptor, so that the file checked is the file read, and it is opened without
//! blocking, so that a FIFO in its place cannot hang reaper. It is replaced as a whole, by a draft and a rename.
//! Waiting for a lock on it is bounded, as a stopped process never releases its lock. Where others could replace the
//! file, its directory is checked as well.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirEntry, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use reaper_platform::open_flags::{NO_FOLLOW, NO_WAIT};
use reaper_platform::{Gid, Uid};

const STICKY: u32 = 0o1000;
/// A draft is written within milliseconds; an older one was left by a process that was killed.
const DRAFT_LASTS: Duration = Duration::from_secs(3600);
/// Longest pause between two attempts to take a lock.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The users that may be able to write a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// This user alone.
    User(Uid),
    /// This user, the user's primary group, and root.
    UserAndRoot(Uid, Gid),
}

/// Why a file cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It is a directory, a FIFO, a socket or a device.
    NotAFile,
    /// It is a symbolic link, whose target may be any file of ours.
    Link,
    /// It has further hard links: writing to it may change a file that is used for something else.
    Names,
    /// Another user owns it.
    Owner {
        /// The owner.
        owner: Uid,
        /// The expected owner.
        wanted: Uid,
    },
    /// Every user may write it; its mode.
    Anyone(u32),
    /// A group that is not the user's own may write it.
    Group(Gid, u32),
    /// Others may replace it: the directory, and what is wrong with that.
    Directory(PathBuf, Box<Self>),
    /// It is larger than this limit, in bytes.
    LargerThan(u64),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Link => f.write_str("it is a symbolic link"),
            Self::Names => f.write_str("it has other names, too (hard links)"),
            Self::Owner { owner, wanted } => {
                write!(f, "owned by uid {owner}, neither you (uid {wanted}) nor root")
            }
            Self::Anyone(mode) => write!(f, "anyone can write it (mode {mode:04o})"),
            Self::Group(gid, mode) => {
                write!(f, "group {} can write it (mode {mode:04o}), not your primary group", gid.0)
            }
            Self::Directory(path, why) => {
                write!(f, "its folder `{}` ", path.display())?;
                match &**why {
                    Self::Anyone(mode) => write!(f, "can be written by anyone (mode {mode:04o})"),
                    Self::Group(gid, mode) => {
                        write!(f, "can be written by group {} (mode {mode:04o})", gid.0)
                    }
                    why => write!(f, "is {why}"),
                }
            }
            Self::LargerThan(most) => write!(f, "larger than {} MiB", most >> 20),
        }
    }
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The system refused.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// Others could have written it.
    #[error("{0}")]
    Distrusted(Distrust),
}

impl From<Distrust> for NotOpened {
    fn from(why: Distrust) -> Self {
        Self::Distrusted(why)
    }
}

impl Writers {
    /// Checks the owner and the mode of a file or directory.
    ///
    /// # Errors
    /// When others may write it.
    pub fn check(self, meta: &Metadata) -> Result<(), Distrust> {
        self.check_mode(meta, meta.mode())
    }

    fn check_mode(self, meta: &Metadata, mode: u32) -> Result<(), Distrust> {
        let (wanted, is_fine, group) = match self {
            Self::User(uid) => (uid, meta.uid() == uid.0, None),
            Self::UserAndRoot(uid, gid) => (uid, [uid.0, 0].contains(&meta.uid()), Some(gid.0)),
        };
        let shown = meta.mode() & 0o7777;
        if !is_fine {
            Err(Distrust::Owner { owner: Uid(meta.uid()), wanted })
        } else if mode & 0o002 != 0 {
            Err(Distrust::Anyone(shown))
        } else if mode & 0o020 != 0 && group != Some(meta.gid()) {
            Err(Distrust::Group(Gid(meta.gid()), shown))
        } else {
            Ok(())
        }
    }

    /// A directory that many users can write may hold our file if it is sticky: then only the file's owner can replace
    /// it.
    fn check_directory(self, path: &Path) -> Result<(), NotOpened> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let meta = fs::metadata(path)?;
        let mode = if meta.mode() & STICKY == 0 { meta.mode() } else { 0 };
        let distrusted = |why| Distrust::Directory(path.to_owned(), Box::new(why)).into();
        self.check_mode(&meta, mode).map_err(distrusted)
    }
}

/// Reads a file of settings that `writers` alone could have written; `None` when there is none. It may be reached
/// through a symbolic link: both its own directory and that of the link are then checked.
///
/// # Errors
/// When it cannot be read, others could have written it, or it has more than `most` bytes.
pub fn read_settings(path: &Path, writers: Writers, most: u64) -> Result<Option<Vec<u8>>, NotOpened> {
    // Checked before it is opened, because opening a device can have side effects.
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => return Err(Distrust::NotAFile.into()),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let file = OpenOptions::new().read(true).custom_flags(NO_WAIT).open(path)?;
    check_file(&file, writers)?;
    let real = fs::canonicalize(path)?;
    for directory in [path.parent(), real.parent()].into_iter().flatten() {
        writers.check_directory(directory)?;
    }
    read_all(&file, most).map(Some)
}

/// Reads a file of a directory that only `writers` can write; `None` when there is none.
///
/// # Errors
/// When it cannot be read, others could have written it, or it has more than `most` bytes.
pub fn read(path: &Path, writers: Writers, most: u64) -> Result<Option<Vec<u8>>, NotOpened> {
    let Some(file) = open_to_read(path, writers)? else { return Ok(None) };
    read_all(&file, most).map(Some)
}

/// Opens a file as for [`read`].
///
/// # Errors
/// When it cannot be opened, or others could have written it.
pub fn open_to_read(path: &Path, writers: Writers) -> Result<Option<File>, NotOpened> {
    match open(path, OpenOptions::new().read(true), writers) {
        Err(NotOpened::Failed(e)) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Opens a file of a directory that only `writers` can write, to read and to write it with these options; it is
/// made (mode 0600) if there is none.
///
/// # Errors
/// When it cannot be opened or made, others could have written it, or it has other names as well.
pub fn open_to_write(path: &Path, options: &mut OpenOptions, writers: Writers) -> Result<File, NotOpened> {
    let file = open(path, options.read(true).write(true).create(true).truncate(false).mode(0o600), writers)?;
    if file.metadata()?.nlink() > 1 {
        return Err(Distrust::Names.into());
    }
    Ok(file)
}

fn open(path: &Path, options: &mut OpenOptions, writers: Writers) -> Result<File, NotOpened> {
    let file = options.custom_flags(NO_WAIT | NO_FOLLOW).open(path).map_err(|e| {
        match fs::symlink_metadata(path).map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_symlink() => Distrust::Link.into(),
            // A socket cannot be opened.
            Ok(kind) if !kind.is_file() && !kind.is_dir() => Distrust::NotAFile.into(),
            _ => NotOpened::from(e),
        }
    })?;
    check_file(&file, writers)?;
    Ok(file)
}

fn check_file(file: &File, writers: Writers) -> Result<(), NotOpened> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Distrust::NotAFile.into());
    }
    Ok(writers.check(&meta)?)
}

fn read_all(file: &File, most: u64) -> Result<Vec<u8>, NotOpened> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Distrust::LargerThan(most).into());
    }
    Ok(bytes)
}

/// Whether the content of a replaced file must survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Synced to the disk before the rename.
    Synced,
    /// Not synced: it is rewritten soon anyway.
    NotSynced,
}

/// Replaces a file as a whole: readers see the old one or the new one. The draft must not exist yet: in a directory
/// that others can write, an existing file of that name may be a link to anywhere.
///
/// # Errors
/// When the disk is full, read-only, or otherwise refuses.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, lasting: Lasting) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}.draft", std::process::id()));
    let make = || OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft);
    let mut file = match make() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&draft)?;
            make()?
        }
        made => made?,
    };
    let written = (|| {
        file.write_all(bytes)?;
        // Independent of the umask: others may have to read it.
        file.set_permissions(Permissions::from_mode(mode))?;
        if lasting == Lasting::Synced {
            file.sync_data()?;
        }
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        // A draft that cannot be removed does no harm.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Removes the drafts that killed processes have left in a directory: those of the file `name`, or of all files. Drafts
/// that cannot be removed are ignored.
pub fn sweep_drafts(directory: &Path, name: Option<&OsStr>) {
    let is_draft = |entry: &DirEntry| {
        let of = entry.file_name().to_str().and_then(draft_of).map(str::to_owned)?;
        let is_wanted = name.is_none_or(|name| name == OsStr::new(&of));
        let meta = entry.metadata().ok()?;
        let age = meta.modified().ok()?.elapsed().ok()?;
        Some(is_wanted && meta.is_file() && age > DRAFT_LASTS)
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_draft(&entry) == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The file that a draft with this name was for.
fn draft_of(name: &str) -> Option<&str> {
    let (of, pid) = name.strip_prefix('.')?.strip_suffix(".draft")?.rsplit_once('.')?;
    pid.parse::<u32>().ok().map(|_| of)
}

/// Takes the lock on a file; it is released with the descriptor, so at the latest when the process ends. Retries until
/// `patience` is over, at least once; returns whether the lock was taken.
///
/// # Errors
/// When the file system does not support locks.
pub fn lock(file: &File, patience: Duration) -> io::Result<bool> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(e)) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            Err(_) => {}
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LOCK_POLL);
    }
}

#[cfg(test)]
mod tests;
