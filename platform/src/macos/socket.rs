//! What the kernel reports of a process's descriptors and of one socket among them: `struct proc_fdinfo` and
//! `struct socket_fdinfo` (sys/proc_info.h), filled by `proc_pidfdlist` in bsd/kern/proc_info.c and `fill_socketinfo`
//! in bsd/kern/socket_info.c.

use crate::sockets::Listener;

/// `PROC_PIDLISTFDS`, and the length of one entry of its answer.
pub const DESCRIPTORS: (i32, usize) = (1, 8);
/// `PROC_PIDFDSOCKETINFO`, and the length of its answer.
pub const SOCKET: (i32, usize) = (3, 792);

/// The offsets of the fields of a socket's answer; `syscalls.rs` asserts them.
pub mod at {
    /// `soi_options`, a short.
    pub const OPTIONS: usize = 188;
    /// `soi_kind`, an int.
    pub const KIND: usize = 256;
    /// `insi_lport` of a socket of the Internet, an int: the port in network byte order.
    pub const PORT: usize = 268;
    /// `tcpsi_state`, an int.
    pub const TCP_STATE: usize = 344;
    /// `unsi_addr` of a Unix socket: its length, its family, then the path.
    pub const ADDRESS: usize = 280;
}

/// `PROX_FDTYPE_SOCKET`.
const TYPE_SOCKET: u32 = 2;
/// `SOCKINFO_TCP`.
const KIND_TCP: u32 = 2;
/// `SOCKINFO_UN`.
const KIND_UNIX: u32 = 3;
/// `TSI_S_LISTEN`.
const TCP_LISTEN: u32 = 1;
/// `SO_ACCEPTCONN` (sys/socket.h).
const SO_ACCEPTCONN: u16 = 2;
/// `SOCK_MAXADDRLEN` (sys/socket.h): the room for the address of a Unix socket.
const MAX_ADDRESS: usize = 255;

/// The descriptors that are sockets, out of a list of all. A truncated entry is ignored.
pub fn sockets(list: &[u8]) -> impl Iterator<Item = i32> {
    let entries = list.chunks_exact(DESCRIPTORS.1);
    entries.filter(|entry| word(entry, 4) == TYPE_SOCKET).map(|entry| word(entry, 0).cast_signed())
}

/// Where a socket accepts connections; `None` when it does not.
#[must_use]
pub fn listener(bytes: &[u8; SOCKET.1]) -> Option<Listener> {
    match word(bytes, at::KIND) {
        KIND_TCP if word(bytes, at::TCP_STATE) == TCP_LISTEN => {
            // The kernel puts the two bytes of the port into an int as they are.
            let [low, high] = (word(bytes, at::PORT) as u16).to_ne_bytes();
            Some(Listener::Tcp(u16::from_be_bytes([low, high])))
        }
        KIND_UNIX if short(bytes, at::OPTIONS) & SO_ACCEPTCONN != 0 => Some(address(bytes)),
        _ => None,
    }
}

/// The path of an address. One of length 0 is unnamed; paths end at their length, or at a NUL before it.
fn address(bytes: &[u8; SOCKET.1]) -> Listener {
    let field = bytes.get(at::ADDRESS..at::ADDRESS + MAX_ADDRESS).unwrap_or_default();
    let len = field.first().map_or(0, |len| usize::from(*len)).min(field.len());
    let path = field.get(2..len).unwrap_or_default();
    match path.split(|b| *b == 0).next() {
        None | Some([]) => Listener::Unnamed,
        Some(path) => Listener::Path(path.to_vec()),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_ne_bytes(*b))
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(kind: u32) -> [u8; SOCKET.1] {
        let mut bytes = [0; SOCKET.1];
        bytes[at::KIND..at::KIND + 4].copy_from_slice(&kind.to_ne_bytes());
        bytes
    }

    fn tcp(state: u32, port: u16) -> [u8; SOCKET.1] {
        let mut bytes = answer(KIND_TCP);
        // `si->insi_lport = inp->inp_lport`, a short in network byte order.
        let port = i32::from(u16::from_ne_bytes(port.to_be_bytes()));
        bytes[at::PORT..at::PORT + 4].copy_from_slice(&port.to_ne_bytes());
        bytes[at::TCP_STATE..at::TCP_STATE + 4].copy_from_slice(&state.to_ne_bytes());
        bytes
    }

    fn unix(options: u16, len: u8, path: &[u8]) -> [u8; SOCKET.1] {
        let mut bytes = answer(KIND_UNIX);
        bytes[at::OPTIONS..at::OPTIONS + 2].copy_from_slice(&options.to_ne_bytes());
        bytes[at::ADDRESS..at::ADDRESS + 2].copy_from_slice(&[len, 1]);
        bytes[at::ADDRESS + 2..at::ADDRESS + 2 + path.len()].copy_from_slice(path);
        bytes
    }

    #[test]
    fn sockets_are_picked_from_the_descriptors() {
        let list: Vec<u8> =
            [0, 1, 1, 2, 5, 2, 7, 5].into_iter().flat_map(|word: u32| word.to_ne_bytes()).collect();
        assert_eq!(sockets(&list).collect::<Vec<_>>(), [1, 5]);
        for end in 0..list.len() {
            assert!(sockets(&list[..end]).count() <= end / DESCRIPTORS.1);
        }
        assert_eq!(sockets(&list[..list.len() - 9]).collect::<Vec<_>>(), [1], "cut");
    }

    #[test]
    fn ports_that_listen_are_read() {
        assert_eq!(listener(&tcp(1, 4173)), Some(Listener::Tcp(4173)));
        assert_eq!(listener(&tcp(1, 0xff00)), Some(Listener::Tcp(0xff00)));
        for state in [0, 2, 3, 4, 5, 10] {
            assert_eq!(listener(&tcp(state, 4173)), None, "{state}");
        }
    }

    #[test]
    fn paths_that_listen_are_read() {
        let path = b"/tmp/with space ";
        let expected = Some(Listener::Path(path.to_vec()));
        assert_eq!(listener(&unix(2, 18, path)), expected);
        assert_eq!(
            listener(&unix(2 | 0x200, 106, path)),
            expected,
            "the length may be that of the whole field"
        );
        assert_eq!(listener(&unix(0x200, 18, path)), None, "connected");
        let longest = vec![b'x'; 253];
        assert_eq!(listener(&unix(2, 255, &longest)), Some(Listener::Path(longest)));
        for len in [0, 1, 2] {
            assert_eq!(listener(&unix(2, len, path)), Some(Listener::Unnamed), "{len}");
        }
        assert_eq!(listener(&unix(2, 18, b"")), Some(Listener::Unnamed));
    }

    #[test]
    fn other_sockets_are_no_listeners() {
        for kind in [0, 1, 4, 5, 6, 7] {
            let mut bytes = [0xff; SOCKET.1];
            bytes[at::KIND..at::KIND + 4].copy_from_slice(&u32::to_ne_bytes(kind));
            assert_eq!(listener(&bytes), None, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read(
            bytes in proptest::collection::vec(any::<u8>(), SOCKET.1),
            kind in 0u32..8,
        ) {
            let mut whole = [0; SOCKET.1];
            whole.copy_from_slice(&bytes);
            whole[at::KIND..at::KIND + 4].copy_from_slice(&kind.to_ne_bytes());
            if let Some(Listener::Path(path)) = listener(&whole) {
                prop_assert!(!path.is_empty() && path.len() <= MAX_ADDRESS - 2 && !path.contains(&0));
            }
        }
    }
}
