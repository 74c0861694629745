//! What a process accepts connections on.

use std::time::Duration;

use crate::types::Uid;

/// A place where a process accepts connections. Datagrams (UDP, `SOCK_DGRAM`) are no connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// A TCP port, over IPv4, IPv6 or both, on any address.
    Tcp(u16),
    /// A Unix socket, by the path it was bound to: any bytes, relative when the process gave it so, and as the
    /// process's own root directory has it. Another process may have removed or replaced the file since.
    Path(Vec<u8>),
    /// A Unix socket in the abstract namespace, by its name without the leading NUL (unix(7)). Linux only.
    Abstract(Vec<u8>),
    /// A Unix socket that listens and is not bound to a name.
    Unnamed,
}

/// A directory, as a process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folder {
    /// Its owner.
    pub owner: Uid,
    /// Its permission bits.
    pub mode: u32,
    /// When it was created, as time since 1970; `None` where the file system does not record it.
    pub made: Option<Duration>,
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
}
