//! `/proc/PID/net/{tcp,tcp6,unix}`: the sockets of a network namespace (proc_pid_net(5)), and the links of
//! `/proc/PID/fd` that name them by their inodes (proc_pid_fd(5)).
//!
//! Only complete lines are parsed: the inode of a truncated line could be another socket's.

use crate::sockets::Listener;

/// `TCP_LISTEN` (include/net/tcp_states.h).
const TCP_LISTEN: u64 = 0x0a;
/// `__SO_ACCEPTCON` (include/uapi/linux/net.h).
const SO_ACCEPTCON: u64 = 1 << 16;
/// `SOCK_STREAM` and `SOCK_SEQPACKET`: the types that accept connections.
const ACCEPTING_TYPES: [u64; 2] = [1, 5];

/// The inode of the socket that a descriptor's link names; `None` for anything else. The links are written by
/// `sockfs_dname` of net/socket.c. Paths of files start with another byte: `/`, or the `(` of `(unreachable)`.
///
/// ```text
/// socket:[45014]
/// ```
#[must_use]
pub fn socket(link: &[u8]) -> Option<u64> {
    number(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?, 10)
}

/// A line of `tcp` or `tcp6`: the inode and the port of a socket that listens; `None` for any other line. The lines are
/// written by `get_tcp4_sock` of net/ipv4/tcp_ipv4.c and `get_tcp6_sock` of net/ipv6/tcp_ipv6.c, the address in hex,
/// the port in hex of its own byte order.
///
/// ```text
///    1: 0100007F:D1CF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 45014 2 0000000021268…
/// ```
#[must_use]
pub fn tcp(line: &[u8]) -> Option<(u64, Listener)> {
    let mut fields = line.split(|b| *b == b' ').filter(|field| !field.is_empty());
    let local = fields.nth(1)?;
    if number(fields.nth(1)?, 16)? != TCP_LISTEN {
        return None;
    }
    let inode = number(fields.nth(5)?, 10)?;
    let colon = local.iter().rposition(|b| *b == b':')?;
    let port = u16::try_from(number(local.get(colon + 1..)?, 16)?).ok()?;
    Some((inode, Listener::Tcp(port)))
}

/// A line of `unix`: the inode of a socket that accepts connections and where it does; `None` for any other line. The
/// lines are written by `unix_seq_show` of net/unix/af_unix.c, which replaces NULs by `@` and nothing else.
///
/// So a path that starts with `@` looks like an abstract name, and a path with a newline is cut there and continues as
/// if it were a line of its own. That way a process can make it look as if another's socket accepted connections where
/// it does not. It cannot hide one that does.
///
/// ```text
/// 00000000caace8d3: 00000002 00000000 00010000 0001 01 45832 /run/user/1000/with space
/// ```
#[must_use]
pub fn unix(line: &[u8]) -> Option<(u64, Listener)> {
    let mut rest = line;
    // Num, RefCount, Protocol
    for _ in 0..3 {
        field(&mut rest)?;
    }
    let flags = number(field(&mut rest)?, 16)?;
    let kind = number(field(&mut rest)?, 16)?;
    let _state = field(&mut rest)?;
    let inode = number(field(&mut rest)?, 10)?;
    if flags & SO_ACCEPTCON == 0 || !ACCEPTING_TYPES.contains(&kind) {
        return None;
    }
    // One space, then the name, which may start with more.
    let listener = match rest.strip_prefix(b" ").unwrap_or_default() {
        [] => Listener::Unnamed,
        [b'@', name @ ..] => Listener::Abstract(name.to_vec()),
        path => Listener::Path(path.to_vec()),
    };
    Some((inode, listener))
}

/// Splits text that arrives in pieces into lines.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Takes the next piece, and passes on the lines that end in it, without their newlines. What follows the last
    /// newline is never passed on.
    pub fn feed(&mut self, mut piece: &[u8], mut take: impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end);
            if self.open.is_empty() {
                take(line);
            } else {
                self.open.extend_from_slice(line);
                take(&self.open);
                self.open.clear();
            }
            piece = rest.get(1..).unwrap_or_default();
        }
        self.open.extend_from_slice(piece);
    }
}

/// Takes the next field and the spaces before it; leaves the space after it.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let start = rest.iter().position(|b| *b != b' ')?;
    let text = rest.get(start..)?;
    let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
    let (field, after) = text.split_at_checked(end)?;
    *rest = after;
    Some(field)
}

