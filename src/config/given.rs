//! One value of a setting from a file or an environment variable, and its conversion to the type of the setting.
//!
//! The rows of [`super::keys`] choose the conversion; they need not know the source of the value.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use reaper_policy::duration::{self, DurationError};
use toml::de::DeValue;

use super::diagnostics::Diagnostic;
use super::document::{self, Fault, Value};
use super::setting::{Origin, Settings};

/// The source of a value.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a Value<'a>),
    Variable(&'a str),
}

/// A value, with what an error about it has to name.
pub(super) struct Given<'a> {
    pub(super) source: Source<'a>,
    pub(super) origin: &'a Origin,
    /// The name of the key.
    pub(super) name: &'static str,
    /// Formats the value of that key, for hints with the default.
    pub(super) show: fn(&Settings) -> String,
}

impl Given<'_> {
    /// Reads a duration within a range.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let value = match self.source {
            Source::Variable(text) => duration::parse(text),
            Source::File(value) => match value.get_ref() {
                DeValue::String(text) => duration::parse(text),
                // The most common mistake: the hint repeats the number with a unit.
                DeValue::Integer(number) => Err(bare(number.as_str(), &document::decimal(number))),
                DeValue::Float(number) => {
                    let whole = number.as_str().parse::<f64>().map(f64::trunc);
                    Err(bare(number.as_str(), &whole.unwrap_or_default()))
                }
                _ => return Err(Fault::expected("a duration such as \"30s\"", value)),
            },
        };
        let value = value.map_err(|error| self.refused(error))?;
        let (least, most) = (*range.start(), *range.end());
        let (bound, limit) = if value < least {
            ("at least", least)
        } else if value > most {
            ("at most", most)
        } else {
            return Ok(value);
        };
        let why = format!("`{}` must be {bound} {}", self.name, duration::format(limit));
        Err(self.refused(Diagnostic::new(why, self.default())))
    }

    /// Reads a count from 1 to `most`; `advice` is what to do instead of setting it to 0.
    pub(super) fn count(&self, most: usize, advice: &str) -> Result<NonZeroUsize, Fault> {
        let number = match self.source {
            Source::Variable(text) => text.parse().ok(),
            Source::File(value) => document::whole_number(value)?,
        };
        let count =
            number.and_then(|number: i64| usize::try_from(number).ok()).filter(|count| *count <= most);
        count.and_then(NonZeroUsize::new).ok_or_else(|| {
            let why = format!("`{}` must be between 1 and {most}", self.name);
            self.refused(Diagnostic::new(why, format!("{}; {advice}", self.default())))
        })
    }

    /// Reads a boolean.
    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self.source {
            Source::File(value) => document::boolean(value),
            Source::Variable("true" | "1") => Ok(true),
            Source::Variable("false" | "0") => Ok(false),
            Source::Variable(text) => {
                Err(self.refused(Diagnostic::unknown("value", text, ["true", "false"])))
            }
        }
    }

    /// Reads one of a fixed set of words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Fault> {
        self.text(|text| {
            let found = choices.iter().find(|(name, _)| *name == text);
            let known = choices.iter().map(|(name, _)| *name);
            found.map(|(_, choice)| *choice).ok_or_else(|| Diagnostic::unknown("value", text, known))
        })
    }

    /// Reads a list of names, each of which must pass a check. In a variable they are separated by commas.
    pub(super) fn names(&self, check: fn(&str) -> Result<(), Diagnostic>) -> Result<Vec<String>, Fault> {
        match self.source {
            Source::Variable(text) => {
                let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
                names
                    .iter()
                    .try_for_each(|name| check(name))
                    .map_err(|diagnostic| self.refused(diagnostic))?;
                Ok(names.into_iter().map(str::to_owned).collect())
            }
            Source::File(value) => {
                let one = |item: &Value<'_>| {
                    let name = document::text(item)?;
                    check(name).map_err(|diagnostic| Fault::new(item.span(), diagnostic))?;
                    Ok(name.to_owned())
                };
                document::list(value)?.iter().map(one).collect()
            }
        }
    }

    /// Reads a string with a parser of its own.
    pub(super) fn text<T>(&self, read: impl Fn(&str) -> Result<T, Diagnostic>) -> Result<T, Fault> {
        let text = match self.source {
            Source::File(value) => document::text(value)?,
            Source::Variable(text) => text,
        };
        read(text).map_err(|diagnostic| self.refused(diagnostic))
    }

    fn default(&self) -> String {
        format!("the default is {}", (self.show)(&Settings::default()))
    }

    fn refused(&self, diagnostic: impl Into<Diagnostic>) -> Fault {
        let span = match self.source {
            Source::File(value) => value.span(),
            // In a variable the location is the whole value.
            Source::Variable(_) => 0..0,
        };
        Fault::new(span, diagnostic.into())
    }
}

fn bare(written: &str, whole: &dyn std::fmt::Display) -> DurationError {
    if written.starts_with('-') { DurationError::negative() } else { DurationError::bare(whole) }
}
