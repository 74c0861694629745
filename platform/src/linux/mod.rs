//! Linux: `/proc`, pidfds and the service manager's own command.
//!
//! Parsers take bytes; readers take a directory descriptor of the proc file system, so that a test can
//! pass another root.

pub mod cgroup;
mod epoll;
mod host;
mod listeners;
pub mod net;
mod pidfd;
mod probe;
mod process_files;
mod procfs;
mod reap;
mod recent;
mod self_info;
mod socket_table;
pub mod stat;
pub mod status;
mod systemctl;

pub use epoll::EpollWatcher;
pub use host::LinuxHost;
pub use pidfd::LinuxHandle;
pub(crate) use socket_table::NamespaceTables;

use crate::types::Why;
use rustix::io::Errno;

/// The reason that an error number stands for. `hidepid` also causes `ENOENT` (proc(5)).
fn why(errno: Errno) -> Why {
    match errno {
        Errno::NOENT | Errno::SRCH => Why::Gone,
        Errno::ACCESS | Errno::PERM => Why::Denied,
        other => Why::Failed(std::io::Error::from(other).to_string()),
    }
}
