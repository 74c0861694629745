//! The last errors, without repetitions.
//!
//! A full disk fails at every sweep: it is logged once an hour, and `reaper status` shows it with its last time.

use std::collections::VecDeque;
use std::time::Duration;

use reaper_platform::Clock;

/// How many errors are kept.
const LIMIT: usize = 10;
/// How long a repeated error is not logged again.
const QUIET: Duration = Duration::from_secs(3600);

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentError {
    /// The last time that it occurred, since 1970.
    pub at: Duration,
    /// The message.
    pub what: String,
}

/// The last errors, newest last, each with the monotonic time at which it was logged.
#[derive(Debug, Default)]
pub struct RecentErrors {
    all: VecDeque<(RecentError, Duration)>,
}

impl RecentErrors {
    /// Records an error; returns whether it should be logged.
    pub fn note(&mut self, what: &str, clock: &Clock) -> bool {
        let before = self.all.iter().position(|(error, _)| error.what == what);
        let said = before.and_then(|at| self.all.remove(at)).map(|(_, said)| said);
        let is_news = said.is_none_or(|said| clock.monotonic >= said + QUIET);
        if self.all.len() == LIMIT {
            self.all.pop_front();
        }
        let said = said.filter(|_| !is_news).unwrap_or(clock.monotonic);
        self.all.push_back((RecentError { at: clock.realtime, what: what.to_owned() }, said));
        is_news
    }

    /// The errors, newest last.
    pub fn iter(&self) -> impl Iterator<Item = &RecentError> {
        self.all.iter().map(|(error, _)| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Clock {
        let t = Duration::from_secs(seconds);
        Clock { monotonic: t, boottime: t, realtime: t }
    }

    #[test]
    fn r11_what_goes_on_failing_is_said_once_an_hour() {
        let mut errors = RecentErrors::default();
        let said = (0..7200).step_by(5).filter(|s| errors.note("the disk is full", &at(*s))).count();
        assert_eq!(said, 2);
        assert_eq!(errors.iter().count(), 1);
        assert_eq!(errors.iter().next().unwrap().at, Duration::from_secs(7195));
    }

    #[test]
    fn the_newest_are_kept() {
        let mut errors = RecentErrors::default();
        for n in 0..15 {
            assert!(errors.note(&n.to_string(), &at(1)));
        }
        errors.note("7", &at(2));
        let kept: Vec<_> = errors.iter().map(|e| e.what.as_str()).collect();
        assert_eq!(kept, ["5", "6", "8", "9", "10", "11", "12", "13", "14", "7"]);
    }
}
