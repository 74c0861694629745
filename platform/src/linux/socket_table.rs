//! The listening sockets of a network namespace, by their inodes, read once and shared by its processes.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, fstat, openat, statx};
use rustix::io::Errno;

use super::{net, process_files, procfs, why};
use crate::sockets::{Listener, each_once};
use crate::types::Why;

/// How many tables are shared; each holds a descriptor of its namespace. For further namespaces the table is read anew.
pub(super) const MAX_NAMESPACES: usize = 32;

/// The listening sockets of a namespace, by their inodes.
pub(super) type Table = HashMap<u64, Listener>;

/// The tables read so far, by the inodes of their namespaces.
#[derive(Debug, Default)]
pub struct NamespaceTables {
    pub(super) namespaces: Mutex<HashMap<u64, Namespace>>,
}

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) table: Arc<Table>,
    /// Keeps the namespace alive: the kernel reuses the inode of a namespace that has ended.
    pub(super) _held: OwnedFd,
}

impl NamespaceTables {
    /// Where these sockets accept connections; if there are none, no table is read.
    pub(super) fn named(&self, thread: BorrowedFd<'_>, sockets: &[u64]) -> Result<Vec<Listener>, Why> {
        if sockets.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.table(thread)?;
        Ok(each_once(sockets.iter().filter_map(|inode| table.get(inode).cloned()).collect()))
    }

    /// The table of a thread's namespace. Two threads of ours that need a new one at the same time both read it.
    fn table(&self, thread: BorrowedFd<'_>) -> Result<Arc<Table>, Why> {
        if let Some(known) = namespace(thread).and_then(|inode| self.known(inode)) {
            return Ok(known);
        }
        let held = openat(thread, "ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let table = Arc::new(read_table(thread)?);
        if let Ok(held) = held
            && let Ok(inode) = fstat(&held).map(|stat| stat.st_ino)
            // The thread has not moved to another namespace meanwhile (setns(2)).
            && namespace(thread) == Some(inode)
        {
            let mut namespaces = self.lock();
            if namespaces.len() < MAX_NAMESPACES {
                namespaces.entry(inode).or_insert(Namespace { table: Arc::clone(&table), _held: held });
            }
        }
        Ok(table)
    }

    fn known(&self, inode: u64) -> Option<Arc<Table>> {
        self.lock().get(&inode).map(|namespace| Arc::clone(&namespace.table))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inode of a thread's network namespace (namespaces(7)); `None` where it cannot be read.
fn namespace(thread: BorrowedFd<'_>) -> Option<u64> {
    statx(thread, "ns/net", AtFlags::empty(), StatxFlags::INO).ok().map(|stat| stat.stx_ino)
}

/// Parses a line of a table: the inode of a listening socket, and where it listens.
type Parse = fn(&[u8]) -> Option<(u64, Listener)>;

fn read_table(thread: BorrowedFd<'_>) -> Result<Table, Why> {
    const FILES: [(&[u8], Parse); 3] = [(b"tcp", net::tcp), (b"tcp6", net::tcp), (b"unix", net::unix)];
    let dir = procfs::open_dir(thread, b"net").map_err(why)?;
    let (mut table, mut lacks_one) = (Table::new(), false);
    for (file, parse) in FILES {
        let mut lines = net::Lines::default();
        let read = procfs::read_chunks(dir.as_fd(), file, |piece| {
            lines.feed(piece, |line| {
                if let Some((inode, listener)) = parse(line) {
                    table.entry(inode).or_insert(listener);
                }
            });
        });
        match read {
            Err(Errno::NOENT) => lacks_one = true,
            read => read.map_err(why)?,
        }
    }
    // The kernel has no such protocol, or the thread has exited and is in no namespace any more.
    if lacks_one && !process_files::read_stat(thread, b"stat")?.has_memory {
        return Err(ended(thread));
    }
    Ok(table)
}

/// Why nothing is known of a process without memory: [`Why::Gone`] or [`Why::Exiting`].
pub(super) fn ended(dir: BorrowedFd<'_>) -> Why {
    match process_files::read_stat(dir, b"stat") {
        Ok(stat) if stat.state.has_exited() => Why::Gone,
        Ok(_) => Why::Exiting,
        Err(why) => why,
    }
}
