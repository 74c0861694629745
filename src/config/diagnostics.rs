//! Errors and warnings about settings: what failed, on what, why, and what to do about it.
//!
//! An error in a file points at its line with a caret, so that the config of a service that does not start is quick
//! to fix.

use reaper_engine::failure::Failure;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longest piece of a source line shown with an error, in characters.
const SNIPPET: usize = 100;

/// Why the settings cannot be used. The text is complete: it ends with a `hint:` line where there is something to do.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file exists and cannot be read, or was named explicitly and does not exist.
    #[error(transparent)]
    Read(Failure),
    /// A file cannot be trusted, by its owner or mode, or is not a regular file.
    #[error(transparent)]
    Refused(Failure),
    /// A file contains an error.
    #[error("{0}")]
    Invalid(Box<Location>),
    /// An environment variable has an invalid value.
    #[error("environment variable `{variable}`: {}{}", diagnostic.why, hint_line(diagnostic.hint.as_ref()))]
    Env {
        /// The name of the variable.
        variable: String,
        /// What is wrong.
        diagnostic: Diagnostic,
    },
    /// A flag has an invalid value.
    #[error("`{flag}`: {}{}", diagnostic.why, hint_line(diagnostic.hint.as_ref()))]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        diagnostic: Diagnostic,
    },
}

fn hint_line(hint: Option<&String>) -> String {
    hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Replaces control characters, which would otherwise reach a terminal through an error.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// What is wrong with a value, without its location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic with a hint.
    pub fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: Some(hint.into()) }
    }

    /// An unknown name, with the nearest known one.
    #[must_use]
    pub fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        Self::new(format!("unknown {kind} `{}`", name.escape_debug()), hint)
    }

    /// The error for a diagnostic about an environment variable.
    pub(super) fn about(self, variable: &str) -> ConfigError {
        ConfigError::Env { variable: variable.to_owned(), diagnostic: self }
    }
}

impl From<reaper_policy::duration::DurationError> for Diagnostic {
    fn from(error: reaper_policy::duration::DurationError) -> Self {
        Self::new(error.to_string(), error.hint)
    }
}

/// The known name closest to a misspelt one, if any is close.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(64).collect::<String>().to_lowercase();
    known
        .into_iter()
        .map(|candidate| (candidate, strsim::jaro_winkler(&name, &candidate.to_lowercase())))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

/// A diagnostic with its location in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    path: PathBuf,
    line: usize,
    column: usize,
    source_line: String,
    width: usize,
    diagnostic: Diagnostic,
}

impl Location {
    /// Finds the line and column of a byte range in a file's text.
    #[must_use]
    pub fn new(path: &Path, text: &str, span: Range<usize>, diagnostic: Diagnostic) -> Self {
        let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let head = before.get(line_start..).unwrap_or_default();
        let tail = after.lines().next().unwrap_or_default();
        let column = head.chars().count() + 1;
        let marked =
            after.get(..span.end.saturating_sub(start)).unwrap_or(after).lines().next().unwrap_or_default();
        Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            source_line: printable(&format!("{head}{tail}").replace('\t', " ")),
            width: marked.chars().count().max(1),
            diagnostic,
        }
    }

    /// The line, counted from one.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from one.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { why, hint } = &self.diagnostic;
        writeln!(f, "{}:{}:{}: {}", shown(&self.path), self.line, self.column, printable(why))?;
        // A long line is shown from a little before the location.
        let skipped = if self.column > SNIPPET / 2 { self.column - SNIPPET / 4 } else { 0 };
        let snippet: String = self.source_line.chars().skip(skipped).take(SNIPPET).collect();
        let indent = self.column - 1 - skipped;
        let width = self.width.min(SNIPPET - indent.min(SNIPPET - 1));
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", snippet.trim_end())?;
        write!(f, "{gutter} | {}{}", " ".repeat(indent), "^".repeat(width))?;
        f.write_str(&hint_line(hint.as_ref().map(|hint| printable(hint)).as_ref()))
    }
}

/// A warning about settings that are allowed but probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What looks wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Warning {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.message, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, Location, nearest};
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn a_place_shows_its_line_and_a_caret() {
        let text = "a = 1\n\tgrce = \"30s\"\n";
        let location =
            Location::new(Path::new("/c.toml"), text, 7..11, Diagnostic::new("unknown", "mend it"));
        assert_eq!(
            location.to_string(),
            "/c.toml:2:2: unknown\n  |\n2 |  grce = \"30s\"\n  |  ^^^^\nhint: mend it"
        );
        assert_eq!((location.line(), location.column()), (2, 2));
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("grce", ["interval", "grace"]), Some("grace"));
        assert_eq!(nearest("colour", ["interval", "grace"]), None);
    }

    proptest! {
        #[test]
        fn any_span_in_any_text_is_shown(text in "(.|\n|\r|\t){0,300}", start in 0..400_usize, length in 0..400_usize) {
            let diagnostic = Diagnostic { why: "why".to_owned(), hint: None };
            let shown = Location::new(Path::new("c"), &text, start..start + length, diagnostic).to_string();
            prop_assert!(shown.contains('^') && shown.lines().count() == 4, "{shown}");
        }
    }
}
