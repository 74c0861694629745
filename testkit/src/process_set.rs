//! Stand-ins under many names, and everything that was started from them.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::fifo::SPAWN_LIMIT;
use crate::pid_namespace::INIT_IS_READY;
use crate::process_ref::{ProcessRef, poll};
use crate::process_spec::ProcessSpec;
use crate::workspace::Workspace;

/// Owns a directory that any user may enter; ends what it started and removes the directory when dropped.
#[derive(Debug)]
pub struct ProcessSet {
    workspace: Arc<Workspace>,
}

impl ProcessSet {
    /// A set with nothing in it.
    ///
    /// # Panics
    /// When its directory cannot be made, or the testkit's binaries cannot be built.
    #[must_use]
    pub fn new() -> Self {
        let made = Workspace::create();
        Self {
            workspace: Arc::new(made.unwrap_or_else(|error| panic!("no directory for processes: {error}"))),
        }
    }

    /// A process under this name, with `argv` of just the name and a small plain environment.
    #[must_use]
    pub fn spec(&self, name: impl AsRef<OsStr>) -> ProcessSpec {
        ProcessSpec::new(Arc::clone(&self.workspace), name.as_ref())
    }

    /// PID 1 of the namespace, to spawn from (see [`ProcessSpec::by`]).
    ///
    /// # Panics
    /// Outside a private PID namespace.
    #[must_use]
    pub fn init(&self) -> ProcessRef {
        assert!(
            Path::new("/run/testkit/init").is_dir(),
            "PID 1 is a stand-in in a private PID namespace only"
        );
        assert!(poll(SPAWN_LIMIT, || Path::new(INIT_IS_READY).exists()), "PID 1 does not get ready");
        ProcessRef::open(1).expect("there is a PID 1")
    }

    /// A user's `systemd --user`: a subreaper below PID 1, in its own session, as this user.
    #[must_use]
    pub fn manager(&self, uid: u32) -> ProcessRef {
        let manager =
            self.spec("systemd").argv(["/usr/lib/systemd/systemd", "--user"]).behave("subreaper").uid(uid);
        manager.orphan_in_session()
    }

    /// The directory, for files of the test.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.workspace.directory
    }
}

impl Default for ProcessSet {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ProcessSet {
    fn drop(&mut self) {
        self.workspace.end();
    }
}
