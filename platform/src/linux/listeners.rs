//! What one process accepts connections on: the sockets among its descriptors, looked up in the tables of its network
//! namespace.
//!
//! A process with n descriptors takes n + 4 system calls without sockets: one `readlinkat` each, and opening, reading
//! (twice up to some 2700 descriptors) and closing the directory. With sockets it takes one more, if the table of its
//! namespace was read before.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::readlinkat_raw;
use rustix::io::Errno;

use super::socket_table::ended;
use super::{net, process_files, procfs, why};
use crate::socket_tables::SocketTables;
use crate::sockets::Listener;
use crate::types::{Pid, Why};

/// Reads what a process accepts connections on, through its own directory.
pub fn read(dir: BorrowedFd<'_>, pid: Pid, tables: &SocketTables) -> Result<Vec<Listener>, Why> {
    if let Some(sockets) = sockets_of(dir)? {
        return tables.shared.named(dir, &sockets);
    }
    // The main thread has exited. As long as there are others, the process runs on, with the same descriptors.
    let task = procfs::open_dir(dir, b"task").map_err(why)?;
    for thread in procfs::threads(&task).map_err(why)?.into_iter().filter(|thread| *thread != pid) {
        let looked = procfs::open_dir(task.as_fd(), procfs::Path::new(thread, "").bytes())
            .map_err(why)
            .and_then(|dir| {
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

/// The inodes of a thread's open sockets; `None` when it has exited or is about to.
fn sockets_of(thread: BorrowedFd<'_>) -> Result<Option<Vec<u64>>, Why> {
    let read = read_descriptors(thread);
    if let Ok(Descriptors { sockets, is_certain: true }) = read {
        return Ok(Some(sockets));
    }
    // An exiting thread releases its memory first, and then its descriptors: while it has memory, it has all of them.
    // Without memory its directory belongs to root, whatever user it ran as (`task_dump_owner` in fs/proc/base.c).
    let has_memory = process_files::read_stat(thread, b"stat")?.has_memory;
    if has_memory { read.map(|descriptors| Some(descriptors.sockets)) } else { Ok(None) }
}

struct Descriptors {
    /// The inodes of the descriptors that are sockets.
    sockets: Vec<u64>,
    /// Whether there were any descriptors, and none was closed during the read: then the thread had not exited.
    is_certain: bool,
}

fn read_descriptors(thread: BorrowedFd<'_>) -> Result<Descriptors, Why> {
    let dir = procfs::open_dir(thread, b"fd").map_err(why)?;
    let (mut sockets, mut any, mut closed) = (Vec::new(), false, false);
    // Longer links are of files; they are truncated.
    let mut link = [MaybeUninit::uninit(); 64];
    procfs::names(&dir, |name| {
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

#[cfg(test)]
mod tests;
