//! The streaming search of an environment block.
//!
//! An environment holds secrets, can be two megabytes long, and may have been overwritten by its
//! process. So it is never turned into a map: chunks of bytes go in, only the variables that were asked
//! for come out, and whether the block can still be trusted is part of the answer.

use std::fmt;

use crate::types::{Stat, Why};

/// Longest value that is kept, in bytes. A marker or an owner is far shorter; a longer value is truncated and marked
/// so.
const MAX_VALUE: usize = 4096;

/// The names of the variables to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    names: Vec<Vec<u8>>,
    longest: usize,
    /// A bit set of the names' first bytes modulo 64: it rules out nearly every variable of a process.
    starts: u64,
}

impl Wanted {
    /// Looks for these names; empty ones are ignored.
    pub fn new<N: Into<Vec<u8>>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut wanted = Self::default();
        for name in names {
            let name = name.into();
            if let Some(first) = name.first()
                && !wanted.names.contains(&name)
            {
                wanted.starts |= bit(*first);
                wanted.longest = wanted.longest.max(name.len());
                wanted.names.push(name);
            }
        }
        wanted
    }

    /// The names, in the order in which they were given.
    #[must_use]
    pub fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// The name among ours that this entry defines.
    fn of(&self, entry: &[u8]) -> Option<&Vec<u8>> {
        if self.starts & bit(*entry.first()?) == 0 {
            return None;
        }
        self.names.iter().find(|n| entry.get(n.len()) == Some(&b'=') && entry.starts_with(n))
    }
}

const fn bit(byte: u8) -> u64 {
    1 << (byte & 63)
}

/// A value from a process's environment. It can be compared; `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret {
    bytes: Vec<u8>,
    /// Whether the value was longer than what was kept.
    cut: bool,
}

impl Secret {
    /// A value as a process holds it, for tests and for the scripted host.
    #[must_use]
    pub fn new(value: &[u8]) -> Self {
        let kept = value.get(..MAX_VALUE).unwrap_or(value);
        Self { bytes: kept.to_vec(), cut: kept.len() < value.len() }
    }

    /// The whole value; `None` when it was longer than what is kept.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        (!self.cut).then_some(&self.bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The values of one name in the block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Found {
    /// Defined, once or several times with the same value.
    Value(Secret),
    /// Defined several times with different values: which one counts is unknown.
    Contradictory,
}

/// Whether the block is still what was passed to `execve(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Every entry is terminated and none is empty.
    Intact,
    /// It was overwritten or cut short, with the reason to think so. No variable of it is evidence.
    Garbled(&'static str),
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironScan {
    /// Whether the block can be trusted.
    pub condition: Condition,
    /// The length of the block in bytes, as far as it was read.
    pub len: u64,
    found: Vec<(Vec<u8>, Found)>,
}

impl EnvironScan {
    /// The values of `name`, if it was searched for and found.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Found> {
        self.found.iter().find(|(n, _)| n == name).map(|(_, found)| found)
    }

    /// The value of `name`, if there is exactly one and it was kept whole.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.get(name)? {
            Found::Value(secret) => secret.bytes(),
            Found::Contradictory => None,
        }
    }

    /// Compares what was read with what a `stat` taken afterwards says there was. The kernel ends a read
    /// early, without an error, when a page of the block is missing, and gives nothing once the process has
    /// released its memory.
    ///
    /// # Errors
    /// [`Why::Exiting`] when there was nothing left to read.
    pub fn verify(mut self, stat: &Stat) -> Result<Self, Why> {
        if !stat.has_memory {
            return Err(Why::Exiting);
        }
        if self.condition == Condition::Intact && stat.environ_len.is_some_and(|len| len != self.len) {
            self.condition = Condition::Garbled("its environment was cut short");
        }
        Ok(self)
    }

    /// Whether the block is trustworthy and has none of the names.
    #[must_use]
    pub fn is_intact_and_empty(&self) -> bool {
        self.found.is_empty() && self.condition == Condition::Intact
    }
}

