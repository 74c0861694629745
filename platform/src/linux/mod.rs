//! Linux: `/proc`, pidfds and the service manager's own command.
//!
//! Parsers take bytes; readers take a directory descriptor of the proc file system, so that a test can
//! hand them another root.

pub mod cgroup;
mod collect;
mod facts;
mod here;
mod host;
mod listeners;
mod machine;
pub mod net;
mod pinned;
mod proc;
mod recent;
pub mod stat;
pub mod status;
mod units;
mod waiter;

pub use host::LinuxHost;
pub(crate) use listeners::Shared;
pub use pinned::LinuxPinned;
pub use waiter::EpollWaiter;

use crate::types::Why;
use rustix::io::Errno;

/// What an error number means for a fact. `ENOENT` is also what `hidepid` answers (proc(5)).
fn why(errno: Errno) -> Why {
    match errno {
        Errno::NOENT | Errno::SRCH => Why::Gone,
        Errno::ACCESS | Errno::PERM => Why::Denied,
        other => Why::Failed(std::io::Error::from(other).to_string()),
    }
}
