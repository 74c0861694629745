//! The eight questions, asked in a fixed order; every answer is kept, so that any verdict can be explained.
//!
//! Everything here is pure: a [`Case`] holds what was read of one process and of those around it, and the
//! same case always gives the same findings. Facts come in stages, cheap ones first; a gate whose stage
//! has not been read answers `not-asked`, which never lets anything through.

pub mod grace;
pub mod marker;
pub mod orphan;
pub mod program;
pub mod unclaimed;
pub mod unprotected;
pub mod unsupervised;
pub mod user;

use crate::case::{Case, How, Needs};
use crate::profile::Profile;
use crate::verdict::{Answer, Finding, Gate, Verdict, add_up};

/// What the gates made of a case.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// One finding for each gate, in order.
    pub findings: Vec<Finding>,
    /// Their sum.
    pub verdict: Verdict,
    /// The gate that decided.
    pub decided_by: Gate,
    /// The profiles whose program and marker both match; the first one is named in reports.
    pub profiles: Vec<&'a Profile>,
    /// Facts that could still change the verdict.
    pub needs: Option<Needs>,
}

/// Asks every gate that the case has facts for.
#[must_use]
pub fn judge<'a>(case: &Case<'a>) -> Judged<'a> {
    let (program, named) = program::ask(case);
    let (marker, profiles) = match named.as_slice() {
        [] if case.how == How::Explained => {
            let all: Vec<&Profile> = case.policy.profiles.iter().collect();
            (marker::ask(case, &all).0, Vec::new())
        }
        named => marker::ask(case, named),
    };
    let orphan = orphan::ask(case);
    // Time counts for an orphan only; of any other process it would say something odd.
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
    let needs = if verdict == Verdict::Spare && case.how != How::Explained {
        None
    } else if case.chain.is_none() {
        Some(Needs::Chain)
    } else if case.claims.is_none() {
        Some(Needs::Claims)
    } else if case.finalist.is_none() {
        Some(Needs::Finalist)
    } else if case.guards.is_none() {
        Some(Needs::Guards)
    } else {
        None
    };
    let findings = if case.how == How::Explained { findings } else { short(findings, verdict) };
    Judged { findings, verdict, decided_by, profiles, needs }
}

/// The gates that a descendant of an orphan must pass by itself: its parent is alive, so it is no orphan,
/// and it is ended as part of the tree or not at all.
#[must_use]
pub fn judge_member<'a>(case: &Case<'a>) -> Vec<Finding> {
    let profiles = case.how.kin().map_or(&[][..], |kin| kin.profiles);
    let candidates: Vec<&'a Profile> =
        case.policy.profiles.iter().filter(|p| profiles.iter().any(|name| *name == p.name)).collect();
    let (marker, _) = marker::ask(case, &candidates);
    // What these profiles protect and keep, they do whether or not the member carries their marker.
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

/// Once something spares a process, later questions are idle: they are reported as not asked, so that
/// the report does not depend on how far the facts happened to be read.
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
