//! What a process accepts connections on.

use std::time::Duration;

use crate::types::Uid;

/// A place where a process accepts connections. Datagrams (UDP, `SOCK_DGRAM`) are no connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// A TCP port, over IPv4, IPv6 or both, on whichever address.
    Tcp(u16),
    /// A Unix socket, by the path it was bound to: any bytes, relative when the process gave it so, and as the
    /// process's own root directory has it. Another process may have removed or replaced the file since.
    Path(Vec<u8>),
    /// A Unix socket in the abstract namespace, by its name without the leading NUL (unix(7)). Linux only.
    Abstract(Vec<u8>),
    /// A Unix socket that listens and is bound to nothing that has a name.
    Unnamed,
}

/// A folder, as a process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folder {
    /// Whose it is.
    pub owner: Uid,
    /// Its permission bits.
    pub mode: u32,
    /// When it was made, as time since 1970; `None` where the file system does not keep that.
    pub made: Option<Duration>,
}

/// Tables of listening sockets, read once and shared by all processes of a network namespace. One value is good for
/// one round of looks: a socket that began to listen after the table of its namespace was read is not in it.
///
/// On Linux it holds one open descriptor for each namespace, 32 at most, so that no other namespace can get the number
/// of one that has ended. macOS answers for each socket by itself, and there is nothing to share.
#[derive(Debug, Default)]
pub struct SocketTables {
    #[cfg(target_os = "linux")]
    pub(crate) shared: crate::linux::Shared,
}

/// Each place once, in order.
pub(crate) fn each_once(mut listeners: Vec<Listener>) -> Vec<Listener> {
    listeners.sort_unstable();
    listeners.dedup();
    listeners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_once() {
        let twice =
            vec![Listener::Unnamed, Listener::Tcp(80), Listener::Path(b"/x".to_vec()), Listener::Tcp(80)];
        let once = [Listener::Tcp(80), Listener::Path(b"/x".to_vec()), Listener::Unnamed];
        assert_eq!(each_once(twice), once);
    }

    #[test]
    fn tables_go_to_every_thread() {
        fn shared<T: Send + Sync + std::fmt::Debug + Default>() {}
        shared::<SocketTables>();
    }
}