/// Searches a whole block.
#[must_use]
pub fn scan(block: &[u8], wanted: &Wanted) -> EnvironScan {
    let mut scanner = Scanner::new(wanted);
    scanner.feed(block);
    scanner.finish()
}

/// Searches a block that arrives in chunks of any size.
#[derive(Debug)]
pub struct Scanner<'a> {
    wanted: &'a Wanted,
    /// The unfinished entry at the end of the last chunk, no longer than could matter.
    open: Vec<u8>,
    open_len: u64,
    len: u64,
    first: bool,
    damage: Option<&'static str>,
    found: Vec<(Vec<u8>, Found)>,
}

impl<'a> Scanner<'a> {
    /// Starts a search.
    #[must_use]
    pub fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, open: Vec::new(), open_len: 0, len: 0, first: true, damage: None, found: Vec::new() }
    }

    /// Takes the next bytes of the block.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.len += chunk.len() as u64;
        let mut rest = chunk;
        // Not `memchr::memchr`: the first time it asks the processor what it can do, and in a virtual machine each of
        // those questions goes to the hypervisor, which takes longer than a whole scan saves.
        let nul = memchr::arch::all::memchr::One::new(0);
        while let Some(end) = nul.find(rest) {
            let (head, tail) = rest.split_at(end);
            if self.open_len == 0 {
                self.entry(head, head.len() as u64);
            } else {
                self.keep(head);
                let (entry, len) = (std::mem::take(&mut self.open), std::mem::take(&mut self.open_len));
                self.entry(&entry, len);
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            self.keep(rest);
        }
    }

    /// Records that the block cannot be trusted, and why.
    pub fn spoil(&mut self, how: &'static str) {
        self.damage.get_or_insert(how);
    }

    /// Ends the search.
    #[must_use]
    pub fn finish(mut self) -> EnvironScan {
        if self.open_len > 0 {
            self.damage.get_or_insert("its environment was cut short");
        }
        EnvironScan {
            condition: self.damage.map_or(Condition::Intact, Condition::Garbled),
            len: self.len,
            found: self.found,
        }
    }

    fn keep(&mut self, more: &[u8]) {
        // One byte more than any value that is kept, so that a cut is noticed.
        let room = (self.wanted.longest + 2 + MAX_VALUE).saturating_sub(self.open.len());
        self.open.extend_from_slice(more.get(..room).unwrap_or(more));
        self.open_len += more.len() as u64;
    }

    fn entry(&mut self, entry: &[u8], len: u64) {
        let first = std::mem::take(&mut self.first);
        if len == 0 {
            // `execve` passes no empty strings in practice; zeroed memory consists of them.
            self.damage.get_or_insert("its environment was overwritten");
            return;
        }
        let Some(name) = self.wanted.of(entry) else {
            if first && !starts_with_a_name(entry) {
                // A process title that ran over the arguments into the environment.
                self.damage.get_or_insert("its environment was overwritten");
            }
            return;
        };
        let secret = Secret::new(entry.get(name.len() + 1..).unwrap_or_default());
        match self.found.iter_mut().find(|(n, _)| n == name) {
            None => self.found.push((name.clone(), Found::Value(secret))),
            Some((_, seen)) => {
                if *seen != Found::Value(secret) {
                    *seen = Found::Contradictory;
                }
            }
        }
    }
}

