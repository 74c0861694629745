//! Parses what `sysctl KERN_PROCARGS2` returns: the arguments and the environment of a process, as they lie on its
//! stack.
//!
//! ```text
//! argc (an int) │ path of the program, NUL, NULs up to a multiple of 8 │ argc strings │ environment strings
//!               │ NULs up to a multiple of 8 │ the kernel's own strings (`stack_guard=…`, `ptr_munge=…`, …)
//! ```
//!
//! Every string ends with a NUL and may be empty. Only `argc` tells where the environment begins, and nothing
//! tells where it ends; and it is the process's own memory, in which titles are written over arguments. So both ends
//! are proven or the environment counts as garbled: a variable is never taken from an argument. Of programs that the
//! system protects, the kernel returns everything up to the last argument and no more.
//!
//! The source of these rules is the kernel: `sysctl_procargsx` in bsd/kern/kern_sysctl.c, and `exec_save_path`,
//! `exec_extract_strings` and `exec_add_apple_strings` in bsd/kern/kern_exec.c.

use crate::environ::{EnvironScan, Scanner, Wanted};
use crate::types::Why;

/// What strings are aligned to: the size of a pointer. There are no programs of 32 bits any more.
const ALIGN: usize = 8;

/// How the kernel's own strings begin. Some of them follow every environment; not all need to be known.
const KERNEL_STRINGS: [&[u8]; 10] = [
    b"pfz=",
    b"stack_guard=",
    b"malloc_entropy=",
    b"ptr_munge=",
    b"main_stack=",
    b"executable_file=",
    b"dyld_file=",
    b"executable_cdhash=",
    b"executable_boothash=",
    b"th_port=",
];

/// Variables that every ordinary environment has.
const COMMON: [&[u8]; 2] = [b"PATH=", b"HOME="];

const CUT: Why = Why::Garbled("its arguments were cut short");

/// The parsed buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcArgs<'a> {
    /// The path by which the program was executed. Not its file: that may have been a link, or relative.
    pub path: &'a [u8],
    /// Its arguments, each with its NUL.
    argv: &'a [u8],
    /// Its environment, as far as its bounds are known.
    pub environ: Environ<'a>,
}

/// An environment, as far as its bounds are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environ<'a> {
    /// Its strings, each with its NUL, and what lies behind them.
    Block {
        /// The environment.
        strings: &'a [u8],
        /// The kernel's own strings.
        behind: &'a [u8],
        /// Whether there may have been more or fewer arguments than are counted now.
        is_doubtful: bool,
    },
    /// The kernel withholds it.
    Withheld,
    /// Where it begins or ends is unknown, for this reason.
    Garbled(&'static str),
}

impl<'a> ProcArgs<'a> {
    /// Parses a buffer.
    ///
    /// # Errors
    /// [`Why::Garbled`] when not even the arguments can be parsed.
    pub fn parse(buffer: &'a [u8]) -> Result<Self, Why> {
        let (argc, data) = buffer.split_first_chunk().ok_or(CUT)?;
        let argc = usize::try_from(i32::from_ne_bytes(*argc))
            .map_err(|_| Why::Garbled("its count of arguments is negative"))?;
        let mut strings = Strings::of(data);
        let path = strings.next().ok_or(CUT)?;
        if let Some(argv) = path_alone(data, path).filter(|_| argc == 1) {
            return Ok(Self { path, argv, environ: Environ::Withheld });
        }
        strings.align().ok_or(Why::Garbled("its arguments do not begin where they must"))?;
        let begin = strings.at;
        for _ in 0..argc {
            strings.next().ok_or(CUT)?;
        }
        let argv = data.get(begin..strings.at).unwrap_or_default();
        Ok(Self { path, argv, environ: environ(path, argv, strings) })
    }

    /// Its arguments. A title that was written over them leaves empty arguments behind it.
    pub fn argv(&self) -> impl Iterator<Item = &'a [u8]> {
        Strings::of(self.argv)
    }

    /// Searches the environment.
    ///
    /// # Errors
    /// [`Why::Withheld`] when the kernel withholds it.
    pub fn search(&self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        let mut scanner = Scanner::new(wanted);
        match &self.environ {
            Environ::Withheld => return Err(Why::Withheld),
            Environ::Garbled(how) => scanner.spoil(how),
            Environ::Block { strings, behind, is_doubtful } => {
                scanner.feed(strings);
                // A title that is followed by zeros pushes one argument out of the count for each of them.
                let zeros = self.argv().skip(1).take_while(|a| a.is_empty()).count();
                let mut around = self.argv().skip(1).chain(Strings::of(strings).take(zeros.max(1)));
                if *is_doubtful && around.any(|s| is_any_of(s, wanted)) {
                    scanner.spoil("its arguments were overwritten");
                }
                if Strings::of(behind).any(|s| is_any_of(s, wanted)) {
                    scanner.spoil("its environment has no end that can be told");
                }
            }
        }
        Ok(scanner.finish())
    }
}

/// Programs can have an entitlement to show only their path, which is then also the first argument, behind a
/// single NUL of padding (`sysctl_procargs_no_read`).
fn path_alone<'a>(data: &'a [u8], path: &[u8]) -> Option<&'a [u8]> {
    let rest = data.strip_prefix(path)?.strip_prefix(b"\0\0")?;
    (rest.strip_suffix(b"\0")? == path).then_some(rest)
}

