//! The result of judging one process.

use std::time::Duration;

use reaper_platform::{Pid, ProcId, Stat, Uid};

use crate::facts::Facts;
use crate::verdict::{Answer, Finding, Gate, Verdict};

/// The result of judging one process. Owns its data, so that it can outlive the inspection.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Which process.
    pub id: ProcId,
    /// Its `stat` when it was judged.
    pub stat: Stat,
    /// Its real user.
    pub uid: Option<Uid>,
    /// The name it is reported under, as the kernel gave it.
    pub program: Vec<u8>,
    /// Its program file, where that could be read.
    pub exe: Option<Vec<u8>>,
    /// The profiles whose program and marker matched.
    pub profiles: Vec<String>,
    /// The marker's name.
    pub marker: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The gate that decided.
    pub decided_by: Gate,
    /// Every gate's finding.
    pub findings: Vec<Finding>,
    /// The wrappers above it that are ended with it, innermost first.
    pub wrappers: Vec<Wrapper>,
    /// Wrappers above it that were seen running several marked programs: they count as hosts until they exit.
    pub hosts: Vec<ProcId>,
    /// The first process above it that is not a wrapper: its adopter, if it is an orphan.
    pub held_by: Option<Pid>,
    /// How long it has been seen orphaned.
    pub seen_for: Duration,
    /// Whether it is or may be a marked wrapper, so that its children must be inspected too.
    pub is_wrapper: bool,
}

/// A wrapper above an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// Which process.
    pub id: ProcId,
    /// The name it is reported under.
    pub program: Vec<u8>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// Its process group.
    pub group: Option<Pid>,
}

impl Judgement {
    /// The deciding gate's evidence.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.findings.iter().find(|f| f.gate == self.decided_by).map_or("", |f| f.evidence.as_str())
    }

    /// What the gates concluded, without how long is left to wait: equal for two judgements that mean the same.
    #[must_use]
    pub const fn conclusion(&self) -> (Verdict, Gate) {
        (self.verdict.without_time(), self.decided_by)
    }

    /// The answer of one gate.
    #[must_use]
    pub fn answer(&self, gate: Gate) -> Answer {
        self.findings.iter().find(|f| f.gate == gate).map_or(Answer::NotAsked, |f| f.answer)
    }

    /// Whether it belongs in the default report: orphans, unknown verdicts, and marked agents that a rule spares.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        let deliberate = matches!(self.decided_by, Gate::Unsupervised | Gate::Unclaimed | Gate::Unprotected);
        self.verdict != Verdict::Spare || (deliberate && self.answer(Gate::Marker) == Answer::Yes)
    }

    /// Whether it is an orphan apart from grace and unknown answers: the sightings of these are kept.
    #[must_use]
    pub const fn is_orphan(&self) -> bool {
        matches!(self.verdict, Verdict::Reap | Verdict::Wait(_))
    }
}

impl Wrapper {
    /// The wrapper whose facts these are.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        Self {
            id: facts.id,
            program: facts.stat.comm.clone(),
            rss_bytes: facts.stat.rss_bytes,
            group: facts.stat.pgrp,
        }
    }
}
