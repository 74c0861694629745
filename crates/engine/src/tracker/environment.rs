//! How the environments of processes could be read, and what that says of our own rights.
//!
//! Without environments no marker can be seen, and finding nothing would look like a clean machine. So each process that
//! was looked at counts for or against our ability to read, or for neither.

use reaper_platform::{Condition, EnvironScan, Why};

use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;
use reaper_policy::verdict::{Answer, Gate};

/// How the environment of one process could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// As `execve(2)` was given it.
    Intact,
    /// It was read and proves nothing: the process has overwritten it, or it is cut. That says nothing of our rights.
    Altered,
    /// There is none any more, because the process is on its way out; or none was asked for.
    None,
    /// The system withholds it from every user, which says nothing of our rights either.
    Withheld,
    /// Not at all, but the process is protected by what else could be read.
    Protected,
    /// Not at all.
    Unread,
    /// Not within the time limit.
    Slow,
}

impl Environment {
    /// How the environment of a judged process could be read, of which `first` was the first reading.
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

    /// The same of a process that could not be looked at, for this reason.
    #[must_use]
    pub const fn unread(why: &Why) -> Self {
        match why {
            Why::Slow(_) => Self::Slow,
            _ => Self::Unread,
        }
    }
}

/// How many environments could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readings {
    /// How many could be read.
    pub read: usize,
    /// How many could not, although nothing but our rights explains that.
    pub unread: usize,
    /// How many could not be read as `execve(2)` was given them, whatever the reason.
    pub unreadable: usize,
}

impl Readings {
    /// Whether not one could be read, although there were some to read.
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
