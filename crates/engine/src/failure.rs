//! An error for users: what failed, on which path, why, and what to do about it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use reaper_platform::HostError;

/// Shown as ``{what} `{path}`: {source}``, with a last line `hint: {hint}`; each part but the first may be missing.
#[derive(Debug)]
pub struct Failure {
    /// What failed, as in `cannot write`.
    pub what: Cow<'static, str>,
    /// The file or directory concerned.
    pub path: Option<PathBuf>,
    /// The cause: the system's error, or what is wrong with the file.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// What the user can do about it.
    pub hint: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failure without path, cause and hint.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), path: None, source: None, hint: None }
    }

    /// Adds the path.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Adds the hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The text without the hint.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.what.clone().into_owned();
        if let Some(path) = &self.path {
            // A path may contain control characters, and this text is printed to terminals.
            let safe = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
            let path: String = path.to_string_lossy().chars().map(safe).collect();
            text += &format!(" `{path}`");
        }
        if let Some(source) = &self.source {
            text += &format!(": {source}");
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<HostError> for Failure {
    fn from(e: HostError) -> Self {
        Self::new(e.to_string()).hint(if cfg!(target_os = "linux") {
            "reaper needs /proc mounted, of the PID namespace that it runs in"
        } else {
            "a sandbox may be in the way; run reaper outside of it"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn each_part_has_its_place_and_only_the_first_is_needed() {
        assert_eq!(Failure::new("no").to_string(), "no");
        let at = Failure::new("cannot write").at("/a\u{1b}b");
        assert_eq!(at.to_string(), "cannot write `/a\u{fffd}b`");
        let whole = at.because(Error::from(ErrorKind::StorageFull)).hint("free some space");
        assert_eq!(whole.message(), "cannot write `/a\u{fffd}b`: no storage space");
        assert_eq!(whole.to_string(), whole.message() + "\nhint: free some space");
    }
}
