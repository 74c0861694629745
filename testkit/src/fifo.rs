//! The two FIFOs of a spawn: one reports that the process is set up, the other lets its launcher exit.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::process_ref::poll;
use crate::sys;
use crate::workspace::Workspace;

/// How long a spawn may take on a busy machine.
pub(crate) const SPAWN_LIMIT: Duration = Duration::from_secs(10);

/// A FIFO for one spawn, removed when dropped.
pub(crate) struct Fifo {
    pub(crate) path: PathBuf,
    file: File,
}

impl Fifo {
    pub(crate) fn new(workspace: &Workspace, kind: &str, mode: u32) -> io::Result<Self> {
        let path = workspace.fresh_path(kind);
        let text = sys::c_string(path.as_os_str())?;
        // SAFETY: `text` is a valid string.
        sys::check(unsafe { libc::mkfifo(text.as_ptr(), 0o600) })?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let mut options = OpenOptions::new();
        // The reading end of "go" must not be open yet: the launcher waits for it to be opened.
        let file = if kind == "go" {
            File::open("/dev/null")?
        } else {
            options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path)?
        };
        Ok(Self { path, file })
    }

    /// The pid that is reported, or the error.
    pub(crate) fn number(&self) -> io::Result<i32> {
        let fd = OwnedFd::from(self.file.try_clone()?);
        if !sys::readable_within(&fd, SPAWN_LIMIT.as_millis() as i32)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not report that it is ready"));
        }
        let text = self.lines();
        let number = text.lines().next().and_then(|line| line.trim().parse().ok());
        match failure_in(&text) {
            Some(error) => Err(error),
            None => number.ok_or_else(|| io::Error::other("it reported neither its pid nor an error")),
        }
    }

    /// The error that was reported since.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        failure_in(&self.lines())
    }

    fn lines(&self) -> String {
        let mut buffer = [0; 256];
        let length = (&self.file).read(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Lets the launcher exit; it may not be waiting yet.
    pub(crate) fn open_and_close(&self) {
        poll(Duration::from_secs(2), || {
            OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&self.path).is_ok()
        });
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

fn failure_in(lines: &str) -> Option<io::Error> {
    let code = lines.lines().find_map(|line| line.strip_prefix('!')?.trim().parse().ok())?;
    Some(io::Error::from_raw_os_error(code))
}
