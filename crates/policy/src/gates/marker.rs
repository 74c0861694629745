//! Gate `marker`: provenance, proven by the process's own environment block alone.

use reaper_platform::{Condition, EnvironScan, Found};

use crate::case::{Case, could_not};
use crate::profile::{Marker, Profile, Programs};
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Marker;

/// Evaluates the gate for the profiles that list the program; also returns those whose marker is set.
pub fn ask<'a>(case: &Case<'_>, named: &[&'a Profile]) -> (Finding, Vec<&'a Profile>) {
    if named.is_empty() {
        return (Finding::not_asked(GATE), Vec::new());
    }
    let environ = match &case.facts.environ {
        Ok(environ) => environ,
        Err(why) => return (Finding::unknown(GATE, could_not("its environment", why)), Vec::new()),
    };
    if let Condition::Garbled(how) = environ.condition {
        return (Finding::unknown(GATE, format!("{how}, so the marker proves nothing")), Vec::new());
    }
    let marked: Vec<&Profile> = named.iter().copied().filter(|p| carries(p, environ)).collect();
    if let Some(first) = marked.first().and_then(|p| shown(p, environ)) {
        return (Finding::yes(GATE, format!("{first} is in its environment")), marked);
    }
    let wanted = named.iter().flat_map(|p| p.markers.iter());
    if let Some(odd) = wanted.clone().find(|m| environ.get(m.name.as_bytes()) == Some(&Found::Contradictory))
    {
        return (
            Finding::unknown(GATE, format!("{} is there twice, with different values", odd.name)),
            Vec::new(),
        );
    }
    let required = || named.iter().filter(|p| p.markers.iter().any(|m| accepted(m, environ)));
    if let Some(lacking) = required().flat_map(|p| p.require.iter()).find(|m| !accepted(m, environ)) {
        return (Finding::no(GATE, format!("{} is missing beside the marker", lacking.name)), Vec::new());
    }
    if let Some(refused) = wanted.clone().find(|m| environ.get(m.name.as_bytes()).is_some()) {
        return (Finding::no(GATE, format!("{} has a value that does not count", refused.name)), Vec::new());
    }
    let unnamed = named.iter().all(|p| p.programs == Programs::Any);
    let mut names: Vec<&str> = wanted.map(|m| &*m.name).collect();
    names.dedup();
    let words = match names.as_slice() {
        [one] if unnamed => format!("no profile names it, and {one} is not in its environment"),
        [one] => format!("{one} is not in its environment"),
        few @ ([_, _] | [_, _, _]) => format!("none of {} is in its environment", few.join(", ")),
        _ => "no profile's marker is in its environment".to_owned(),
    };
    (Finding::no(GATE, words), Vec::new())
}

/// Whether an intact environment has every variable that a profile requires.
#[must_use]
pub fn carries(profile: &Profile, environ: &EnvironScan) -> bool {
    environ.condition == Condition::Intact
        && profile.markers.iter().any(|m| accepted(m, environ))
        && profile.require.iter().all(|m| accepted(m, environ))
}

/// The name of the marker that matched. The value is not returned: it may be a secret.
#[must_use]
pub fn shown<'a>(profile: &'a Profile, environ: &EnvironScan) -> Option<&'a str> {
    profile.markers.iter().find(|m| accepted(m, environ)).map(|m| &*m.name)
}

fn accepted(marker: &Marker, environ: &EnvironScan) -> bool {
    environ.value(marker.name.as_bytes()).is_some_and(|value| marker.accepts(value))
}
