//! The types of a decision: gates, answers, findings and the verdict they add up to.

use std::fmt;
use std::time::Duration;

/// The gates, in the order in which they are evaluated: cheap ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Is it ours, in every one of its user ids, and in our PID namespace?
    User,
    /// Is its program in a profile?
    Program,
    /// Did its parent die, so that an adopter has it?
    Orphan,
    /// Does its own environment carry the profile's marker?
    Marker,
    /// Is it neither a service nor a daemon that was started on purpose?
    Unsupervised,
    /// Does it have no live owner?
    Unclaimed,
    /// Is it not a protected process?
    Unprotected,
    /// Has it been seen orphaned for long enough?
    Grace,
}

impl Gate {
    /// All gates, in order.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Program,
        Self::Orphan,
        Self::Marker,
        Self::Unsupervised,
        Self::Unclaimed,
        Self::Unprotected,
        Self::Grace,
    ];

    /// The gate's public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Program => "program",
            Self::Orphan => "orphan",
            Self::Marker => "marker",
            Self::Unsupervised => "unsupervised",
            Self::Unclaimed => "unclaimed",
            Self::Unprotected => "unprotected",
            Self::Grace => "grace",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a gate answered. `Yes` always speaks for ending the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It passes.
    Yes,
    /// It does not pass: the process is spared, or waits when the gate is [`Gate::Grace`].
    No,
    /// Unknown. Never leads to a signal.
    Unknown,
    /// Not evaluated, because an earlier gate decided.
    NotAsked,
}

/// One gate's answer and its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Finding {
    /// The gate.
    pub gate: Gate,
    /// The answer.
    pub answer: Answer,
    /// The evidence in words; strings of other programs are escaped.
    pub evidence: String,
}

impl Finding {
    /// The gate passes.
    pub fn yes(gate: Gate, evidence: impl Into<String>) -> Self {
        Self { gate, answer: Answer::Yes, evidence: evidence.into() }
    }

    /// The gate does not pass.
    pub fn no(gate: Gate, evidence: impl Into<String>) -> Self {
        Self { gate, answer: Answer::No, evidence: evidence.into() }
    }

    /// The answer is unknown.
    pub fn unknown(gate: Gate, evidence: impl Into<String>) -> Self {
        Self { gate, answer: Answer::Unknown, evidence: evidence.into() }
    }

    /// The gate was not evaluated.
    pub fn not_asked(gate: Gate) -> Self {
        Self { gate, answer: Answer::NotAsked, evidence: String::new() }
    }
}

/// What to do with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// End it. The only verdict that can lead to a signal.
    Reap,
    /// An orphan whose grace period is not over; the time that is left.
    Wait(Duration),
    /// Leave it alone.
    Spare,
    /// A fact that matters is unknown: leave it alone and report that.
    Unknown,
}

impl Verdict {
    /// The verdict without how long is left to wait: for comparing what two judgements came to.
    #[must_use]
    pub const fn without_time(self) -> Self {
        match self {
            Self::Wait(_) => Self::Wait(Duration::ZERO),
            other => other,
        }
    }

    /// The verdict's public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reap => "reap",
            Self::Wait(_) => "wait",
            Self::Spare => "spare",
            Self::Unknown => "unknown",
        }
    }
}

/// Combines findings into a verdict. One `no` spares, whatever is unknown; otherwise one `unknown` forbids; a gate that
/// is missing or not asked counts as unknown, so that a forgotten gate cannot let anything through.
#[must_use]
pub fn add_up(findings: &[Finding], grace_left: Duration) -> (Verdict, Gate) {
    let first =
        |answer| findings.iter().find(|f| f.answer == answer && f.gate != Gate::Grace).map(|f| f.gate);
    let grace = findings.iter().find(|f| f.gate == Gate::Grace).map(|f| f.answer);
    let missing = Gate::ALL.into_iter().find(|g| !findings.iter().any(|f| f.gate == *g));
    if let Some(gate) = first(Answer::No) {
        (Verdict::Spare, gate)
    } else if let Some(gate) = first(Answer::Unknown).or_else(|| first(Answer::NotAsked)).or(missing) {
        (Verdict::Unknown, gate)
    } else {
        match grace {
            Some(Answer::Yes) => (Verdict::Reap, Gate::Grace),
            Some(Answer::No) => (Verdict::Wait(grace_left), Gate::Grace),
            _ => (Verdict::Unknown, Gate::Grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn findings(answers: &[Answer; 8]) -> Vec<Finding> {
        Gate::ALL
            .into_iter()
            .zip(answers)
            .map(|(gate, answer)| Finding { gate, answer: *answer, evidence: String::new() })
            .collect()
    }

    #[test]
    fn a_forgotten_gate_lets_nothing_through() {
        let all = findings(&[Answer::Yes; 8]);
        assert_eq!(add_up(&all, Duration::ZERO).0, Verdict::Reap);
        for left_out in 0..8 {
            let mut some = all.clone();
            let _ = some.remove(left_out);
            assert_eq!(add_up(&some, Duration::ZERO).0, Verdict::Unknown, "without gate {left_out}");
        }
        assert_eq!(add_up(&[], Duration::ZERO).0, Verdict::Unknown);
    }

    proptest! {
        #[test]
        fn only_eight_times_yes_is_reap(raw in proptest::array::uniform8(0usize..4)) {
            let kinds = [Answer::Yes, Answer::No, Answer::Unknown, Answer::NotAsked];
            let answers = raw.map(|i| kinds[i]);
            let (verdict, _) = add_up(&findings(&answers), Duration::from_secs(9));
            prop_assert_eq!(verdict == Verdict::Reap, answers == [Answer::Yes; 8]);
            if answers[..7].contains(&Answer::No) {
                prop_assert_eq!(verdict, Verdict::Spare);
            }
        }
    }
}
