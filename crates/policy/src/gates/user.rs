//! Gate `user`: only processes whose user ids are all ours and that are in our PID namespace.
//!
//! A process with one foreign user id (a setuid program) has another user's rights, and one in another PID namespace
//! belongs to a container: reaper judges neither.

use reaper_platform::Scope;

use crate::case::{Case, could_not};
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::User;

/// Evaluates the gate.
pub fn ask(case: &Case<'_>) -> Finding {
    let ids = match &case.facts.ids {
        Ok(ids) => ids,
        Err(why) => return Finding::unknown(GATE, could_not("its user", why)),
    };
    if ids.real != ids.effective || ids.effective != ids.saved {
        let (real, effective, saved) = (ids.real, ids.effective, ids.saved);
        return Finding::no(GATE, format!("uids differ: real {real}, effective {effective}, saved {saved}"));
    }
    if !case.own.scope.holds(ids.real) {
        return match case.own.scope {
            Scope::User(ours) => Finding::no(GATE, format!("uid {}, ours is {ours}", ids.real)),
            Scope::Everyone => Finding::no(GATE, format!("uid {}", ids.real)),
        };
    }
    if let Some(tree_context) = case.how.tree_context()
        && tree_context.uid != Some(ids.real)
    {
        return Finding::no(GATE, format!("uid {}, not the user of the orphan that it belongs to", ids.real));
    }
    if !ids.same_pid_namespace {
        return Finding::no(GATE, format!("uid {}, in another PID namespace", ids.real));
    }
    Finding::yes(GATE, format!("uid {}", ids.real))
}
