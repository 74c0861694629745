//! What went wrong lately, each thing once.
//!
//! A full disk fails at every look. The log gets it once an hour, `reaper status` shows it with its last time.

use std::collections::VecDeque;
use std::time::Duration;

use reaper_platform::Clock;

use crate::report::status::Trouble;
use reaper_engine::format;

/// How many are remembered.
const LIMIT: usize = 10;
/// How long one that goes on is not said again.
const QUIET: Duration = Duration::from_secs(3600);

/// The last troubles, newest last.
#[derive(Debug, Default)]
pub struct Troubles {
    all: VecDeque<(Trouble, Duration)>,
}

impl Troubles {
    /// Takes one in; says whether it is news.
    pub fn note(&mut self, what: &str, clock: &Clock) -> bool {
        let before = self.all.iter().position(|(trouble, _)| trouble.what == what);
        let said = before.and_then(|at| self.all.remove(at)).map(|(_, said)| said);
        let is_news = said.is_none_or(|said| clock.monotonic >= said + QUIET);
        if self.all.len() == LIMIT {
            self.all.pop_front();
        }
        let said = said.filter(|_| !is_news).unwrap_or(clock.monotonic);
        self.all.push_back((Trouble { at: format::time(clock.realtime), what: what.to_owned() }, said));
        is_news
    }

    /// All of them, newest last.
    pub fn iter(&self) -> impl Iterator<Item = &Trouble> {
        self.all.iter().map(|(trouble, _)| trouble)
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
        let mut troubles = Troubles::default();
        let said = (0..7200).step_by(5).filter(|s| troubles.note("the disk is full", &at(*s))).count();
        assert_eq!(said, 2);
        assert_eq!(troubles.iter().count(), 1);
        assert_eq!(troubles.iter().next().unwrap().at, "1970-01-01T01:59:55.000Z");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut troubles = Troubles::default();
        for n in 0..15 {
            assert!(troubles.note(&n.to_string(), &at(1)));
        }
        troubles.note("7", &at(2));
        let kept: Vec<_> = troubles.iter().map(|t| t.what.as_str()).collect();
        assert_eq!(kept, ["5", "6", "8", "9", "10", "11", "12", "13", "14", "7"]);
    }
}
