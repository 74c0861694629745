//! Gate `unprotected`: neither reaper, nor an ancestor of it, nor a protected program.
//!
//! Protection works in both directions. The descendants of a protected process are left alone: the tree is not followed
//! below it. And a protected process spares the process it descends from where ending that would end it as well.

use reaper_platform::Condition;

use crate::case::Case;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::profile::{Profile, Programs};
use crate::verdict::{Finding, Gate};
use reaper_lease::KEEP;

const GATE: Gate = Gate::Unprotected;

/// Evaluates the gate; `profiles` are those whose program and marker match.
pub fn ask(case: &Case<'_>, profiles: &[&Profile]) -> Finding {
    let wrappers = case.chain.into_iter().flat_map(|c| c.wrappers());
    if let Some(pid) = std::iter::once(case.facts.pid())
        .chain(wrappers.map(|w| w.pid))
        .find(|pid| case.own.lineage.contains(pid))
    {
        return Finding::no(GATE, format!("pid {pid} is this reaper or one of its ancestors"));
    }
    if !case.own.lineage_complete && case.chain.is_some_and(|c| c.hidden_child) {
        return Finding::unknown(
            GATE,
            "it has a child that cannot be seen, and may be our ancestor through it",
        );
    }
    if let Some(found) = protected_by(case.policy, case.facts, profiles) {
        return Finding::no(GATE, format!("{found}, is never touched"));
    }
    let own = match &case.facts.environ {
        Ok(environ) if environ.condition != Condition::Intact => {
            Finding::unknown(GATE, "whether it asked to be kept cannot be told: its environment was damaged")
        }
        Ok(environ) => match environ.get(KEEP.as_bytes()) {
            None => Finding::yes(GATE, "neither protected nor opted out"),
            Some(_) if environ.value(KEEP.as_bytes()).is_some_and(says_no) => {
                Finding::yes(GATE, format!("{KEEP} is switched off"))
            }
            Some(_) => return Finding::no(GATE, format!("{KEEP} is set: it asked to be kept")),
        },
        // The marker gate has reported this already; nothing is ended without a readable environment.
        Err(_) => Finding::unknown(GATE, "whether it asked to be kept cannot be read"),
    };
    let Some(guards) = case.guards else {
        return Finding::not_asked(GATE);
    };
    if let Some(scope) = &guards.own_scope {
        return Finding::no(GATE, format!("the desktop made {scope} for it"));
    }
    let mut unsure = None;
    for (guard, doubt) in [
        (&guards.listens, "whether it accepts connections cannot be told"),
        (&guards.below, "whether anything below it is protected cannot be told"),
    ] {
        match guard {
            Some(Ok(Some(what))) => return Finding::no(GATE, what.clone()),
            Some(Err(why)) => {
                unsure.get_or_insert(format!("{doubt}: {why}"));
            }
            Some(Ok(None)) | None => {}
        }
    }
    unsure.map_or(own, |words| Finding::unknown(GATE, words))
}

/// The protected program that a process is, in words.
#[must_use]
pub fn protected_by(policy: &Policy, facts: &Facts, profiles: &[&Profile]) -> Option<String> {
    let identity = facts.identity();
    if let Some(found) = policy.protected(&identity) {
        return Some(found.to_string());
    }
    let is_any = profiles.iter().any(|p| p.programs == Programs::Any);
    let argv = facts.argv.as_deref().unwrap_or_default();
    policy.protected_in_any(&identity, argv).filter(|_| is_any).map(|found| found.to_string())
}

/// Whether a process asked to be kept, as far as its environment can be read and trusted.
#[must_use]
pub fn asked_to_be_kept(facts: &Facts) -> bool {
    facts.environ.as_ref().is_ok_and(|environ| {
        environ.condition == Condition::Intact
            && environ.get(KEEP.as_bytes()).is_some()
            && !environ.value(KEEP.as_bytes()).is_some_and(says_no)
    })
}

fn says_no(value: &[u8]) -> bool {
    [&b""[..], b"0", b"false", b"no", b"off"].iter().any(|no| value.eq_ignore_ascii_case(no))
}
