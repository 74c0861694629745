//! Gate `unsupervised`: no service manager runs it, and it is not a daemon that was started on purpose.
//!
//! A service's main process has the service manager as its parent by design and may carry the marker. The same holds
//! for daemons that an agent starts on purpose.

use reaper_platform::{Pid, UnitMain};

use super::orphan;
use crate::case::{Case, Chain, could_not};
use crate::escape::escape;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::profile::{Profile, Programs};
use crate::program::Names;
use crate::protected::{DAEMON_ARGS, DAEMON_SCRIPTS};
use crate::variables::{SYSTEMD_EXEC_PID, XPC_SERVICE_NAME};
use crate::verdict::{Answer, Finding, Gate};

const GATE: Gate = Gate::Unsupervised;

/// Evaluates the gate.
pub fn ask(case: &Case<'_>, profiles: &[&Profile]) -> Finding {
    let kept = keeps(case.policy, case.facts, profiles);
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
    if let Some(finding) = started_by_adopter(case, chain) {
        return finding;
    }
    match &case.facts.unit {
        Ok(_) => {}
        Err(why) => return Finding::unknown(GATE, could_not("its cgroup", why)),
    }
    let Some(slow_facts) = case.slow_facts else { return Finding::not_asked(GATE) };
    let (mut others, mut unsure) = (Vec::new(), None);
    for unit in &slow_facts.units {
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
    let jobs = slow_facts.jobs.as_ref().map_or(&[][..], |jobs| jobs);
    let named = |job: &UnitMain| escape(job.unit.name.as_bytes());
    let is_main = |job: &&UnitMain| job.main.is_some_and(|pid| line.contains(&pid));
    if let Some((job, pid)) = jobs.iter().find(is_main).and_then(|job| Some((job, job.main?))) {
        return Finding::no(GATE, format!("pid {pid} is the job {} itself", named(job)));
    }
    let label = case.facts.environ.as_ref().ok().and_then(|e| e.value(XPC_SERVICE_NAME.as_bytes()));
    if let Some(job) = jobs.iter().find(|job| label == Some(job.unit.name.as_bytes())) {
        let main = job.main.map_or_else(|| "not running".to_owned(), |pid| format!("pid {pid}"));
        others.push(format!("the job below which it was started, {}, is another: {main}", named(job)));
    }
    if let Some(why) = unsure {
        return Finding::unknown(GATE, format!("its service's main process is not known: {why}"));
    }
    if let Err(why) = &slow_facts.jobs {
        return Finding::unknown(GATE, format!("whether it is a job is not known: {why}"));
    }
    if others.is_empty() {
        Finding::yes(GATE, "it is in no service")
    } else {
        Finding::yes(GATE, others.join("; "))
    }
}

/// An init that adopts orphans starts only services. Where the kernel records which process started another, that tells
/// a service from an orphan.
fn started_by_adopter(case: &Case<'_>, chain: &Chain) -> Option<Finding> {
    let end = chain.end()?;
    let uid = case.facts.ids.as_ref().ok().map(|ids| ids.real);
    if !matches!(orphan::kind(end, uid, case.policy, case.own.systemd_booted), orphan::Kind::Adopter(_)) {
        return None;
    }
    let child = chain.wrappers().last().map_or(Ok(case.facts), |wrapper| wrapper.facts.as_ref());
    match child.map_err(Clone::clone).and_then(|child| Ok((child.pid(), child.started_by_parent.clone()?))) {
        Ok((pid, Some(true))) => {
            let adopter = end.facts.as_ref().map_or_else(|_| format!("pid {}", end.pid), Facts::called);
            Some(Finding::no(GATE, format!("{adopter} started pid {pid} itself")))
        }
        Ok(_) => None,
        Err(why) => Some(Finding::unknown(GATE, could_not("who started it", &why))),
    }
}

/// The part that needs only the process itself: whether it was started to outlive its launcher.
pub fn keeps(policy: &Policy, facts: &Facts, profiles: &[&Profile]) -> Finding {
    if let Err(why) = &facts.argv {
        return Finding::unknown(GATE, format!("its arguments cannot be read: {why}"));
    }
    match kept_by(policy, facts, profiles) {
        Some(what) => Finding::no(GATE, format!("{what}: a daemon that was started on purpose")),
        None => Finding::yes(GATE, "it is no daemon that an agent started on purpose"),
    }
}

/// The argument or variable that marks a process as started to outlive its launcher, as far as it can be read.
#[must_use]
pub fn kept_by(policy: &Policy, facts: &Facts, profiles: &[&Profile]) -> Option<String> {
    if let Ok(argv) = &facts.argv {
        let identity = facts.identity();
        let names = Names::of(&identity);
        let rules = policy.keep_args.iter().chain(profiles.iter().flat_map(|p| p.keep_args.iter()));
        if let Some(rule) = rules.clone().find(|rule| rule.matches(&names, argv)) {
            return Some(format!("`{rule}` among its arguments"));
        }
        // Under a profile that names its programs, each of these may mean something else to the program.
        let is_any = profiles.iter().any(|p| p.programs == Programs::Any);
        let is_there = |word: &&&str| argv.iter().skip(1).any(|arg| arg == word.as_bytes());
        let is_run = |script: &&&str| argv.iter().any(|arg| arg.ends_with(script.as_bytes()));
        let found = DAEMON_ARGS.iter().find(is_there).or_else(|| DAEMON_SCRIPTS.iter().find(is_run));
        if let Some(word) = found.filter(|_| is_any) {
            return Some(format!("`{word}` among its arguments"));
        }
    }
    let environ = facts.environ.as_ref().ok()?;
    let said = |m: &&crate::profile::Marker| environ.value(m.name.as_bytes()).is_some_and(|v| m.accepts(v));
    policy.keep_env.iter().find(said).map(|marker| marker.name.to_string())
}
