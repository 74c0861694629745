//! Whether the environments of processes could be read, and what follows about reaper's own rights.
//!
//! Without environments no marker can be seen, and an empty result would look like a clean machine. So each examined
//! process counts as evidence for or against our ability to read, or as neither.

use reaper_platform::{Condition, EnvironScan, Why};

use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;
use reaper_policy::verdict::{Answer, Gate};

/// The result of reading the environment of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Read, as it was passed to `execve(2)`.
    Intact,
    /// Read, but overwritten by the process or truncated: proves nothing, and is no evidence about our rights.
    Altered,
    /// Not available because the process is exiting, or not requested.
    None,
    /// Withheld by the system from every user; no evidence about our rights either.
    Withheld,
    /// Unreadable, but the process is protected by other facts.
    Protected,
    /// Unreadable.
    Unread,
    /// Not read within the time limit.
    Slow,
}

impl Environment {
    /// The result for a judged process whose first reading was `first`.
    #[must_use]
    pub fn of(first: &Fact<EnvironScan>, judgement: &Judgement) -> Self {
        match first {
            _ if !judgement.stat.has_memory => Self::None,
            Ok(scan) if scan.condition == Condition::Intact => Self::Intact,
            Ok(_) => Self::Altered,
            Err(Why::Withheld) => Self::Withheld,
            Err(_) if judgement.answer(Gate::Unprotected) == Answer::No => Self::Protected,
            Err(_) => Self::Unread,
        }
    }

    /// The result for a process that could not be inspected, for this reason.
    #[must_use]
    pub const fn unread(why: &Why) -> Self {
        match why {
            Why::Slow(_) => Self::Slow,
            _ => Self::Unread,
        }
    }
}

/// Counts of environment readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readings {
    /// The number that could be read.
    pub read: usize,
    /// The number that could not, with missing rights as the only explanation.
    pub unread: usize,
    /// The number that could not be read intact, whatever the reason.
    pub unreadable: usize,
}

impl Readings {
    /// Whether none could be read, although there were some to read.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        self.unread > 0 && self.read == 0
    }
}

impl FromIterator<Environment> for Readings {
    fn from_iter<I: IntoIterator<Item = Environment>>(environments: I) -> Self {
        let mut all = Self::default();
        for environment in environments {
            let (read, unread, unreadable) = match environment {
                Environment::Intact => (1, 0, 0),
                Environment::Altered => (1, 0, 1),
                Environment::None => (0, 0, 0),
                Environment::Withheld | Environment::Protected => (0, 0, 1),
                Environment::Unread | Environment::Slow => (0, 1, 1),
            };
            all.read += read;
            all.unread += unread;
            all.unreadable += unreadable;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_our_rights_explain_makes_blind() {
        use Environment::{Altered, Intact, None, Protected, Slow, Unread, Withheld};
        let count = |all: &[Environment]| all.iter().copied().collect::<Readings>();
        assert_eq!(count(&[]), Readings::default());
        assert!(!count(&[]).is_blind(), "nothing was there to be read");
        assert!(!count(&[None, Withheld, Protected]).is_blind());
        assert!(count(&[None, Withheld, Protected, Unread]).is_blind());
        assert!(count(&[Slow]).is_blind());
        assert!(!count(&[Unread, Intact]).is_blind());
        assert!(!count(&[Unread, Altered]).is_blind(), "it was overwritten by the process itself");
        let all = count(&[Intact, Altered, None, Withheld, Protected, Unread, Slow]);
        assert_eq!(all, Readings { read: 2, unread: 2, unreadable: 5 });
    }
}
