//! What the kernel reports of a process in one answer: `struct proc_bsdinfowithuniqid`.
//!
//! It holds the parent, the user ids, the start and the number that no other process of this boot has, all of one
//! moment; read one by one, they could be of two processes. `struct proc_bsdinfo` is public (sys/proc_info.h);
//! what follows it, `struct proc_uniqidentifierinfo`, is in bsd/sys/proc_info_private.h of the kernel's source, and
//! has had these fields in these places since macOS 10.9 (the version since 10.15).

use crate::types::{Ids, Pid, StartTime, Stat, State, Uid};

/// `PROC_PIDT_BSDINFOWITHUNIQID`, and the length of its answer.
pub const WHOLE: (i32, usize) = (18, 192);
/// `PROC_PIDUNIQIDENTIFIERINFO`: the second part alone. Any user may read it.
pub const UNIQUE: (i32, usize) = (17, 56);
/// `PROC_PIDT_SHORTBSDINFO`: less than the first part. Any user may read it.
pub const SHORT: (i32, usize) = (13, 64);

/// The process is exiting (`PROC_FLAG_INEXIT`).
const IN_EXIT: u32 = 4;
/// The kernel's short names have at most 15 bytes in this structure; elsewhere 16, of which we keep 15.
const COMM: usize = 15;

/// The facts of a process that can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its pid.
    pub pid: Option<Pid>,
    /// Its parent.
    pub ppid: Option<Pid>,
    /// Its process group.
    pub pgrp: Option<Pid>,
    /// Its state, as the letter that ps(1) has for it.
    pub state: State,
    /// Whether it is exiting.
    pub is_exiting: bool,
    /// Its user ids.
    pub ids: Ids,
    /// The short name of its program.
    pub comm: Vec<u8>,
    /// When it started.
    pub start: StartTime,
}

/// The numbers that the kernel never reuses within one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// That of the process; it never changes.
    pub id: u64,
    /// That of the process that started it, even if another is its parent now. Zero if unknown.
    pub starter: u64,
    /// That of the program that it runs; another one after each `exec`. Zero on systems that lack it.
    pub version: i32,
}

impl Record {
    /// Reads the first part of the answer.
    #[must_use]
    pub fn parse(bytes: &[u8; WHOLE.1]) -> Self {
        let word = |at| word(bytes, at);
        let long = |at| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_ne_bytes(*b));
        let micros = long(120).saturating_mul(1_000_000).saturating_add(long(128));
        Self {
            pid: pid(word(12)),
            ppid: pid(word(16)),
            pgrp: pid(word(100)),
            state: state(word(4)),
            is_exiting: word(0) & IN_EXIT != 0,
            ids: ids(word(28), word(20), word(36)),
            comm: comm(bytes.get(48..64).unwrap_or_default()),
            start: StartTime(micros),
        }
    }

    /// Its cheap facts, with those that the kernel reports elsewhere.
    #[must_use]
    pub fn stat(&self, of: Pid, session: Option<Pid>, rss_bytes: u64) -> Stat {
        Stat {
            pid: of,
            comm: self.comm.clone(),
            state: self.state,
            // A process becomes a zombie once its last thread is gone.
            threads: 1,
            ppid: self.ppid,
            pgrp: self.pgrp,
            session,
            start: self.start,
            rss_bytes,
            has_memory: !self.is_exiting && !self.state.has_exited(),
            environ_len: None,
            layout: None,
        }
    }
}

impl Unique {
    /// Reads the second part of the answer, which can also be requested alone.
    #[must_use]
    pub fn parse(bytes: &[u8; UNIQUE.1]) -> Self {
        let long = |at| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_ne_bytes(*b));
        Self { id: long(16), starter: long(24), version: word(bytes, 32).cast_signed() }
    }

    /// Reads it from the end of the whole answer.
    #[must_use]
    pub fn of_whole(bytes: &[u8; WHOLE.1]) -> Self {
        Self::parse(bytes.last_chunk().unwrap_or(&[0; UNIQUE.1]))
    }
}

/// The effective user in a short answer.
#[must_use]
pub fn owner(bytes: &[u8; SHORT.1]) -> Uid {
    Uid(word(bytes, 36))
}

/// A number of the kernel's, as a pid. `None` for zero, the kernel itself.
#[must_use]
pub fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::new)
}

/// `p_stat` (sys/proc.h), as the letter that ps(1) and Linux have for it.
#[must_use]
pub const fn state(p_stat: u32) -> State {
    State(match p_stat {
        1 => b'I',
        2 => b'R',
        3 => b'S',
        4 => b'T',
        5 => b'Z',
        _ => b'?',
    })
}

