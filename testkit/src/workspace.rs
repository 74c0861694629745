//! The directory that a process set works in: copies of the stand-in, FIFOs, requests, and what was started from it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::helper_binaries;
use crate::process_ref::ProcessRef;

/// Where a private PID namespace has its files; it does not exist outside of one.
const NAMESPACE_FILES: &str = "/run/testkit";

/// Shared by a process set, the specs made from it and their FIFOs.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) directory: PathBuf,
    /// Where spawn requests are written, each named by the pid of the process that is to spawn.
    pub(crate) request_dir: PathBuf,
    pub(crate) started: Mutex<Vec<ProcessRef>>,
    serial: AtomicU32,
}

impl Workspace {
    /// In a private PID namespace the directory is in `/run` and ends with it; elsewhere among the temporary files.
    pub(crate) fn create() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let files = Path::new(NAMESPACE_FILES);
        let in_namespace = files.join("requests").is_dir();
        let base = if in_namespace { files.to_owned() } else { std::env::temp_dir() };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = base.join(format!("processes-{}-{number}", std::process::id()));
        let request_dir = if in_namespace { files.join("requests") } else { directory.join("requests") };
        let original = directory.join("original");
        make_directory(&directory)?;
        make_directory(&request_dir)?;
        // The process that takes a request removes it, and may run as any user.
        fs::set_permissions(&request_dir, fs::Permissions::from_mode(0o777))?;
        fs::copy(&helper_binaries::locate()?.stand_in, &original)?;
        fs::set_permissions(&original, fs::Permissions::from_mode(0o755))?;
        Ok(Self { directory, request_dir, started: Mutex::default(), serial: AtomicU32::new(0) })
    }

    /// A path that is not in use yet.
    pub(crate) fn fresh_path(&self, kind: &str) -> PathBuf {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{kind}-{number}"))
    }

    /// The stand-in under `name` in `directory` (default: the workspace's own), made on first use.
    pub(crate) fn install_stand_in(&self, directory: Option<&Path>, name: &OsStr) -> io::Result<PathBuf> {
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

    /// Ends the processes that were started, and removes the directory.
    pub(crate) fn end(&self) {
        for process in self.started.lock().unwrap().iter() {
            drop(process.signal(libc::SIGKILL));
            drop(crate::sys::wait(process.pid, libc::WNOHANG));
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
