//! What one process accepts connections on: the sockets among its descriptors, looked up in the tables of its network
//! namespace.
//!
//! A process with n descriptors takes n + 4 system calls without sockets: one `readlinkat` each, and opening, reading
//! (twice up to some 2700 descriptors) and closing the directory. With sockets it takes one more, if the table of its
//! namespace was read before.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, fstat, openat, readlinkat_raw, statx};
use rustix::io::Errno;

use super::{facts, net, proc, why};
use crate::sockets::{Listener, SocketTables, each_once};
use crate::types::{Pid, Why};

/// As many namespaces are shared, each for a descriptor that is held; processes of others are told the table anew.
const MAX_NAMESPACES: usize = 32;

/// The sockets of a namespace that listen, by their inodes.
type Table = HashMap<u64, Listener>;

/// The tables that were read, by the inodes of their namespaces.
#[derive(Debug, Default)]
pub struct Shared {
    namespaces: Mutex<HashMap<u64, Namespace>>,
}

#[derive(Debug)]
struct Namespace {
    table: Arc<Table>,
    /// The kernel gives the inode of a namespace that has ended to the next one. As long as this is open, it has not.
    _held: OwnedFd,
}

/// Reads what a process accepts connections on, through its own directory.
pub fn read(dir: BorrowedFd<'_>, pid: Pid, tables: &SocketTables) -> Result<Vec<Listener>, Why> {
    if let Some(sockets) = sockets_of(dir)? {
        return tables.shared.named(dir, &sockets);
    }
    // The first thread has exited. As long as there are others, the process goes on, with the same descriptors.
    let task = proc::open_dir(dir, b"task").map_err(why)?;
    for thread in proc::threads(&task).map_err(why)?.into_iter().filter(|thread| *thread != pid) {
        let looked =
            proc::open_dir(task.as_fd(), proc::Path::new(thread, "").bytes()).map_err(why).and_then(|dir| {
                let sockets = sockets_of(dir.as_fd())?;
                sockets.map(|sockets| tables.shared.named(dir.as_fd(), &sockets)).transpose()
            });
        match looked {
            Ok(Some(listeners)) => return Ok(listeners),
            Ok(None) | Err(Why::Gone) => {}
            Err(why) => return Err(why),
        }
    }
    Err(ended(dir))
}

/// Why a process without memory says nothing.
fn ended(dir: BorrowedFd<'_>) -> Why {
    match facts::read_stat(dir, b"stat") {
        Ok(stat) if stat.state.has_exited() => Why::Gone,
        Ok(_) => Why::Exiting,
        Err(why) => why,
    }
}

/// The inodes of a thread's open sockets; `None` when it has exited or is about to.
fn sockets_of(thread: BorrowedFd<'_>) -> Result<Option<Vec<u64>>, Why> {
    let read = read_descriptors(thread);
    if let Ok(Descriptors { sockets, is_certain: true }) = read {
        return Ok(Some(sockets));
    }
    // A thread that exits gives up its memory first, and then its descriptors: while it has memory, it had all of them.
    // Without memory its directory is root's, whatever user it had before (`task_dump_owner` in fs/proc/base.c).
    let has_memory = facts::read_stat(thread, b"stat")?.has_memory;
    if has_memory { read.map(|descriptors| Some(descriptors.sockets)) } else { Ok(None) }
}

struct Descriptors {
    /// The inodes of those that are sockets.
    sockets: Vec<u64>,
    /// Whether there were any descriptors, and none was closed during the read: then the thread had not exited.
    is_certain: bool,
}

fn read_descriptors(thread: BorrowedFd<'_>) -> Result<Descriptors, Why> {
    let dir = proc::open_dir(thread, b"fd").map_err(why)?;
    let (mut sockets, mut any, mut closed) = (Vec::new(), false, false);
    // Longer links are of files, and cut.
    let mut link = [MaybeUninit::uninit(); 64];
    proc::names(&dir, |name| {
        if !name.to_bytes().iter().all(u8::is_ascii_digit) {
            return Ok(());
        }
        any = true;
        match readlinkat_raw(&dir, name, &mut link) {
            Ok((link, _)) => sockets.extend(net::socket(link)),
            Err(Errno::NOENT) => closed = true,
            Err(errno) => return Err(errno),
        }
        Ok(())
    })
    .map_err(why)?;
    Ok(Descriptors { sockets, is_certain: any && !closed })
}

impl Shared {
    /// Where these sockets accept connections; without sockets no table is read.
    fn named(&self, thread: BorrowedFd<'_>, sockets: &[u64]) -> Result<Vec<Listener>, Why> {
        if sockets.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.table(thread)?;
        Ok(each_once(sockets.iter().filter_map(|inode| table.get(inode).cloned()).collect()))
    }

    /// The table of a thread's namespace. Two threads of ours that ask for a new one at the same time both read it.
    fn table(&self, thread: BorrowedFd<'_>) -> Result<Arc<Table>, Why> {
        if let Some(known) = namespace(thread).and_then(|inode| self.known(inode)) {
            return Ok(known);
        }
        let held = openat(thread, "ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let table = Arc::new(read_table(thread)?);
        if let Ok(held) = held
            && let Ok(inode) = fstat(&held).map(|stat| stat.st_ino)
            // It has not moved to another namespace meanwhile (setns(2)).
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

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inode of a thread's network namespace (namespaces(7)); `None` where it cannot be told.
fn namespace(thread: BorrowedFd<'_>) -> Option<u64> {
    statx(thread, "ns/net", AtFlags::empty(), StatxFlags::INO).ok().map(|stat| stat.stx_ino)
}

/// A line of a table: the inode of a socket that listens, and where.
type Parse = fn(&[u8]) -> Option<(u64, Listener)>;

fn read_table(thread: BorrowedFd<'_>) -> Result<Table, Why> {
    const FILES: [(&[u8], Parse); 3] = [(b"tcp", net::tcp), (b"tcp6", net::tcp), (b"unix", net::unix)];
    let dir = proc::open_dir(thread, b"net").map_err(why)?;
    let (mut table, mut lacks_one) = (Table::new(), false);
    for (file, parse) in FILES {
        let mut lines = net::Lines::default();
        let read = proc::read_chunks(dir.as_fd(), file, |piece| {
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
    if lacks_one && !facts::read_stat(thread, b"stat")?.has_memory {
        return Err(ended(thread));
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
