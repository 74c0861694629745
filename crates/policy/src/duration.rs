//! Durations as users write them: `30s`, `5m`, `1h30m`, `250ms`.
//!
//! A bare number is refused because its unit is ambiguous, and a value that is off by a factor of a thousand ends work
//! in progress. Written by hand because the accepted grammar is stricter than that of the usual libraries.

use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;

/// Upper bound of any duration.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Why a text is not a duration, with a hint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct DurationError {
    why: String,
    /// What to write instead, for the user.
    pub hint: String,
}

impl DurationError {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }

    /// The error for a number without a unit.
    #[must_use]
    pub fn bare(number: impl std::fmt::Display) -> Self {
        Self::new(
            "a duration needs a unit",
            format!("write \"{number}s\" for seconds, \"{number}m\" for minutes"),
        )
    }

    /// The error for a negative length of time.
    #[must_use]
    pub fn negative() -> Self {
        Self::new("a duration cannot be negative", "write a length of time such as \"30s\"")
    }
}

/// Parses a duration such as `30s`, `5m`, `1h30m` or `250ms`.
///
/// # Errors
/// A bare number, a negative, unknown or repeated unit, or more than 365 days.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || {
        DurationError::new(
            format!("`{}` is not a duration", text.escape_debug()),
            "write whole numbers with units d, h, m, s or ms, largest first, such as \"1h30m\"",
        )
    };
    let mut rest = text.trim();
    if rest.starts_with('-') {
        return Err(DurationError::negative());
    }
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut total = Duration::ZERO;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after.trim_start(), |c| !c.is_ascii_alphabetic());
        if digits.is_empty() {
            return Err(malformed());
        }
        if unit.is_empty() && after.is_empty() {
            return Err(DurationError::bare(digits));
        }
        let millis =
            units.find(|(name, _)| *name == unit).map(|(_, millis)| *millis).ok_or_else(malformed)?;
        let part =
            digits.parse::<u64>().ok().and_then(|count| count.checked_mul(millis)).map(Duration::from_millis);
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| DurationError::new("a duration is at most 365 days", "write \"365d\" or less"))?;
        rest = after.trim_start();
    }
    Ok(total)
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(end).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Writes a duration the way [`parse`] reads it; less than a millisecond is dropped.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        if millis >= size {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{unit}", millis / size);
            millis %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn valid_durations_are_parsed() {
        for (text, millis) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
            ("2 s", 2000),
            ("90s", 90_000),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn ambiguous_durations_are_refused() {
        for (text, why) in [
            ("30", "a duration needs a unit"),
            ("1h30", "a duration needs a unit"),
            ("-5s", "a duration cannot be negative"),
            ("", "`` is not a duration"),
            ("s", "`s` is not a duration"),
            ("1.5h", "`1.5h` is not a duration"),
            ("30S", "`30S` is not a duration"),
            ("5 parsecs", "`5 parsecs` is not a duration"),
            ("1m1h", "`1m1h` is not a duration"),
            ("1s1s", "`1s1s` is not a duration"),
            ("366d", "a duration is at most 365 days"),
            ("365d1ms", "a duration is at most 365 days"),
            ("99999999999999999999d", "a duration is at most 365 days"),
            ("\u{1b}[2J", "`\\u{1b}[2J` is not a duration"),
        ] {
            assert_eq!(parse(text).map_err(|error| error.to_string()), Err(why.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_durations_read_back(millis in 0..31_536_000_000_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,12}") {
            let _ = parse(&text);
        }
    }
}
