//! Standard output for data, standard error for messages.
//!
//! A closed pipe (`| head`) is no error and must not change what is done: further output is discarded. Any other write
//! error is kept and reported at the end.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::args::{Color, Global};
use super::exit::{CommandError, Exit};

/// All output of a command.
#[derive(Debug)]
pub struct Output {
    choice: ColorChoice,
    quiet: bool,
    failed: Option<io::Error>,
}

impl Output {
    /// Output as the flags select.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { choice, quiet: global.quiet, failed: None }
    }

    /// Writes data for people.
    pub fn data(&mut self, text: impl fmt::Display) {
        let mut out = AutoStream::new(io::stdout().lock(), self.choice);
        let written = write!(out, "{text}").and_then(|()| out.flush());
        self.remember(written);
    }

    /// Writes a document for programs: one line of JSON.
    ///
    /// # Errors
    /// When it cannot be serialised, which is a bug.
    pub fn document(&mut self, document: &impl Serialize) -> Result<(), CommandError> {
        let text = serde_json::to_string(document).map_err(|e| {
            CommandError::new(Exit::Bug, format_args!("cannot write JSON: {e}"), "please report this")
        })? + "\n";
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.remember(written);
        Ok(())
    }

    fn remember(&mut self, written: io::Result<()>) {
        if let Err(e) = written
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            self.failed.get_or_insert(e);
        }
    }

    /// Writes a line to standard error, unless `--quiet` is given. Write errors are ignored.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            let _ = writeln!(AutoStream::new(io::stderr().lock(), self.choice), "{text}");
        }
    }

    /// Writes a warning to standard error, unless `--quiet` is given.
    pub fn warn(&self, text: impl fmt::Display) {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        self.note(format_args!("{style}warning:{style:#} {text}"));
    }

    /// Whether a question can be shown and answered on a terminal.
    #[must_use]
    pub fn can_ask() -> bool {
        io::stdin().is_terminal() && (io::stderr().is_terminal() || io::stdout().is_terminal())
    }

    /// Shows a question without a newline, also with `--quiet`.
    pub fn ask(&self, text: impl fmt::Display) {
        if io::stderr().is_terminal() {
            let mut err = AutoStream::new(io::stderr().lock(), self.choice);
            let _ = write!(err, "{text}").and_then(|()| err.flush());
        } else {
            let mut out = AutoStream::new(io::stdout().lock(), self.choice);
            let _ = write!(out, "{text}").and_then(|()| out.flush());
        }
    }

    /// Whether progress may be drawn.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// The width of the terminal that data goes to, if it goes to one.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        io::stdout().is_terminal().then(terminal_size::terminal_size).flatten().map(|(w, _)| usize::from(w.0))
    }

    /// Returns the first write error.
    ///
    /// # Errors
    /// When data could not be written.
    pub fn finish(self) -> Result<(), CommandError> {
        match self.failed {
            None => Ok(()),
            Some(e) => Err(CommandError::new(
                Exit::Failed,
                format_args!("cannot write to standard output: {e}"),
                "the result is incomplete; what was done stands in the history",
            )),
        }
    }
}

/// Writes an error, as the last output of a run.
pub fn error(color: Color, text: impl fmt::Display) {
    let choice = match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let _ = writeln!(AutoStream::new(io::stderr().lock(), choice), "{style}error:{style:#} {text}");
}
