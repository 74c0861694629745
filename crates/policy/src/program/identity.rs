//! The strings that the system has for a process's program, and a name derived from them.

use std::fmt;

/// The strings that the system has for one process, as read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// Target of the executable link; `None` when it could not be read.
    pub exe: Option<&'a [u8]>,
    /// The argument vector; `None` when it could not be read.
    pub argv: Option<&'a [Vec<u8>]>,
    /// The name the process or its thread gave itself, without the line feed.
    pub comm: &'a [u8],
}

/// Where a name came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Base name of the executable, or the product a versioned installation folder belongs to.
    Exe,
    /// Base name of the first argument.
    Argv0,
    /// A first argument that was rewritten into a sentence; taken whole.
    Title,
    /// The script, module or main class an interpreter runs.
    Script,
    /// The process's comm.
    Comm,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exe => "by its executable",
            Self::Argv0 => "by its first argument",
            Self::Title => "by its title",
            Self::Script => "by its script",
            Self::Comm => "by its command name",
        })
    }
}

/// One name of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name, as bytes of the process's own strings.
    pub bytes: &'a [u8],
    /// The source it came from.
    pub source: Source,
}

/// What follows the last slash of a path.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}