/// The environment that follows the arguments.
fn environ<'a>(path: &[u8], argv: &[u8], rest: Strings<'a>) -> Environ<'a> {
    // The kernel takes NULs at the beginning, which are empty arguments, for padding of the path. Where it cuts the
    // environment off, it therefore counts as many strings too far.
    let is_nul = |b: &&u8| **b == 0;
    let blank = argv.iter().take_while(is_nul).count();
    let beyond = if blank == argv.len() { rest.left().iter().take_while(is_nul).count() } else { 0 };
    let miscounted = blank + beyond;
    let mut few = rest;
    few.by_ref().take(miscounted).for_each(drop);
    if few.left().is_empty() {
        return Environ::Withheld;
    }
    let Some(zeros) = rest.left().iter().position(|b| *b != 0) else {
        return Environ::Garbled("its environment was overwritten");
    };
    let begin = rest.at + zeros;
    let Some((strings, behind)) = split(rest.data, begin) else {
        return Environ::Garbled("its environment has no end that can be told");
    };
    let has_common = || Strings::of(strings).any(|s| COMMON.iter().any(|c| s.starts_with(c)));
    match Strings::of(strings).next() {
        // No environment, and its padding.
        None if zeros == 0 || begin == rest.at.next_multiple_of(ALIGN) => {}
        None => return Environ::Garbled("its environment was overwritten"),
        Some(first) if !is_variable(first) => return Environ::Garbled("its arguments were overwritten"),
        Some(_) if zeros == 0 => {}
        // A title was written over the arguments and zeros over what was left of them. They end where the zeros do,
        // if none of them is left and what follows is an environment for certain.
        Some(_) => {
            let is_left = Strings::of(argv).skip(1).any(|a| !a.is_empty());
            if is_left || zeros_end_first(path, argv, zeros) || !has_common() {
                return Environ::Garbled("its arguments were overwritten");
            }
        }
    }
    Environ::Block { strings, behind, is_doubtful: zeros == 0 && is_title(path, argv, strings) }
}

/// Whether the zeros behind a title reach just to the end of the first argument, if that was an ordinary name. Zeros
/// over all arguments reach further, because each of the others had at least its NUL.
fn zeros_end_first(path: &[u8], argv: &[u8], zeros: usize) -> bool {
    let (count, name) = (Strings::of(argv).count(), base_name(path).len());
    let end = argv.len() + zeros;
    [path.len(), name, name + 1].iter().any(|first| (first + 1..first + count).contains(&end))
}

/// Whether a title may have been written over the arguments. Titles begin with the first argument: a short one over a
/// long one splits it in two, so that the count ends too early; one that runs over several makes fewer, and it ends
/// too late. Only an ordinary first argument proves that the others are intact, and only if what follows is not
/// what a title would have left of it.
fn is_title(path: &[u8], argv: &[u8], environ: &[u8]) -> bool {
    let name = base_name(path);
    let mut argv = Strings::of(argv).chain(Strings::of(environ));
    let first = argv.next().unwrap_or_default();
    let is_own = first == path || first.strip_prefix(b"-").unwrap_or(first) == name;
    let is_rest = |next: &[u8]| next.ends_with(name) || name.ends_with(next);
    !is_own || argv.next().is_some_and(is_rest)
}

/// The last part of a path, less the dash of a login shell.
fn base_name(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.strip_prefix(b"-").unwrap_or(name)
}

/// The environment that begins here, and what lies behind it. It ends at one of the kernel's own strings, or at
/// padding with one of them somewhere behind it.
fn split(data: &[u8], begin: usize) -> Option<(&[u8], &[u8])> {
    let mut strings = Strings { data, at: begin };
    let end = loop {
        let at = strings.at;
        let string = strings.next()?;
        if is_kernels(string) {
            break at;
        }
        if string.is_empty() {
            strings.align()?;
            let is_padding = !at.is_multiple_of(ALIGN) && strings.left().first().is_some_and(|b| *b != 0);
            break is_padding.then_some(at)?;
        }
    };
    let (until, behind) = data.split_at_checked(end)?;
    Strings::of(behind).any(is_kernels).then_some((until.get(begin..)?, behind))
}

fn is_kernels(string: &[u8]) -> bool {
    KERNEL_STRINGS.iter().any(|k| string.starts_with(k))
}

/// Whether this can be a variable and is no argument: options and paths have an `=` too, but no name before it.
fn is_variable(string: &[u8]) -> bool {
    let name = memchr::memchr(b'=', string).and_then(|end| string.get(..end)).unwrap_or_default();
    let odd = |b: &u8| b.is_ascii_whitespace() || *b == b'/';
    !name.is_empty() && !name.starts_with(b"-") && !name.iter().any(odd)
}

fn is_any_of(string: &[u8], wanted: &Wanted) -> bool {
    wanted.names().iter().any(|n| string.get(n.len()) == Some(&b'=') && string.starts_with(n))
}

/// Strings that each end with a NUL.
#[derive(Debug, Clone, Copy)]
struct Strings<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Strings<'a> {
    const fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn left(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// Goes on to the next multiple of [`ALIGN`]; `None` unless only NULs are skipped.
    fn align(&mut self) -> Option<()> {
        let to = self.at.next_multiple_of(ALIGN);
        let skipped = self.data.get(self.at..to)?;
        self.at = to;
        skipped.iter().all(|b| *b == 0).then_some(())
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    /// The next string; `None` when there is none that ends.
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.left();
        let string = rest.get(..memchr::memchr(0, rest)?)?;
        self.at += string.len() + 1;
        Some(string)
    }
}

#[cfg(test)]
#[path = "tests/procargs.rs"]
mod tests;
