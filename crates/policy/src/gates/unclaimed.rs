//! Gate `unclaimed`: it has no live owner.
//!
//! A background helper whose shell has exited looks like any orphan while its agent still waits for it. Any live owner
//! spares it; an owner that cannot be checked makes the answer unknown.

use crate::case::{Case, Claim, Leader, Liveness};
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Unclaimed;

/// Evaluates the gate.
pub fn ask(case: &Case<'_>) -> Finding {
    let Some(claims) = case.claims else { return Finding::not_asked(GATE) };
    let mut unsure = None;
    let mut dead = Vec::new();
    let mut adopted_by_agent = false;
    for claim in claims {
        match claim {
            Claim::Lease(pid, Ok(Liveness::Alive)) => {
                return Finding::no(GATE, format!("its owner, pid {pid} in REAPER_OWNER, is alive"));
            }
            Claim::Lease(pid, Ok(Liveness::Dead)) => dead.push(format!("its owner, pid {pid}, is dead")),
            Claim::Lease(pid, Err(why)) => {
                unsure.get_or_insert(format!("whether its owner, pid {pid}, lives cannot be told: {why}"));
            }
            Claim::OwnerPid(name, pid, Ok(Liveness::Alive)) => {
                return Finding::no(GATE, format!("its owner, pid {pid} in {name}, is alive"));
            }
            Claim::OwnerPid(name, pid, Ok(Liveness::Dead)) => {
                dead.push(format!("its owner, pid {pid} in {name}, is dead"));
            }
            Claim::OwnerPid(name, pid, Err(why)) => {
                unsure.get_or_insert(format!("whether pid {pid} in {name} lives cannot be told: {why}"));
            }
            Claim::Unreadable(name) => {
                unsure.get_or_insert(format!("{name} is there and cannot be understood"));
            }
            Claim::Leader(what, pid, Ok(Leader::Stays(why))) => {
                return Finding::no(
                    GATE,
                    format!("the leader of its {what}, pid {pid}, is marked and no orphan: {why}"),
                );
            }
            Claim::Leader(_, _, Ok(Leader::Gone | Leader::Unmarked | Leader::Goes)) => {}
            Claim::Leader(what, pid, Err(why)) => {
                unsure.get_or_insert(format!("the leader of its {what}, pid {pid}, cannot be read: {why}"));
            }
            Claim::Init(Ok(Leader::Stays(_))) => adopted_by_agent = true,
            Claim::Init(Ok(_)) => {}
            Claim::Init(Err(why)) => {
                unsure.get_or_insert(format!(
                    "whether PID 1, which has it now, is its owner cannot be told: {why}"
                ));
            }
            Claim::Agent(pid, Ok(Leader::Stays(_))) => {
                return Finding::no(
                    GATE,
                    format!("the agent that it was last seen below, pid {pid}, is alive"),
                );
            }
            Claim::Agent(pid, Ok(_)) => {
                dead.push(format!(
                    "the agent that it was last seen below, pid {pid}, does not own it any more"
                ));
            }
            Claim::Agent(pid, Err(why)) => {
                unsure.get_or_insert(format!("whether its agent, pid {pid}, lives cannot be told: {why}"));
            }
        }
    }
    let Some(slow_facts) = case.slow_facts else {
        // Owners already found stand; the facts not yet read can only add one.
        return unsure.map_or_else(|| Finding::not_asked(GATE), |words| Finding::unknown(GATE, words));
    };
    match &slow_facts.holder {
        Some(Ok(Some((pid, why)))) => {
            return Finding::no(
                GATE,
                format!("pid {pid}, which is no orphan, holds the same owner value: {why}"),
            );
        }
        Some(Ok(None)) => dead.push("no live process that stays holds its owner value".to_owned()),
        Some(Err(why)) => {
            unsure.get_or_insert(format!("whether its owner lives cannot be told: {why}"));
        }
        None => {}
    }
    // An agent that is a container's first process adopts what its own shells put into the background, and may wait for
    // it. Only another owner that is known to be dead rules that out.
    if adopted_by_agent && dead.is_empty() {
        return Finding::no(GATE, "PID 1, which has it now, is a marked agent and alive");
    }
    match unsure {
        Some(words) => Finding::unknown(GATE, words),
        None if dead.is_empty() => Finding::yes(GATE, "no owner was found alive"),
        None => Finding::yes(GATE, dead.join("; ")),
    }
}
