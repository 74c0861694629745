//! One value of a setting as a source gives it, in a file or in an environment variable, read as what it is to be.
//!
//! A setting says which of these it is ([`super::keys`]); it does not need to know where the value stands.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use reaper_policy::duration::{self, DurationError};
use toml::de::DeValue;

use super::diagnostics::Diagnostic;
use super::document::{self, Fault, Value};
use super::setting::{Origin, Settings};

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a Value<'a>),
    Variable(&'a str),
}

/// A value, and what its refusal has to name.
pub(super) struct Given<'a> {
    pub(super) source: Source<'a>,
    pub(super) origin: &'a Origin,
    /// The key that it is for.
    pub(super) name: &'static str,
    /// Shows the value of that key.
    pub(super) show: fn(&Settings) -> String,
}

impl Given<'_> {
    /// A length of time.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let value = match self.source {
            Source::Variable(text) => duration::parse(text),
            Source::File(value) => match value.get_ref() {
                DeValue::String(text) => duration::parse(text),
                // The mistake that is made most: the hint repeats the number, with a unit.
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

    /// A number of things, at least one; `advice` is what to do instead of setting it to none.
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

    /// Yes or no.
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

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Fault> {
        self.text(|text| {
            let found = choices.iter().find(|(name, _)| *name == text);
            let known = choices.iter().map(|(name, _)| *name);
            found.map(|(_, choice)| *choice).ok_or_else(|| Diagnostic::unknown("value", text, known))
        })
    }

    /// A list of names, each of which passes a check. In a variable they are separated by commas.
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

    /// A text in a form of its own.
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
            // A variable is named as a whole.
            Source::Variable(_) => 0..0,
        };
        Fault::new(span, diagnostic.into())
    }
}

fn bare(written: &str, whole: &dyn std::fmt::Display) -> DurationError {
    if written.starts_with('-') { DurationError::negative() } else { DurationError::bare(whole) }
}
