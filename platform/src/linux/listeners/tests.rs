//! Real processes with real sockets. Most are `cat`, which gets a socket as its standard input and exits when the
//! pipe that it reads is closed; the rest are this test program once more, in a part of [`plays_a_part`].

use std::io::{BufRead as _, BufReader, PipeWriter, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use rustix::fs::fstat;
use std::time::{Duration, Instant};

use super::*;
use crate::host::{Host as _, ProcessHandle as _};
use crate::linux::socket_table::{MAX_NAMESPACES, Namespace, Table};
use crate::linux::{LinuxHandle, LinuxHost};

/// Selects the part of [`plays_a_part`] that this program runs.
const PART: &str = "REAPER_TEST_PART";
/// The user and the group `nobody`.
const NOBODY: u32 = 65534;

/// A child of ours that is ended when this is dropped.
struct Actor {
    child: Child,
    process: LinuxHandle,
    lifeline: Option<PipeWriter>,
    input: Option<ChildStdin>,
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop((self.lifeline.take(), self.input.take()));
        drop(self.child.wait());
    }
}

impl Actor {
    fn pid(&self) -> Pid {
        self.process.id().pid
    }

    fn listeners(&self) -> Result<Vec<Listener>, Why> {
        self.process.listeners(&SocketTables::default())
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::new(i32::try_from(child.id()).unwrap()).unwrap()
}

fn open_handle(pid: Pid) -> LinuxHandle {
    LinuxHost::new().unwrap().open(pid).unwrap()
}

fn me() -> LinuxHandle {
    open_handle(Pid::new(i32::try_from(std::process::id()).unwrap()).unwrap())
}

/// A process that inherits one descriptor of ours.
fn holding(what: impl Into<Stdio>) -> Actor {
    holding_through(&[], what)
}

fn holding_through(wrapper: &[&str], what: impl Into<Stdio>) -> Actor {
    let (reader, writer) = std::io::pipe().unwrap();
    let words = [wrapper, &["cat", "/dev/stderr"]].concat();
    let mut command = Command::new(words[0]);
    let child = command.args(&words[1..]).stdin(what).stdout(Stdio::null()).stderr(reader).spawn().unwrap();
    let process = open_handle(pid_of(&child));
    let actor = Actor { child, process, lifeline: Some(writer), input: None };
    let deadline = Instant::now() + Duration::from_secs(60);
    while actor.process.argv().unwrap().first().is_none_or(|program| program != b"cat") {
        assert!(Instant::now() < deadline, "{words:?} does not begin");
        std::thread::yield_now();
    }
    actor
}

/// A program that prints a number in a line with `told=`, and exits at the end of its input.
fn telling(command: &mut Command) -> Result<(Actor, u16), String> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
    let process = open_handle(pid_of(&child));
    let told = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| told(&line));
    let actor = Actor { child, process, lifeline: None, input };
    let port = told.ok_or_else(|| format!("{} does not run here", command.get_program().display()))?;
    Ok((actor, port.parse().unwrap()))
}

fn told(line: &str) -> Option<String> {
    line.split_once("told=").map(|(_, told)| told.to_owned())
}

fn tell(what: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "told={what}").and_then(|()| out.flush()).unwrap();
}

/// This program once more, running another part.
fn part(name: &str, wrapper: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<&std::ffi::OsStr> = wrapper.iter().map(std::ffi::OsStr::new).collect();
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command.args(["--exact", "linux::listeners::tests::plays_a_part", "--nocapture"]).env(PART, name);
    command
}

/// What the user `nobody` sees of a process.
fn seen_by_nobody(of: Pid) -> Result<String, String> {
    let mut command = part(&format!("look {of}"), &[]);
    let output = command.uid(NOBODY).gid(NOBODY).output().map_err(|e| format!("as nobody: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(told).ok_or_else(|| "this program does not run as nobody".to_owned())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Bypasses the harness's capture of output, in the format that `ci/skipped` looks for.
fn skip(name: &str, reason: &str) {
    drop(writeln!(std::io::stderr(), "skipped: listeners::{name}: {reason}"));
}

fn tcp() -> (TcpListener, Listener) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, Listener::Tcp(port))
}

/// A socket that no program of another test inherits.
fn unix_socket(kind: rustix::net::SocketType) -> OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, socket_with};
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

#[test]
fn plays_a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    if let Some(pid) = part.strip_prefix("look ") {
        return match open_handle(Pid::parse(pid.as_bytes()).unwrap()).listeners(&SocketTables::default()) {
            Ok(found) => tell(format!("{found:?}")),
            Err(why) => tell(format!("{why:?}")),
        };
    }
    let mut crowd = Vec::new();
    if part == "crowd" {
        LinuxHost::new().unwrap().handle_limit();
        // The last of them are in the second batch of the directory's entries.
        let null = std::fs::File::open("/dev/null").unwrap();
        crowd.extend((0..4000).map_while(|_| null.try_clone().ok()));
        crowd.truncate(crowd.len().saturating_sub(8));
    }
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    tell(socket.local_addr().unwrap().port());
    drop(std::io::stdin().lock().read_line(&mut String::new()));
    drop((socket, crowd));
}