/// Parses digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if !digits.iter().all(|b| char::from(*b).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: &str = "   1: 0100007F:D1CF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 45014 2 000000002126584b 100 0 0 10 0                     ";
    const TCP6: &str = "   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 10833 1 0000000000000000 100 0 0 10 0";
    const UNIX: &str = "00000000caace8d3: 00000002 00000000 00010000 0001 01 45832 /tmp/.X11-unix/X0";

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        Lines::default().feed(text, |line| found.push(line.to_vec()));
        found
    }

    fn bound(name: &[u8]) -> Vec<u8> {
        [&b"0000000000000000: 00000002 00000000 00010000 0001 01    77"[..], name].concat()
    }

    #[test]
    fn links_of_sockets_are_told_from_others() {
        assert_eq!(socket(b"socket:[45014]"), Some(45014));
        assert_eq!(socket(b"socket:[18446744073709551615]"), Some(u64::MAX));
        for other in [
            &b"/tmp/socket:[1]"[..],
            b"socket:[]",
            b"socket:[1",
            b"socket:[1] (deleted)",
            b"socket:[+1]",
            b"socket:[99999999999999999999]",
            b"pipe:[1]",
            b"anon_inode:[eventfd]",
            b"",
        ] {
            assert_eq!(socket(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn ports_that_listen_are_read() {
        assert_eq!(tcp(TCP.as_bytes()), Some((45014, Listener::Tcp(0xd1cf))));
        assert_eq!(tcp(TCP6.as_bytes()), Some((10833, Listener::Tcp(631))));
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(tcp(head.as_bytes()), None);
    }

    #[test]
    fn connected_and_waiting_sockets_are_no_listeners() {
        for state in ["01", "06", "08", "0C"] {
            let line = TCP.replace(" 0A ", &format!(" {state} "));
            assert_eq!(tcp(line.as_bytes()), None, "{state}");
        }
        let connected =
            "000000004e62be65: 00000003 00000000 00000000 0001 03  1577 /run/dbus/system_bus_socket";
        assert_eq!(unix(connected.as_bytes()), None);
        let datagrams = "000000004e62be65: 00000002 00000000 00010000 0002 01  1577 /dev/log";
        assert_eq!(unix(datagrams.as_bytes()), None);
    }

    #[test]
    fn names_of_unix_sockets_are_read() {
        assert_eq!(unix(UNIX.as_bytes()), Some((45832, Listener::Path(b"/tmp/.X11-unix/X0".to_vec()))));
        let packets = UNIX.replace(" 0001 ", " 0005 ");
        assert!(unix(packets.as_bytes()).is_some());
        let of = |name: &[u8]| unix(&bound(name)).unwrap();
        assert_eq!(of(b" @/tmp/.X11-unix/X0"), (77, Listener::Abstract(b"/tmp/.X11-unix/X0".to_vec())));
        assert_eq!(of(b" @"), (77, Listener::Abstract(Vec::new())));
        assert_eq!(of(b""), (77, Listener::Unnamed));
        assert_eq!(of(b" "), (77, Listener::Unnamed));
        assert_eq!(unix(b"Num       RefCount Protocol Flags    Type St Inode Path"), None);
    }

    #[test]
    fn paths_may_hold_anything() {
        let hostile = [
            &b"/tmp/with space and end "[..],
            b"  starts with two spaces",
            b"\xff\xfe\t\r\x0b\x0c\x01",
            b"/00000002 00000000 00010000 0001 01 1 /other",
            b"name@host",
            "/tmp/\u{1f980}".as_bytes(),
        ];
        for path in hostile {
            let line = bound(&[b" ", path].concat());
            assert_eq!(lines(&[&line[..], b"\n"].concat()), std::slice::from_ref(&line));
            assert_eq!(unix(&line), Some((77, Listener::Path(path.to_vec()))));
        }
        let cut: Vec<_> =
            lines(&[&bound(b" new\nline")[..], b"\n"].concat()).iter().map(|l| unix(l)).collect();
        assert_eq!(cut, [Some((77, Listener::Path(b"new".to_vec()))), None]);
    }

    #[test]
    fn lines_that_are_cut_are_no_listeners() {
        for line in [TCP, TCP6, UNIX] {
            let text = format!("{line}\n");
            for end in 0..text.len() {
                assert_eq!(lines(&text.as_bytes()[..end]), [b""; 0], "a line without its end");
                // Parsed all the same, they must not panic.
                let (_, _, _) = (
                    tcp(&text.as_bytes()[..end]),
                    unix(&text.as_bytes()[..end]),
                    socket(&text.as_bytes()[..end]),
                );
            }
            assert_eq!(lines(text.as_bytes()), [line.as_bytes()]);
        }
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let text = [TCP.as_bytes(), b"\n\n", UNIX.as_bytes(), b"\nrest"].concat();
        let whole = lines(&text);
        assert_eq!(whole, [TCP.as_bytes(), b"", UNIX.as_bytes()]);
        for at in 0..=text.len() {
            let (first, second) = text.split_at(at);
            let (mut reader, mut found) = (Lines::default(), Vec::new());
            for piece in [first, second] {
                reader.feed(piece, |line| found.push(line.to_vec()));
            }
            assert_eq!(found, whole, "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_, _, _) = (tcp(&line), unix(&line), socket(&line));
        }

        #[test]
        fn any_path_comes_back(path in proptest::collection::vec(any::<u8>().prop_filter("ends the line", |b| *b != b'\n'), 1..108)) {
            prop_assume!(path[0] != b'@');
            let line = bound(&[b" ", &path[..]].concat());
            prop_assert_eq!(unix(&line), Some((77, Listener::Path(path))));
        }
    }
}
