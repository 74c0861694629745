//! The vocabulary of the audit log and the reports for decisions and outcomes, as types.
//!
//! The types of the policy crate do not depend on JSON, so each has a counterpart here with serialisation. A word is
//! the variant's name in kebab case: `NotAsked` is `not-asked`.

use std::fmt;

use reaper_policy::{escalation, plan, verdict};
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// A word that was read: one that this version knows, or any other text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// A word of this version.
    Known(T),
    /// Any other.
    Other(String),
}

impl<T: PartialEq> Word<T> {
    /// Whether it is this one.
    pub fn is(&self, word: T) -> bool {
        matches!(self, Self::Known(known) if *known == word)
    }
}

impl<T> Word<T> {
    /// The same word, with an unknown text mapped by `change`.
    #[must_use]
    pub fn map_other(self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Other(text) => Self::Other(change(&text)),
            known => known,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T> Default for Word<T> {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl<T: Serialize> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known: Result<T, Error> = T::deserialize(text.as_str().into_deserializer());
        Ok(known.map_or(Self::Other(text), Self::Known))
    }
}

/// Makes a type the counterpart of another with variants of the same names, and displays it as it is spelt in JSON.
macro_rules! counterpart {
    ($name:ident of $of:ty: $($variant:ident)+) => {
        impl From<$of> for $name {
            fn from(it: $of) -> Self {
                match it {
                    $(<$of>::$variant => Self::$variant,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    };
}

/// A gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is explained at its counterpart")]
pub enum Gate {
    User,
    Program,
    Orphan,
    Marker,
    Unsupervised,
    Unclaimed,
    Unprotected,
    Grace,
}

counterpart!(Gate of verdict::Gate: User Program Orphan Marker Unsupervised Unclaimed Unprotected Grace);

/// A gate's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is explained at its counterpart")]
pub enum Answer {
    Yes,
    No,
    Unknown,
    NotAsked,
}

counterpart!(Answer of verdict::Answer: Yes No Unknown NotAsked);

/// A target's role in the tree of its orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is explained at its counterpart")]
pub enum Role {
    Root,
    Wrapper,
    Descendant,
    GroupMember,
    Successor,
}

counterpart!(Role of plan::Role: Root Wrapper Descendant GroupMember Successor);

/// A target's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is explained at its counterpart")]
pub enum Outcome {
    Exited,
    Killed,
    Gone,
    Spared,
    Denied,
    Survived,
    Interrupted,
    /// A signal was announced and no outcome was written: reaper was killed or crashed in between.
    Unfinished,
}

counterpart!(Outcome of escalation::Outcome: Exited Killed Gone Spared Denied Survived Interrupted);

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "each is explained at its counterpart")]
pub enum Signal {
    Term,
    Cont,
    Kill,
}

counterpart!(Signal of reaper_platform::Signal: Term Cont Kill);

/// The kind of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A signal is about to be sent.
    Intent,
    /// A target's outcome.
    Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_only_ours_are_known() {
        for (text, is_known) in
            [("not-asked", true), ("yes", true), ("NotAsked", false), ("", false), ("maybe", false)]
        {
            let json = format!("\"{text}\"");
            let word: Word<Answer> = serde_json::from_str(&json).unwrap();
            assert_eq!(matches!(word, Word::Known(_)), is_known, "{text}");
            assert_eq!((word.to_string(), serde_json::to_string(&word).unwrap()), (text.to_owned(), json));
        }
        for no_word in ["1", "null", "[\"yes\"]", "{\"yes\":null}"] {
            assert!(serde_json::from_str::<Word<Answer>>(no_word).is_err(), "{no_word}");
        }
    }

    #[test]
    fn both_counterparts_are_spelt_alike() {
        for gate in verdict::Gate::ALL {
            assert_eq!(Gate::from(gate).to_string(), gate.name());
        }
        for signal in
            [reaper_platform::Signal::Term, reaper_platform::Signal::Cont, reaper_platform::Signal::Kill]
        {
            assert_eq!(Signal::from(signal).to_string(), signal.to_string());
        }
        let outcome = escalation::Outcome::Interrupted;
        assert_eq!(Outcome::from(outcome).to_string(), outcome.name());
        assert_eq!(format!("{:<13}|", Gate::Orphan), "orphan       |", "and padded");
        assert_eq!(Role::from(plan::Role::GroupMember).to_string(), "group-member");
    }
}