#[test]
fn a_port_is_found_on_the_first_descriptor() {
    let (socket, expected) = tcp();
    assert_eq!(holding(OwnedFd::from(socket)).listeners(), Ok(vec![expected]));
}

#[test]
fn a_port_is_found_over_ipv6() {
    let Ok(socket) = TcpListener::bind("[::1]:0") else {
        return skip("a_port_is_found_over_ipv6", "no IPv6 here");
    };
    let expected = Listener::Tcp(socket.local_addr().unwrap().port());
    assert_eq!(holding(OwnedFd::from(socket)).listeners(), Ok(vec![expected]));
}

#[test]
fn our_own_sockets_are_found_among_others() {
    let (_first, first) = tcp();
    let (_second, second) = tcp();
    let found = me().listeners(&SocketTables::default()).unwrap();
    assert!(found.contains(&first) && found.contains(&second), "{found:?}");
}

#[test]
fn paths_of_unix_sockets_are_found_as_they_were_bound() {
    let dir = tempfile::tempdir().unwrap();
    for name in [&b"with space "[..], b" \xff\xfe\t", b"@at"] {
        let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
        let socket = UnixListener::bind(&path).unwrap();
        let expected = Listener::Path(path.as_os_str().as_bytes().to_vec());
        let holder = holding(OwnedFd::from(socket));
        assert_eq!(holder.listeners(), Ok(vec![expected.clone()]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(holder.listeners(), Ok(vec![expected]), "also without its file");
    }
}

#[test]
fn abstract_names_are_found() {
    let name = format!("reaper test {}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixListener::bind_addr(&address).unwrap();
    assert_eq!(holding(OwnedFd::from(socket)).listeners(), Ok(vec![Listener::Abstract(name.into_bytes())]));
}

#[test]
fn sequenced_packets_are_connections() {
    use rustix::net::{SocketAddrUnix, SocketType, bind, listen};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packets");
    let packets = unix_socket(SocketType::SEQPACKET);
    bind(&packets, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let expected = Listener::Path(path.as_os_str().as_bytes().to_vec());
    listen(&packets, 1).unwrap();
    assert_eq!(holding(packets).listeners(), Ok(vec![expected]));
}

#[test]
fn sockets_that_accept_nothing_are_no_listeners() {
    let dir = tempfile::tempdir().unwrap();
    let none = |socket: OwnedFd| assert_eq!(holding(socket).listeners(), Ok(Vec::new()));
    let (listener, _) = tcp();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    none(client.into());
    none(server.into());
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let (server, _) = listener.accept().unwrap();
    none(client.into());
    none(server.into());
    none(UnixStream::pair().unwrap().0.into());
    none(UnixDatagram::bind(dir.path().join("datagrams")).unwrap().into());
    none(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into());
    // Bound, but not listening.
    use rustix::net::{SocketAddrUnix, SocketType, bind};
    let bound = unix_socket(SocketType::STREAM);
    bind(&bound, &SocketAddrUnix::new(dir.path().join("bound")).unwrap()).unwrap();
    none(bound);
}

#[test]
fn without_sockets_no_table_is_read() {
    let tables = SocketTables::default();
    let holder = holding(Stdio::null());
    assert_eq!(holder.process.listeners(&tables), Ok(Vec::new()));
    assert_eq!(tables.shared.lock().len(), 0);
    let holder = holding(OwnedFd::from(tcp().0));
    assert!(holder.process.listeners(&tables).is_ok());
    assert_eq!(tables.shared.lock().len(), 1, "with sockets it is");
}

#[test]
fn a_table_is_read_once() {
    let tables = SocketTables::default();
    let (socket, _) = tcp();
    let inode = fstat(&socket).unwrap().st_ino;
    let holder = holding(OwnedFd::from(socket));
    holder.process.listeners(&tables).unwrap();
    // An entry that no file of /proc has.
    let told = Listener::Path(b"told by the table".to_vec());
    for namespace in tables.shared.lock().values_mut() {
        namespace.table = Arc::new(Table::from([(inode, told.clone())]));
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(holder.process.listeners(&tables), Ok(vec![told.clone()])));
        }
    });
    assert_ne!(holder.listeners(), Ok(vec![told]), "other tables are read anew");
}

#[test]
fn threads_that_ask_at_the_same_time_get_the_same() {
    let (socket, expected) = tcp();
    let holder = holding(OwnedFd::from(socket));
    for _ in 0..20 {
        let tables = SocketTables::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(holder.process.listeners(&tables), Ok(vec![expected.clone()])));
            }
        });
        assert_eq!(tables.shared.lock().len(), 1);
    }
}

