//! Whether a process that may own an orphan would stay: the answer for holders of an owner value, for leaders of
//! sessions and groups, and for the earlier agent of a helper.
//!
//! It depends on parents, markers and lists alone, never on another verdict, so that two marked trees of a finished run
//! do not keep each other alive, and the order of evaluation makes no difference.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use reaper_platform::{Condition, Host, Pid, Why};

use super::ancestry::Ancestry;
use super::cache::lock;
use super::services::Services;
use crate::context::Context;
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{marker, orphan, unprotected, unsupervised};
use reaper_policy::profile::Profile;
use reaper_policy::variables::SYSTEMD_EXEC_PID;

/// The process, and the profiles whose markers count.
type Question = (Pid, Vec<String>);

/// Determines which processes would stay.
pub(super) struct Stays<H: Host> {
    context: Context<H>,
    ancestry: Arc<Ancestry<H>>,
    services: Arc<Services<H>>,
    answers: Mutex<HashMap<Question, Fact<Option<String>>>>,
}

impl<H: Host> Stays<H> {
    pub(super) fn new(
        context: &Context<H>,
        ancestry: &Arc<Ancestry<H>>,
        services: &Arc<Services<H>>,
    ) -> Self {
        Self {
            context: context.clone(),
            ancestry: Arc::clone(ancestry),
            services: Arc::clone(services),
            answers: Mutex::default(),
        }
    }

    /// Why a process would stay, if it would. Climbing from it to the first adopter meets a process that the profiles'
    /// markers are not on, or one that is kept or supervised, or, above it, a protected one; or the climb ends at no
    /// adopter.
    ///
    /// # Errors
    /// When that is unknown. It then counts as one that stays.
    pub(super) fn would_stay(&self, facts: &Facts, profiles: &[&Profile]) -> Fact<Option<String>> {
        let question = (facts.pid(), profiles.iter().map(|p| p.name.to_string()).collect());
        if let Some(known) = lock(&self.answers).get(&question) {
            return known.clone();
        }
        let answer = self.climb_to_an_adopter(facts, profiles);
        lock(&self.answers).insert(question, answer.clone());
        answer
    }

    fn climb_to_an_adopter(&self, facts: &Facts, profiles: &[&Profile]) -> Fact<Option<String>> {
        let mut met = HashSet::new();
        let mut at = facts.clone();
        loop {
            if let Some(why) = self.stays_by_itself(&at, profiles, at.pid() != facts.pid())? {
                return Ok(Some(why));
            }
            if !met.insert(at.pid()) {
                return Err(Why::Garbled("its parents form a ring: they changed while they were read"));
            }
            let Some(parent) = at.stat.ppid else {
                return Ok(Some(format!("the parent of {} is outside our PID namespace", at.called())));
            };
            let ancestor = self.ancestry.ancestor(parent);
            let uid = at.ids.as_ref().ok().map(|ids| ids.real);
            match orphan::kind(&ancestor, uid, &self.context.policy, self.context.own.systemd_booted) {
                orphan::Kind::Adopter(_) => return Ok(None),
                orphan::Kind::Suspect(_) => {
                    let is_proven = orphan::inherited_session(&at.stat, &ancestor).is_some();
                    let name =
                        ancestor.facts.as_ref().map_or_else(|_| format!("pid {parent}"), Facts::called);
                    return Ok((!is_proven).then(|| format!("{name} may have started {}", at.called())));
                }
                orphan::Kind::Unreadable(why) => return Err(why),
                orphan::Kind::Wrapper
                | orphan::Kind::MayBeWrapper(_)
                | orphan::Kind::Host
                | orphan::Kind::Other => at = ancestor.facts?,
            }
        }
    }

    fn stays_by_itself(&self, at: &Facts, profiles: &[&Profile], is_above: bool) -> Fact<Option<String>> {
        let called = at.called();
        // A process of another user cannot be seen to carry our markers, and goes on by itself.
        let is_strangers = match &at.ids {
            Ok(ids) => !self.context.own.scope.holds(ids.real),
            Err(why) => return Err(why.clone()),
        };
        match &at.environ {
            _ if is_strangers => return Ok(Some(format!("{called} is another user's"))),
            Ok(environ) => match environ.condition {
                Condition::Garbled(how) => return Err(Why::Garbled(how)),
                Condition::Intact if profiles.iter().any(|p| marker::carries(p, environ)) => {}
                Condition::Intact => return Ok(Some(format!("{called} does not carry the marker"))),
            },
            Err(why) => return Err(why.clone()),
        }
        if unprotected::asked_to_be_kept(at) {
            return Ok(Some(format!("{called} asked to be kept")));
        }
        if let Some(what) = unsupervised::kept_by(&self.context.policy, at, profiles) {
            return Ok(Some(format!("{called} was started on purpose to stay ({what})")));
        }
        if is_above && let Some(found) = unprotected::protected_by(&self.context.policy, at, profiles) {
            return Ok(Some(format!("{called} is never touched ({found})")));
        }
        self.supervised(at)
    }

    /// The service manager that runs a process itself, in words.
    fn supervised(&self, at: &Facts) -> Fact<Option<String>> {
        let pid = at.pid();
        let executed = at.environ.as_ref().ok().and_then(|e| e.value(SYSTEMD_EXEC_PID.as_bytes()));
        if executed.and_then(Pid::parse) == Some(pid) {
            return Ok(Some(format!("the service manager started {} itself", at.called())));
        }
        if let Some(parent) = at.stat.ppid {
            let ancestor = self.ancestry.ancestor(parent);
            if let Some(main) = &ancestor.main_child
                && *main.as_ref().map_err(Clone::clone)? == pid
            {
                return Ok(Some(format!("{} is the one command of the container's init", at.called())));
            }
            let uid = at.ids.as_ref().ok().map(|ids| ids.real);
            let kind = orphan::kind(&ancestor, uid, &self.context.policy, self.context.own.systemd_booted);
            if matches!(kind, orphan::Kind::Adopter(_)) && at.started_by_parent.clone()? == Some(true) {
                return Ok(Some(format!("the service manager started {} itself", at.called())));
            }
        }
        if let Some(unit) = at.unit.clone()?.filter(|unit| unit.name.ends_with(".service")) {
            let main = self.services.unit_main(unit)?;
            if [main.main, main.control].contains(&Some(pid)) {
                return Ok(Some(format!("{} is the main process of a service", at.called())));
            }
        }
        if self.services.jobs(at)?.iter().any(|job| job.main == Some(pid)) {
            return Ok(Some(format!("{} is a job of the service manager", at.called())));
        }
        Ok(None)
    }
}
