//! Successors: a target that forks on SIGTERM and continues as its own child.
//!
//! The predecessor of a successor got SIGTERM already. Another SIGTERM would only make it fork again, so it gets the
//! usual time to exit, counted from its own start, and then SIGKILL; one that has respawned twice gets SIGKILL at once.
//!
//! Its descent is proven, not guessed from its name: fork(2) copies the image, including the addresses of the arguments
//! and the environment, which execve(2) randomises (proc_sys_kernel(5), randomize_va_space); and where the kernel
//! records which process started another, that must agree. Another orphan of the same program is not a successor.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Generation, Host, Image, Pid, ProcId, ProcessHandle as _};

use super::outcome::Ended;
use crate::context::Context;
use crate::deadline;
use crate::discover;
use crate::inspect::Inspector;
use reaper_policy::case::Capacity;
use reaper_policy::facts::Fact;
use reaper_policy::judgement::Judgement;
use reaper_policy::past::Past;
use reaper_policy::plan::{Comeback, Role, Target};

/// An orphan that was started while targets were being ended.
struct Found {
    judgement: Judgement,
    image: Option<Image>,
    /// The process that started it, where the kernel records that.
    starter: Option<Generation>,
}

/// Finds the successors of ended targets: orphans with the same image, marker and user that were started between the
/// first signal to a target and its end, and that pass every gate but grace by themselves.
pub fn successors<H: Host>(context: &Context<H>, ended: &[Ended], limit: Duration) -> Vec<Target> {
    if ended.iter().all(|e| e.fell.is_none()) {
        return Vec::new();
    }
    // A failure only delays: what still exists is an orphan, and the next sweep finds it.
    let Ok(census) = discover::take(&context.host, &context.policy, context.own.scope) else {
        return Vec::new();
    };
    let done: HashSet<ProcId> = ended.iter().map(|e| e.target.id).collect();
    // A process with a target's pid started only after that target ended, so it is not its child.
    let was_a_target = |pid: &Pid| ended.iter().any(|e| e.target.id.pid == *pid);
    let may_be = |pid: &Pid| {
        !was_a_target(pid)
            && context.host.stat_of(*pid).is_ok_and(|stat| {
                let is_within =
                    |e: &Ended| e.fell.is_some_and(|(from, to)| (from..=to).contains(&stat.start));
                !stat.is_dead() && ended.iter().any(is_within)
            })
    };
    let young: Vec<Pid> = census.candidates.iter().copied().filter(may_be).collect();
    let inspector = Arc::new(Inspector::new(context));
    let looks = deadline::map(young, limit, move |pid| -> Fact<Found> {
        let process = inspector.context.host.open(*pid)?;
        let (image, starter) = (process.first_image(), process.starter()?);
        Ok(Found {
            judgement: inspector.judge(&process, Capacity::Candidate, |_| Past::default())?,
            image,
            starter,
        })
    });
    let clock = context.host.clock();
    let comes_from = |found: &Found| {
        ended.iter().find(|e| {
            let is_within = e.fell.is_some_and(|(from, to)| (from..=to).contains(&found.judgement.id.start));
            let is_same_run = e.target.profiles.iter().any(|name| found.judgement.profiles.contains(name));
            let is_started_by_it = found.starter.is_some() && found.starter == e.target.id.generation;
            let is_its_image =
                found.image.is_some_and(|image| image.layout != (0, 0)) && found.image == e.image;
            is_within
                && is_same_run
                && (is_started_by_it || is_its_image)
                && e.target.uid == found.judgement.uid
        })
    };
    let found = looks.into_iter().filter_map(|look| look.ok()?.ok());
    found
        .filter(|found| found.judgement.is_orphan() && !done.contains(&found.judgement.id))
        .filter_map(|found| {
            let before = comes_from(&found)?;
            let judgement = found.judgement;
            let times = before.target.comeback.map_or(0, |comeback| comeback.times) + 1;
            let age = context.host.info().start_clock.age(judgement.id.start, &clock);
            let wait = context.policy.term_timeout.saturating_sub(age);
            let due = if times > 1 { clock.monotonic } else { clock.monotonic + wait };
            Some(Target {
                id: judgement.id,
                role: Role::Successor,
                root: judgement.id,
                profiles: judgement.profiles,
                uid: judgement.uid,
                program: judgement.program,
                rss_bytes: judgement.stat.rss_bytes,
                group: judgement.stat.pgrp,
                comeback: Some(Comeback { of: before.target.id.pid, times, due }),
            })
        })
        .collect()
}