/// The user ids. There are no PID namespaces.
#[must_use]
pub const fn ids(real: u32, effective: u32, saved: u32) -> Ids {
    Ids { real: Uid(real), effective: Uid(effective), saved: Uid(saved), same_pid_namespace: true }
}

/// A short name, up to its NUL.
#[must_use]
pub fn comm(field: &[u8]) -> Vec<u8> {
    field.iter().copied().take(COMM).take_while(|b| *b != 0).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer with these words at these places.
    fn answer(words: &[(usize, u32)], longs: &[(usize, u64)], name: &[u8]) -> [u8; WHOLE.1] {
        let mut bytes = [0; WHOLE.1];
        for (at, word) in words {
            bytes[*at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        for (at, long) in longs {
            bytes[*at..at + 8].copy_from_slice(&long.to_ne_bytes());
        }
        bytes[48..48 + name.len()].copy_from_slice(name);
        bytes
    }

    /// An orphaned agent of user 501, in the group of pid 4200, as the kernel fills it in.
    fn goose() -> [u8; WHOLE.1] {
        let words = [
            (0, 0x4010),
            (4, 2),
            (12, 4242),
            (16, 1),
            (20, 501),
            (24, 20),
            (28, 501),
            (32, 20),
            (36, 501),
            (40, 20),
            (100, 4200),
            (108, 0xffff_ffff),
            (168, 99_887),
        ];
        let longs = [(120, 1_767_323_045), (128, 123_456), (152, 77_001), (160, 76_990)];
        answer(&words, &longs, b"goose")
    }

    #[test]
    fn an_answer_is_read() {
        let record = Record::parse(&goose());
        assert_eq!((record.pid, record.ppid, record.pgrp), (Pid::new(4242), Some(Pid::INIT), Pid::new(4200)));
        assert_eq!((record.state, record.is_exiting), (State(b'R'), false));
        assert_eq!(record.ids, ids(501, 501, 501));
        assert_eq!(record.start, StartTime(1_767_323_045_123_456));
        let unique = Unique::of_whole(&goose());
        assert_eq!(unique, Unique { id: 77_001, starter: 76_990, version: 99_887 });
        let stat = record.stat(Pid::new(4242).unwrap(), Pid::new(4100), 5);
        assert_eq!((stat.comm.as_slice(), stat.session, stat.rss_bytes), (&b"goose"[..], Pid::new(4100), 5));
        assert!(stat.has_memory && stat.environ_len.is_none());
    }

    #[test]
    fn user_ids_are_told_apart() {
        let record = Record::parse(&answer(&[(20, 1), (28, 2), (36, 3)], &[], b"x"));
        assert_eq!(record.ids, ids(2, 1, 3));
    }

    #[test]
    fn the_dead_and_the_dying_have_no_memory() {
        let zombie = Record::parse(&answer(&[(4, 5)], &[], b"goose"));
        assert!(zombie.state.has_exited() && !zombie.stat(Pid::INIT, None, 0).has_memory);
        let exiting = Record::parse(&answer(&[(0, 0x4014), (4, 2)], &[], b"goose"));
        assert!(!exiting.state.has_exited() && !exiting.stat(Pid::INIT, None, 0).has_memory);
        let letters: Vec<u8> = (0..8).map(|p_stat| state(p_stat).0).collect();
        assert_eq!(letters, b"?IRSTZ??");
    }

    #[test]
    fn the_first_process_has_no_parent_and_names_end_at_their_nul() {
        let launchd = Record::parse(&answer(&[(12, 1), (16, 0)], &[], b"launchd\0garbage\0"));
        assert_eq!((launchd.ppid, launchd.comm.as_slice()), (None, &b"launchd"[..]));
        assert_eq!(Record::parse(&answer(&[], &[], b"sixteen-bytes-xx")).comm, b"sixteen-bytes-x");
    }

    #[test]
    fn a_short_answer_tells_the_owner() {
        let mut bytes = [0; SHORT.1];
        bytes[36..40].copy_from_slice(&501u32.to_ne_bytes());
        assert_eq!(owner(&bytes), Uid(501));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut whole = [0; WHOLE.1];
            whole.iter_mut().zip(bytes.iter().cycle()).for_each(|(to, from)| *to = *from);
            let record = Record::parse(&whole);
            prop_assert!(record.comm.len() <= COMM && !record.comm.contains(&0));
        }
    }
}
