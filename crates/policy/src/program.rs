//! What a process runs, as a set of names, and how a rule is compared with them.
//!
//! No single field names a program reliably: the executable of one well-known agent is called `2.1.197`, a Node.js
//! main thread calls itself `MainThread`, and an interpreter's executable says nothing about its script. So every
//! source contributes a name, and a rule is compared with each of them, never as a substring, in one of three ways:
//!
//! * [`names_closely`] chooses what may be ended: the name itself, or with a version, a target or a packaging behind it.
//! * [`names_widely`] protects: the name itself, or followed by `-`, `_` or `.` and anything. A protection that is too
//!   wide leaves an orphan alive; one that is too narrow would end work in progress.
//! * [`find_word`] recognises wrappers and adopters: the name itself and nothing behind it.
//!
//! Pure: this module reads no files, and its input is untrusted.

mod identity;
mod script;
mod suffix;
#[cfg(test)]
mod tests;

use std::fmt;

use identity::base_name;
pub use identity::{Identity, Name, Source};

/// Linux keeps 15 bytes of a process's comm: one this long may be the beginning of a longer name.
const COMM_MAX: usize = 15;
/// No file name is longer on any file system we run on, so no program name is.
const NAME_MAX: usize = 255;

/// The names of one process: most trustworthy source first, no duplicates, no interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names<'a>(Vec<Name<'a>>);

impl<'a> Names<'a> {
    /// Collects every name of a process.
    #[must_use]
    pub fn of(identity: &Identity<'a>) -> Self {
        let mut names = Self::default();
        let exe = identity.exe.map(|path| path.strip_suffix(b" (deleted)").unwrap_or(path));
        let argv = identity.argv.unwrap_or_default();
        let argv0 = argv.first().map(Vec::as_slice).filter(|arg| !arg.is_empty());

        if let Some(path) = exe {
            names.add(base_name(path), Source::Exe);
            names.add_product(path, Source::Exe);
        }
        match argv0 {
            Some(title) if is_title(title) => names.add(title, Source::Title),
            Some(path) => {
                names.add(base_name(path), Source::Argv0);
                names.add_product(path, Source::Argv0);
            }
            None => {}
        }
        let interpreter = exe
            .and_then(|path| script::Interpreter::named(base_name(path)))
            .or_else(|| argv0.and_then(|path| script::Interpreter::named(base_name(path))));
        if let Some(interpreter) = interpreter {
            let invoked_as = argv0.map(base_name).unwrap_or_default();
            if let Some(found) = interpreter.script(invoked_as, argv.get(1..).unwrap_or_default()) {
                names.add(found.name, Source::Script);
                names.add_product(found.path, Source::Script);
            }
        }
        if identity.comm.len() < COMM_MAX {
            names.add(identity.comm, Source::Comm);
        }
        names
    }

    /// The names, most trustworthy source first.
    pub fn iter(&self) -> impl Iterator<Item = &Name<'a>> {
        self.0.iter()
    }

    /// The name to show for this process.
    #[must_use]
    pub fn first(&self) -> Option<&Name<'a>> {
        self.0.first()
    }

    /// Whether the process has no name a rule could match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, bytes: &'a [u8], source: Source) {
        let bytes = unwrapped(bytes.strip_suffix(b".exe").unwrap_or(bytes));
        let unusable = bytes.is_empty() || bytes.len() > NAME_MAX || is_interpreter(bytes);
        if !unusable && !self.0.iter().any(|name| name.bytes == bytes) {
            self.0.push(Name { bytes, source });
        }
    }

    /// Agents that install each version into its own folder run executables named after the version.
    fn add_product(&mut self, path: &'a [u8], source: Source) {
        let mut segments = path.split(|byte| *byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            let product = segment == b"claude" || segment == b"cursor-agent";
            if product && segments.peek().is_some_and(|next| *next == b"versions") {
                self.add(segment, source);
            }
        }
    }
}

/// Which rule matched which name of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'r, 'a> {
    /// The name as the rule has it.
    pub rule: &'r str,
    /// The process's name that matched.
    pub name: &'a [u8],
    /// Where that name came from.
    pub source: Source,
}

impl fmt::Display for Match<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name.escape_ascii(), self.source)?;
        if self.name == self.rule.as_bytes() { Ok(()) } else { write!(f, ", matching `{}`", self.rule) }
    }
}

/// Whether a rule for what may be ended covers a process's name: the same, or with a version, a target and a packaging
/// behind it, each at most once, and nothing else. A rule that ends in `*` stands for any ending.
#[must_use]
pub fn names_closely(rule: &str, name: &[u8]) -> bool {
    match rule.strip_suffix('*') {
        Some(beginning) => {
            !beginning.is_empty() && name.len() > beginning.len() && name.starts_with(beginning.as_bytes())
        }
        None => !rule.is_empty() && name.strip_prefix(rule.as_bytes()).is_some_and(suffix::is_closed),
    }
}

/// Whether a rule that protects covers a process's name: the same, or followed by `-`, `_` or `.`.
#[must_use]
pub fn names_widely(rule: &str, name: &[u8]) -> bool {
    !rule.is_empty()
        && name
            .strip_prefix(rule.as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|byte| matches!(byte, b'-' | b'_' | b'.')))
}