/// Whether an entry begins like a variable. A command line that a program wrote over its environment, as
/// browsers do, has an equals sign as well; but it has a dash or a space before it.
fn starts_with_a_name(entry: &[u8]) -> bool {
    // A name may begin with an equals sign: Wine passes such names on.
    let end = entry.iter().position(|b| *b == b'=');
    end.and_then(|end| entry.get(..end))
        .is_some_and(|name| !name.starts_with(b"-") && !name.iter().any(u8::is_ascii_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted::new(["MARK", "OWNER"])
    }

    fn value(block: &[u8]) -> Option<Vec<u8>> {
        scan(block, &wanted()).value(b"MARK").map(<[u8]>::to_vec)
    }

    #[test]
    fn finds_whole_names_only() {
        assert_eq!(value(b"A=1\0MARK=x\0B=2\0"), Some(b"x".to_vec()));
        assert_eq!(value(b"MARK=\0"), Some(b"".to_vec()));
        for block in [
            &b"XMARK=1\0"[..],
            b"MARK_X=1\0",
            b"MARK\0",
            b"mark=1\0",
            b"A=MARK=1\0",
            b"A=\nMARK=1\0",
            b"A=1 MARK=1\0",
        ] {
            assert_eq!(value(block), None, "{}", block.escape_ascii());
        }
    }

    #[test]
    fn values_may_hold_newlines_equals_signs_and_any_bytes() {
        assert_eq!(value(b"MARK=a\n=\xff\0"), Some(b"a\n=\xff".to_vec()));
    }

    #[test]
    fn chunks_of_any_size_give_the_same_answer() {
        let block = b"PATH=/bin\0MARK=one two\0OWNER=12:34\0LAST=\0";
        let whole = scan(block, &wanted());
        for size in 1..=block.len() {
            let w = wanted();
            let mut scanner = Scanner::new(&w);
            block.chunks(size).for_each(|c| scanner.feed(c));
            assert_eq!(scanner.finish(), whole, "chunks of {size}");
        }
    }

    #[test]
    fn an_overwritten_or_cut_block_says_so() {
        for block in [
            &b"\0\0\0\0"[..],
            b"A=1\0\0MARK=1\0",
            b"A=1\0MARK=1",
            b"worker title\0MARK=1\0",
            b"--type=renderer --lang=de\0MARK=1\0",
            b"nderer --lang=de\0",
            b"A=1\0MARK=1\0\0",
        ] {
            let answer = scan(block, &wanted());
            assert!(matches!(answer.condition, Condition::Garbled(_)), "{}", block.escape_ascii());
        }
        assert_eq!(scan(b"", &wanted()).condition, Condition::Intact);
        for block in [&b"A=1\0odd\0MARK=1\0"[..], b"=C:=C:\\x\0MARK=1\0", b"A=--x --y\0", b"A=1\0b c=2\0"] {
            assert_eq!(scan(block, &wanted()).condition, Condition::Intact, "{}", block.escape_ascii());
        }
    }

    #[test]
    fn contradicting_values_are_no_value() {
        assert_eq!(value(b"MARK=1\0MARK=1\0"), Some(b"1".to_vec()));
        assert_eq!(value(b"MARK=0\0MARK=1\0"), None);
        assert_eq!(scan(b"MARK=0\0MARK=1\0", &wanted()).get(b"MARK"), Some(&Found::Contradictory));
    }

    #[test]
    fn a_huge_value_neither_hides_the_marker_nor_is_kept() {
        let mut block = b"BIG=".to_vec();
        block.resize(2 << 20, b'x');
        block.extend_from_slice(b"\0MARK=1\0OWNER=");
        block.resize(block.len() + (1 << 20), b'y');
        block.push(0);
        let w = wanted();
        let mut scanner = Scanner::new(&w);
        block.chunks(4096).for_each(|c| scanner.feed(c));
        assert!(scanner.open.capacity() < 16 << 10);
        let answer = scanner.finish();
        assert_eq!(answer.value(b"MARK"), Some(&b"1"[..]));
        assert!(answer.get(b"OWNER").is_some() && answer.value(b"OWNER").is_none());
    }

    #[test]
    fn secrets_do_not_print_themselves() {
        let answer = scan(b"MARK=hunter2\0", &wanted());
        assert!(!format!("{answer:?}").contains("hunter2"));
    }
}
