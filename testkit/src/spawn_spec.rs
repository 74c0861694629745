//! The complete description of a new process, in a form that can be passed to another process to spawn.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// How the new process gets its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A plain live child of its spawner.
    Child,
    /// A launcher forks it and exits; it keeps the session of the spawner.
    Orphan,
    /// As `Orphan`, but it leads a session of its own.
    OrphanInSession,
    /// The launcher leads a session, forks it and exits: its session id is a dead process.
    OrphanOfDeadLeader,
    /// As daemons are made: fork, setsid, fork again; parent and grandparent exit.
    OrphanDoubleFork,
}

/// Everything that a spawner needs.
#[derive(Clone, Debug)]
pub struct SpawnSpec {
    /// The file to execute.
    pub exe: OsString,
    /// The argument vector, `argv[0]` first; may be empty.
    pub argv: Vec<OsString>,
    /// The environment block, entry by entry.
    pub env: Vec<OsString>,
    /// The new real, effective and saved uid and gid, if they are to change.
    pub uid: Option<u32>,
    /// The parentage.
    pub shape: Shape,
    /// Whether the process calls `setsid`, whatever its shape.
    pub own_session: bool,
    /// Whether the process calls `setpgid(0, 0)`.
    pub own_group: bool,
    /// The pid it must get.
    pub pid: Option<i32>,
    /// Whether SIGTERM is blocked from the fork on, until the program takes it: the program records each one.
    pub holds_term: bool,
    /// A FIFO that takes the pid when the process is set up, or `!ERRNO`.
    pub ready: OsString,
    /// Whether the program is not a stand-in: the spawner then reports for it.
    pub foreign: bool,
    /// A FIFO the launcher reads before it exits.
    pub go: OsString,
}

impl SpawnSpec {
    /// The spec as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let shape = self.shape as i32;
        let flags = [self.own_session, self.own_group, self.foreign, self.holds_term].map(i32::from);
        let uid = self.uid.map_or(-1, |uid| uid as i32);
        for number in [shape].into_iter().chain(flags).chain([uid, self.pid.unwrap_or(0)]) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for text in [&self.exe, &self.ready, &self.go] {
            put(&mut out, text);
        }
        for list in [&self.argv, &self.env] {
            out.extend_from_slice(&(list.len() as u32).to_le_bytes());
            for text in list {
                put(&mut out, text);
            }
        }
        out
    }

    /// The spec that `encode` wrote.
    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(bytes);
        let shape = match reader.number()? {
            0 => Shape::Child,
            1 => Shape::Orphan,
            2 => Shape::OrphanInSession,
            3 => Shape::OrphanOfDeadLeader,
            _ => Shape::OrphanDoubleFork,
        };
        let own_session = reader.number()? != 0;
        let own_group = reader.number()? != 0;
        let foreign = reader.number()? != 0;
        let holds_term = reader.number()? != 0;
        let uid = u32::try_from(reader.number()?).ok();
        let pid = Some(reader.number()?).filter(|&pid| pid > 0);
        let (exe, ready, go) = (reader.text()?, reader.text()?, reader.text()?);
        let (argv, env) = (reader.list()?, reader.list()?);
        Ok(Self { exe, argv, env, uid, shape, own_session, own_group, pid, holds_term, ready, foreign, go })
    }
}

fn put(out: &mut Vec<u8>, text: &OsStr) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = tail;
        Ok(head)
    }

    fn number(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(i32::from_le_bytes(bytes))
    }

    fn text(&mut self) -> io::Result<OsString> {
        let length = self.number()? as usize;
        Ok(OsString::from_vec(self.take(length)?.to_vec()))
    }

    fn list(&mut self) -> io::Result<Vec<OsString>> {
        let length = self.number()?;
        (0..length).map(|_| self.text()).collect()
    }
}
