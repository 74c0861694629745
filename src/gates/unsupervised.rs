//! Gate `unsupervised`: it is nobody's service.
//!
//! A service's main process has the service manager for its parent by design, and may carry the marker. So
//! do daemons that an agent leaves behind on purpose.

use reaper_platform::Pid;

use super::{Case, could_not};
use crate::config::Profile;
use crate::owner::SYSTEMD_EXEC_PID;
use crate::program::Names;
use crate::report::escape::escape;
use crate::verdict::{Answer, Finding, Gate};

const GATE: Gate = Gate::Unsupervised;

/// Asks it.
pub fn ask(case: &Case<'_>, profiles: &[&Profile]) -> Finding {
    let kept = keeps(case, profiles);
    if kept.answer != Answer::Yes {
        return kept;
    }
    let Some(chain) = case.chain else { return Finding::not_asked(GATE) };
    // The service's process may be a wrapper above the candidate.
    let line: Vec<Pid> = std::iter::once(case.facts.pid()).chain(chain.wrappers().map(|w| w.pid)).collect();
    let executed = case.facts.environ.as_ref().ok().and_then(|e| e.value(SYSTEMD_EXEC_PID.as_bytes()));
    if let Some(pid) = executed.and_then(Pid::parse).filter(|pid| line.contains(pid)) {
        return Finding::no(GATE, format!("the service manager started pid {pid} itself (SYSTEMD_EXEC_PID)"));
    }
    if let Some(main) = chain.end().and_then(|end| end.main_child.as_ref()) {
        match main {
            Ok(main) if line.contains(main) => {
                return Finding::no(GATE, format!("pid {main} is the one command of the container's init"));
            }
            Ok(_) => {}
            Err(why) => {
                return Finding::unknown(GATE, could_not("the children of the container's init", why));
            }
        }
    }
    match &case.facts.unit {
        Ok(_) => {}
        Err(why) => return Finding::unknown(GATE, could_not("its cgroup", why)),
    }
    let Some(finalist) = case.finalist else { return Finding::not_asked(GATE) };
    let (mut others, mut unsure) = (Vec::new(), None);
    for unit in &finalist.units {
        let unit = match unit {
            Ok(unit) => unit,
            Err(why) => {
                unsure.get_or_insert(why);
                continue;
            }
        };
        let own = |pid: &Option<Pid>| pid.filter(|p| line.contains(p));
        let name = escape(unit.unit.name.as_bytes());
        if let Some(pid) = own(&unit.main).or_else(|| own(&unit.control)) {
            return Finding::no(GATE, format!("pid {pid} is the main process of {name}"));
        }
        let main = unit.main.map_or_else(|| "none".to_owned(), |p| format!("pid {p}"));
        others.push(format!("the main process of {name} is another: {main}"));
    }
    if let Some(why) = unsure {
        return Finding::unknown(GATE, format!("its service's main process is not known: {why}"));
    }
    if others.is_empty() {
        Finding::yes(GATE, "it is in no service")
    } else {
        Finding::yes(GATE, others.join("; "))
    }
}

/// The part that needs nothing but the process itself: was it started to outlive its launcher?
pub fn keeps(case: &Case<'_>, profiles: &[&Profile]) -> Finding {
    let identity = case.facts.identity();
    let Ok(argv) = &case.facts.argv else {
        let why = case.facts.argv.as_ref().err().map(ToString::to_string).unwrap_or_default();
        return Finding::unknown(GATE, format!("its arguments cannot be read: {why}"));
    };
    let names = Names::of(&identity);
    let rules = case.policy.keep_args().iter().chain(profiles.iter().flat_map(|p| &p.keep_args));
    if let Some(rule) = rules.clone().find(|rule| rule.matches(&names, argv)) {
        return Finding::no(
            GATE,
            format!("`{rule}` among its arguments: a daemon that was started on purpose"),
        );
    }
    if let Ok(environ) = &case.facts.environ {
        let said =
            |m: &&crate::config::Marker| environ.value(m.name.as_bytes()).is_some_and(|v| m.accepts(v));
        if let Some(marker) = case.policy.keep_env().iter().find(said) {
            return Finding::no(GATE, format!("{}: a daemon that was started on purpose", marker.name));
        }
    }
    Finding::yes(GATE, "it is no daemon that an agent started on purpose")
}
