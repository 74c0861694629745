//! Gate `program`: only programs that a profile names.

use reaper_platform::Condition;

use crate::case::{Capacity, Case, could_not};
use crate::escape::escape;
use crate::profile::{Profile, Programs};
use crate::program::Names;
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Program;

/// Evaluates the gate; also returns the profiles that list the program.
///
/// A profile for any program admits only a process whose environment can be read and trusted: the marker is the only
/// evidence there, and treating every unreadable process as a candidate would drown the real findings.
pub fn ask<'a>(case: &Case<'a>) -> (Finding, Vec<&'a Profile>) {
    if let Capacity::GroupMember(tree_context) = case.how {
        let profiles = case
            .policy
            .profiles
            .iter()
            .filter(|p| tree_context.profiles.iter().any(|name| *name == p.name))
            .collect();
        return (Finding::yes(GATE, "any program, in the process group of an orphan"), profiles);
    }
    let identity = case.facts.identity();
    let names = Names::of(&identity);
    let argv = identity.argv.unwrap_or_default();
    let readable = case.facts.environ.as_ref().is_ok_and(|e| e.condition == Condition::Intact);
    let mut profiles = Vec::new();
    let mut evidence = None;
    for profile in &case.policy.profiles {
        match &profile.programs {
            Programs::Any if readable => profiles.push(profile),
            Programs::Any => {}
            named @ Programs::Named(_) => {
                if let Some((_, found)) = named.find(&names, argv) {
                    evidence.get_or_insert_with(|| found.to_string());
                    profiles.push(profile);
                }
            }
        }
    }
    let finding = match (evidence, profiles.is_empty()) {
        (Some(evidence), _) => Finding::yes(GATE, evidence),
        (None, false) => {
            Finding::yes(GATE, format!("{} is named by no profile, but any may be marked", shown(&names)))
        }
        // Its arguments might have given a name: an interpreter's script, a title.
        (None, true) if let Err(why) = &case.facts.argv => {
            Finding::unknown(GATE, could_not("its arguments", why))
        }
        (None, true) => Finding::no(GATE, format!("{} is in no profile in use", shown(&names))),
    };
    (finding, profiles)
}

fn shown(names: &Names<'_>) -> String {
    let shown: Vec<String> = names.iter().map(|n| format!("`{}`", escape(n.bytes))).collect();
    if shown.is_empty() { "an interpreter".to_owned() } else { shown.join(", ") }
}
