//! The eight gates, evaluated in a fixed order; every answer is kept, so that any verdict can be explained.
//!
//! Everything here is pure: a [`Case`] holds what was read of one process and of those around it, and equal cases give
//! equal findings. Facts come in stages, cheap ones first; a gate whose stage has not been read answers `not-asked`,
//! which never lets anything through.

pub mod grace;
pub mod marker;
pub mod orphan;
pub mod program;
pub mod unclaimed;
pub mod unprotected;
pub mod unsupervised;
pub mod user;

use crate::case::{Capacity, Case, Needs};
use crate::profile::Profile;
use crate::verdict::{Answer, Finding, Gate, Verdict, add_up};

/// The result of judging a case.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// One finding for each gate, in order.
    pub findings: Vec<Finding>,
    /// The verdict they add up to.
    pub verdict: Verdict,
    /// The gate that decided.
    pub decided_by: Gate,
    /// The profiles whose program and marker both match; the first one is named in reports.
    pub profiles: Vec<&'a Profile>,
    /// The stage of facts that could still change the verdict; `None` when it is final.
    pub needs: Option<Needs>,
}

/// Evaluates every gate that the case has facts for.
#[must_use]
pub fn judge<'a>(case: &Case<'a>) -> Judged<'a> {
    let (program, named) = program::ask(case);
    let (marker, profiles) = match named.as_slice() {
        [] if case.how == Capacity::Explained => {
            let all: Vec<&Profile> = case.policy.profiles.iter().collect();
            (marker::ask(case, &all).0, Vec::new())
        }
        named => marker::ask(case, named),
    };
    let orphan = orphan::ask(case);
    // Grace applies to orphans only; for any other process the finding would be misleading.
    let grace = if orphan.answer == Answer::Yes { grace::ask(case) } else { Finding::not_asked(Gate::Grace) };
    let findings = vec![
        user::ask(case),
        program,
        orphan,
        marker,
        unsupervised::ask(case, &profiles),
        unclaimed::ask(case),
        unprotected::ask(case, &profiles),
        grace,
    ];
    let left = case.policy.grace.saturating_sub(case.past.seen_for);
    let (verdict, decided_by) = add_up(&findings, left);
    let needs = if verdict == Verdict::Spare && case.how != Capacity::Explained {
        None
    } else if case.chain.is_none() {
        Some(Needs::Chain)
    } else if case.claims.is_none() {
        Some(Needs::Claims)
    } else if case.slow_facts.is_none() {
        Some(Needs::SlowFacts)
    } else if case.guards.is_none() {
        Some(Needs::Guards)
    } else {
        None
    };
    let findings = if case.how == Capacity::Explained { findings } else { short(findings, verdict) };
    Judged { findings, verdict, decided_by, profiles, needs }
}

/// The gates that a descendant of an orphan must pass by itself: its parent is alive, so it is no orphan,
/// and it is ended as part of the tree or not at all.
#[must_use]
pub fn judge_member<'a>(case: &Case<'a>) -> Vec<Finding> {
    let profiles = case.how.tree_context().map_or(&[][..], |tree_context| tree_context.profiles);
    let candidates: Vec<&'a Profile> =
        case.policy.profiles.iter().filter(|p| profiles.iter().any(|name| *name == p.name)).collect();
    let (marker, _) = marker::ask(case, &candidates);
    // The protect and keep rules of these profiles hold whether or not the member carries their marker.
    vec![
        user::ask(case),
        marker,
        unsupervised::keeps(case.policy, case.facts, &candidates),
        unprotected::ask(case, &candidates),
    ]
}

/// Whether every one of a member's findings is `yes`.
#[must_use]
pub fn all_pass(findings: &[Finding]) -> bool {
    !findings.is_empty() && findings.iter().all(|f| f.answer == Answer::Yes)
}

/// Once a gate spares a process, later gates are reported as not asked, so that the report does not depend on how many
/// facts happened to be read.
fn short(mut findings: Vec<Finding>, verdict: Verdict) -> Vec<Finding> {
    if verdict == Verdict::Spare {
        let deciding = findings.iter().position(|f| f.answer == Answer::No).unwrap_or(findings.len());
        for later in findings.iter_mut().skip(deciding + 1) {
            if later.answer != Answer::No {
                *later = Finding::not_asked(later.gate);
            }
        }
    }
    findings
}
