//! The process handle of macOS: a pid and a never-reused number.
//!
//! macOS has no kernel handles of processes. It has a unique number for each process, which is never reused
//! within one boot. Every read here reads that number *after* it has read by pid, so that the result is of
//! the right process or is discarded. A signal is bound to the process by the kernel, where it can
//! (`proc_signal_with_audittoken`); on older systems the number is read right before `kill(2)`, and only in the time
//! between these two calls can the pid be reused.

use nix::errno::Errno;
use nix::sys::signal;

use super::errors::why;
use super::{nix_pid, process_info, syscalls};
use crate::environ::{EnvironScan, Wanted};
use crate::host::ProcessHandle;
use crate::socket_tables::SocketTables;
use crate::sockets::{Folder, Listener};
use crate::types::{Generation, Ids, Image, Pid, ProcId, RuntimeUnit, Signal, Stat, Uid, Why};

/// How often a signal is tried again because the process has executed another program.
const ATTEMPTS: usize = 5;

/// A process, identified by its pid and its unique number.
#[derive(Debug)]
pub struct MacHandle {
    id: ProcId,
    unique: u64,
    first_image: Image,
}

impl MacHandle {
    /// Opens a handle of `pid`.
    pub(super) fn new(pid: Pid) -> Result<Self, Why> {
        let (seen, unique) = process_info::look(pid)?;
        let id = ProcId { pid, start: seen.start, generation: Some(Generation(unique.id)) };
        Ok(Self { id, unique: unique.id, first_image: image(unique) })
    }

    /// Its unique number.
    pub(super) const fn unique(&self) -> u64 {
        self.unique
    }

    /// Passes on what was read by pid, if the pid is still this process's.
    fn own<T>(&self, read: Result<T, Why>) -> Result<T, Why> {
        if process_info::unique(self.id.pid)?.id == self.unique { read } else { Err(Why::Gone) }
    }
}

/// The kernel counts the images: `p_idversion` changes with each execve(2).
fn image(unique: super::bsdinfo::Unique) -> Image {
    Image { file: (u64::from(unique.version.cast_unsigned()), 0), layout: (0, 0) }
}

impl ProcessHandle for MacHandle {
    fn id(&self) -> ProcId {
        self.id
    }

    fn stat(&self) -> Result<Stat, Why> {
        // The session is read separately from the rest, so the number is read once more.
        self.own(process_info::stat(self.id.pid).map(|(stat, ..)| stat))
    }

    /// An exiting process runs no code any more.
    fn has_ended(&self) -> Result<bool, Why> {
        match process_info::look(self.id.pid) {
            Ok((seen, unique)) => Ok(unique.id != self.unique || seen.is_exiting || seen.state.has_exited()),
            Err(Why::Gone) => Ok(true),
            Err(why) => Err(why),
        }
    }

    fn first_image(&self) -> Option<Image> {
        Some(self.first_image)
    }

    fn image(&self, _stat: &Stat) -> Result<Image, Why> {
        let now = process_info::unique(self.id.pid)?;
        if now.id == self.unique { Ok(image(now)) } else { Err(Why::Gone) }
    }

    fn ids(&self) -> Result<Ids, Why> {
        self.own(process_info::look(self.id.pid).map(|(seen, _)| seen.ids))
    }

    fn exe(&self) -> Result<Vec<u8>, Why> {
        self.own(process_info::exe(self.id.pid))
    }

    fn argv(&self) -> Result<Vec<Vec<u8>>, Why> {
        self.own(process_info::argv(self.id.pid))
    }

    fn environ(&self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        self.own(process_info::environ(self.id.pid, wanted))
    }

    /// launchd knows its jobs by their pids: see [`crate::Host::jobs`].
    fn unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        Ok(None)
    }

    /// The kernel reports each socket by itself: there are no tables.
    fn listeners(&self, _tables: &SocketTables) -> Result<Vec<Listener>, Why> {
        self.own(process_info::listeners(self.id.pid))
    }

    fn folder(&self, path: &[u8]) -> Result<Folder, Why> {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::MetadataExt as _;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        let file = std::fs::symlink_metadata(path).map_err(|e| match e.raw_os_error() {
            Some(errno) => why(errno),
            None => Why::Failed(e.to_string()),
        })?;
        let made = file.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(Folder { owner: Uid(file.uid()), mode: file.mode() & 0o7777, made })
    }

    /// The kernel records the number of the process that started another, also after that has exited.
    fn started_by_parent(&self) -> Result<Option<bool>, Why> {
        for _ in 0..ATTEMPTS {
            let (seen, unique) = process_info::look(self.id.pid)?;
            if unique.id != self.unique {
                return Err(Why::Gone);
            }
            let Some(parent) = seen.ppid.filter(|_| unique.starter != 0) else { return Ok(None) };
            match process_info::unique(parent) {
                Ok(parent) => return Ok(Some(parent.id == unique.starter)),
                // The parent has exited meanwhile, and there is another now.
                Err(Why::Gone) => {}
                Err(why) => return Err(why),
            }
        }
        Err(Why::Garbled("its parent changed again and again"))
    }

    fn starter(&self) -> Result<Option<Generation>, Why> {
        let now = process_info::unique(self.id.pid)?;
        if now.id != self.unique {
            return Err(Why::Gone);
        }
        Ok((now.starter != 0).then_some(Generation(now.starter)))
    }

    fn signal(&self, signal: Signal) -> Result<(), Why> {
        let signal = match signal {
            Signal::Term => signal::Signal::SIGTERM,
            Signal::Cont => signal::Signal::SIGCONT,
            Signal::Kill => signal::Signal::SIGKILL,
        };
        for _ in 0..ATTEMPTS {
            let (seen, unique) = process_info::look(self.id.pid)?;
            if unique.id != self.unique || seen.state.has_exited() {
                return Err(Why::Gone);
            }
            if seen.is_exiting {
                return Err(Why::Exiting);
            }
            return match syscalls::signal(self.id.pid, unique.version, signal as libc::c_int) {
                Some(Ok(())) => Ok(()),
                // It has exited, or executed another program since the number was read.
                Some(Err(Errno::ESRCH)) => continue,
                Some(Err(errno)) => Err(why(errno as i32)),
                None => signal::kill(nix_pid(self.id.pid), signal).map_err(|errno| why(errno as i32)),
            };
        }
        Err(Why::Garbled("it runs one program after another"))
    }
}
