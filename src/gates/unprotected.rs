//! Gate `unprotected`: not us, not an ancestor of ours, not one that is never touched.

use reaper_platform::Condition;

use super::Case;
use crate::owner::KEEP;
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Unprotected;

/// Asks it.
pub fn ask(case: &Case<'_>) -> Finding {
    let wrappers = case.chain.into_iter().flat_map(|c| c.wrappers());
    if let Some(pid) = std::iter::once(case.facts.pid())
        .chain(wrappers.map(|w| w.pid))
        .find(|pid| case.us.lineage.contains(pid))
    {
        return Finding::no(GATE, format!("pid {pid} is this reaper or one of its ancestors"));
    }
    if !case.us.lineage_complete && case.chain.is_some_and(|c| c.hidden_child) {
        return Finding::unknown(
            GATE,
            "it has a child that cannot be seen, and may be our ancestor through it",
        );
    }
    if let Some(found) = case.policy.protected(&case.facts.identity()) {
        return Finding::no(GATE, format!("{found}, is never touched"));
    }
    match &case.facts.environ {
        Ok(environ) if environ.condition != Condition::Intact => {
            Finding::unknown(GATE, "whether it asked to be kept cannot be told: its environment was damaged")
        }
        Ok(environ) => match environ.get(KEEP.as_bytes()) {
            // It may have asked before its environment was overwritten or cut short.
            None if environ.condition != Condition::Intact => {
                Finding::unknown(GATE, "whether it asked to be kept cannot be told any more")
            }
            None => Finding::yes(GATE, "neither protected nor opted out"),
            Some(_) if environ.value(KEEP.as_bytes()).is_some_and(says_no) => {
                Finding::yes(GATE, format!("{KEEP} is switched off"))
            }
            Some(_) => Finding::no(GATE, format!("{KEEP} is set: it asked to be kept")),
        },
        // The marker gate has said so already; without an environment nothing is ever ended.
        Err(_) => Finding::unknown(GATE, "whether it asked to be kept cannot be read"),
    }
}

fn says_no(value: &[u8]) -> bool {
    [&b""[..], b"0", b"false", b"no", b"off"].iter().any(|no| value.eq_ignore_ascii_case(no))
}