#[test]
fn no_more_namespaces_are_held_than_allowed() {
    let tables = SocketTables::default();
    for number in 0..MAX_NAMESPACES as u64 {
        let held = std::fs::File::open("/dev/null").unwrap().into();
        tables.shared.lock().insert(number, Namespace { table: Arc::default(), _held: held });
    }
    let (socket, expected) = tcp();
    assert_eq!(holding(OwnedFd::from(socket)).process.listeners(&tables), Ok(vec![expected]));
    assert_eq!(tables.shared.lock().len(), MAX_NAMESPACES);
}

#[test]
fn another_network_namespace_has_tables_of_its_own() {
    let name = "another_network_namespace_has_tables_of_its_own";
    let unshare: &[&str] =
        if is_root() { &["unshare", "--net", "--"] } else { &["unshare", "--map-root-user", "--net", "--"] };
    let (inside, port) = match telling(&mut part("listen", unshare)) {
        Ok(started) => started,
        Err(reason) => return skip(name, &reason),
    };
    let tables = SocketTables::default();
    let (socket, ours) = tcp();
    let outside = holding(OwnedFd::from(socket.try_clone().unwrap()));
    assert_eq!(outside.process.listeners(&tables), Ok(vec![ours]));
    assert_eq!(inside.process.listeners(&tables), Ok(vec![Listener::Tcp(port)]));
    assert_eq!(tables.shared.lock().len(), 2);
    // The limit that the documentation of `listeners` states.
    let brought = holding_through(unshare, OwnedFd::from(socket));
    assert_eq!(brought.process.listeners(&tables), Ok(Vec::new()));
}

#[test]
fn thousands_of_descriptors_are_looked_at() {
    let (crowded, port) = telling(&mut part("crowd", &[])).unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", crowded.pid())).unwrap().count();
    if descriptors < 3000 {
        skip("thousands_of_descriptors_are_looked_at", &format!("only {descriptors} are allowed here"));
    }
    assert_eq!(crowded.listeners(), Ok(vec![Listener::Tcp(port)]));
}

#[test]
fn a_process_that_has_ended_is_gone() {
    let (socket, _) = tcp();
    let mut holder = holding(OwnedFd::from(socket));
    drop(holder.lifeline.take());
    let host = LinuxHost::new().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !host.stat_of(holder.pid()).unwrap().state.has_exited() {
        // It may be exiting by now.
        assert!(Instant::now() < deadline && holder.listeners() != Ok(Vec::new()));
    }
    assert_eq!(holder.listeners(), Err(Why::Gone), "a zombie");
    if is_root() {
        match seen_by_nobody(holder.pid()) {
            Ok(seen) => assert_eq!(seen, "Gone"),
            Err(reason) => skip("a_process_that_has_ended_is_gone", &reason),
        }
    }
    holder.child.wait().unwrap();
    assert_eq!(holder.listeners(), Err(Why::Gone));
}

#[test]
fn others_descriptors_are_denied() {
    let name = "others_descriptors_are_denied";
    let host = LinuxHost::new().unwrap();
    if is_root() {
        match seen_by_nobody(host.info().pid) {
            Ok(seen) => assert_eq!(seen, "Denied"),
            Err(reason) => skip(name, &reason),
        }
    } else if host.owner(Pid::INIT) != Ok(host.info().uid) {
        assert_eq!(open_handle(Pid::INIT).listeners(&SocketTables::default()), Err(Why::Denied));
    } else {
        skip(name, "there is only one user in this namespace");
    }
}

/// Its main thread exits and another runs on: the main thread is a zombie as long as the process lives.
const LEADERLESS: &str = "
import ctypes, os, socket, sys, threading
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
def stay():
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=stay).start()
print('told=%d' % s.getsockname()[1], flush=True)
ctypes.CDLL(None).pthread_exit(None)
";

#[test]
fn a_process_goes_on_without_its_first_thread() {
    let name = "a_process_goes_on_without_its_first_thread";
    let host = LinuxHost::new().unwrap();
    for nobody in [false, true] {
        // Python by its path: a process without rights may not search our PATH.
        let found =
            ["/usr/bin/python3", "/usr/local/bin/python3"].iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(found.unwrap_or(&"python3"));
        command.args(["-c", LEADERLESS]);
        if nobody && is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let (actor, port) = match telling(&mut command) {
            Ok(started) => started,
            Err(reason) => return skip(name, &reason),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !host.stat_of(actor.pid()).unwrap().state.has_exited() {
            assert!(Instant::now() < deadline, "its first thread does not end");
            std::thread::yield_now();
        }
        let expected = vec![Listener::Tcp(port)];
        assert_eq!(actor.listeners(), Ok(expected.clone()));
        if nobody && is_root() {
            match seen_by_nobody(actor.pid()) {
                Ok(seen) => assert_eq!(seen, format!("{expected:?}")),
                Err(reason) => skip(name, &reason),
            }
        }
    }
}
