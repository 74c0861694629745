//! One service for each user: a lock on a file, which ends with the process that holds it, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Held for as long as the service runs.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another service has it.
    #[error("another reaper service runs for this user{}\nhint: `reaper status` asks it; stop it before you start another", holder.map(|pid| format!(": pid {pid}")).unwrap_or_default())]
    Held {
        /// Its pid, if it could be read.
        holder: Option<u32>,
    },
    /// The system refused.
    #[error("cannot lock `{}`: {source}\nhint: make the runtime directory writable, or set XDG_RUNTIME_DIR to one that is", path.display())]
    Io {
        /// The file.
        path: Box<Path>,
        /// Why not.
        source: io::Error,
    },
}

/// Takes the lock and leaves our pid in it, for whoever comes second.
///
/// # Errors
/// When another service has it, or the file cannot be made.
pub fn take(path: &Path) -> Result<Lock, LockError> {
    let io = |source| LockError::Io { path: path.into(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(Lock(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Whoever holds it may be about to write its pid; then the message just lacks it.
            let _ = file.take(16).read_to_string(&mut text);
            Err(LockError::Held { holder: text.trim().parse().ok() })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w15_a_second_service_is_told_who_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = take(&path).unwrap();
        let refused = take(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(held);
        take(&path).unwrap();
    }
}