/// The best match of any rule for what may be ended with any name: an exact one before one with endings, then in the
/// order of the names.
#[must_use]
pub fn find<'r, 'a, I>(names: &Names<'a>, rules: I) -> Option<Match<'r, 'a>>
where
    I: IntoIterator<Item = &'r str> + Clone,
{
    find_by(names, rules, names_closely)
}

/// The best match of any rule that protects or keeps.
#[must_use]
pub fn find_widely<'r, 'a, I>(names: &Names<'a>, rules: I) -> Option<Match<'r, 'a>>
where
    I: IntoIterator<Item = &'r str> + Clone,
{
    find_by(names, rules, names_widely)
}

fn find_by<'r, 'a, I>(names: &Names<'a>, rules: I, accept: fn(&str, &[u8]) -> bool) -> Option<Match<'r, 'a>>
where
    I: IntoIterator<Item = &'r str> + Clone,
{
    let search = |accept: fn(&str, &[u8]) -> bool| {
        names.iter().find_map(|name| {
            let rule = rules.clone().into_iter().find(|rule| accept(rule, name.bytes))?;
            Some(Match { rule, name: name.bytes, source: name.source })
        })
    };
    search(is_exactly).or_else(|| search(accept))
}

fn is_exactly(rule: &str, name: &[u8]) -> bool {
    !rule.is_empty() && rule.as_bytes() == name
}

/// As [`find_widely`], for protected programs: these also match by the first word of a title, and by a comm that was
/// cut short. Never used to choose a program to end.
#[must_use]
pub fn find_protected<'r, 'a, I>(identity: &Identity<'a>, rules: I) -> Option<Match<'r, 'a>>
where
    I: IntoIterator<Item = &'r str> + Clone,
{
    find_widely(&names_and_words(identity), rules.clone()).or_else(|| {
        let comm = identity.comm;
        let rule = rules.into_iter().find(|rule| {
            comm.len() == COMM_MAX && (rule.as_bytes().starts_with(comm) || names_widely(rule, comm))
        })?;
        Some(Match { rule, name: comm, source: Source::Comm })
    })
}

/// The exact match of any rule with any name or first word of a title, for wrappers and adopters. `bun` and `deno` are
/// matched only where their arguments name no script; otherwise the script's name counts.
#[must_use]
pub fn find_word<'r, 'a, I>(identity: &Identity<'a>, rules: I) -> Option<Match<'r, 'a>>
where
    I: IntoIterator<Item = &'r str> + Clone,
{
    let found = find_by(&names_and_words(identity), rules.clone(), is_exactly);
    found.or_else(|| {
        let name = script::runner(identity)?;
        let rule = rules.into_iter().find(|rule| is_exactly(rule, name.bytes))?;
        Some(Match { rule, name: name.bytes, source: name.source })
    })
}

fn names_and_words<'a>(identity: &Identity<'a>) -> Names<'a> {
    let mut names = Names::of(identity);
    for (word, source) in title_words(identity) {
        names.add(word, source);
    }
    names
}

/// First words of titles: `npm exec foo` is npm, `tmux: server` is tmux, `sshd: alice@pts/0` is sshd, `-bash` is bash,
/// `bazel(project)` is bazel.
pub fn title_words<'a>(identity: &Identity<'a>) -> impl Iterator<Item = (&'a [u8], Source)> + use<'a> {
    let argv0 = identity.argv.and_then(<[_]>::first).map(Vec::as_slice);
    let comm = identity.comm;
    let whole_words = comm.len() < COMM_MAX || comm.iter().any(u8::is_ascii_whitespace);
    [argv0.map(|title| (title, Source::Title)), whole_words.then_some((comm, Source::Comm))]
        .into_iter()
        .flatten()
        .map(|(title, source)| (first_word(title), source))
        .filter(|(word, _)| !word.is_empty() && word.len() <= NAME_MAX)
}

fn first_word(title: &[u8]) -> &[u8] {
    let word = title.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let word = word.strip_suffix(b":").unwrap_or(word);
    let word = base_name(word);
    let word = word.strip_prefix(b"-").unwrap_or(word);
    match word.iter().position(|byte| *byte == b'(') {
        Some(at @ 1..) => word.get(..at).unwrap_or(word),
        _ => word,
    }
}

/// Whether one of the words of a name is `mcp`, as in names of MCP servers: `mcp-server-git`, `postgres-mcp`.
#[must_use]
pub fn has_word_mcp(name: &[u8]) -> bool {
    name.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b'@' | b'/')).any(|word| word == b"mcp")
}

/// Whether a name is only an interpreter's, or what an interpreter calls its main thread. Such a name does not identify
/// the program, so it matches nothing.
#[must_use]
pub fn is_interpreter(name: &[u8]) -> bool {
    matches!(name, b"MainThread" | b"node-MainThread") || script::Interpreter::named(name).is_some()
}

/// Whether a first argument was rewritten into a sentence. A path may hold spaces too, but no path is followed by
/// options or by another path.
fn is_title(arg: &[u8]) -> bool {
    let path = matches!(arg.first(), Some(b'/' | b'.'));
    let sentence = arg.windows(2).any(|pair| matches!(pair, [gap, b'-' | b'/'] if gap.is_ascii_whitespace()));
    if path { sentence } else { arg.iter().any(u8::is_ascii_whitespace) }
}

/// Nix moves a program aside, to `.goose-wrapped` or, wrapped again, to `.goose-wrapped_`, and puts a script in its place.
fn unwrapped(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != b'_').map_or(0, |last| last + 1);
    let inner = name.get(..end).and_then(|name| name.strip_prefix(b".")?.strip_suffix(b"-wrapped"));
    inner.filter(|inner| !inner.is_empty()).unwrap_or(name)
}
