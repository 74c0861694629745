//! Can this machine, user and sandbox do the job?
//!
//! One file for each group of checks: what was found goes in, a [`Check`] with its remedy comes out, so that every
//! answer can be tested without the machine that gives it. [`quick`] gathers what costs nothing, for the start of
//! the service too; [`self_test`] tries the whole way on a process of our own.

pub mod adopters;
pub mod clock;
pub mod kernel;
pub mod limits;
pub mod linger;
pub mod namespace;
pub mod places;
pub mod rights;
pub mod sandbox;
pub mod self_test;
pub mod service;
pub mod settings;
pub mod sight;
pub mod stand_in;

use std::ffi::OsStr;

use reaper_platform::{Host as _, NativeHost, Pid, Scope};

use reaper_engine::context::Ground;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It could not or need not be asked.
    Skipped,
    /// As it should be.
    Ok,
    /// The job can be done, with a limit that one should know.
    Warn,
    /// The job, or a part of it, cannot be done.
    Fail,
}

impl Level {
    /// The public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skip",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was asked, in one word.
    pub name: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, what: what.into(), hint: None }
    }

    /// Not asked.
    pub fn skipped(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Skipped, what: what.into(), hint: None }
    }

    /// A limit.
    pub fn warn(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, what: what.into(), hint: Some(hint.into()) }
    }

    /// A failure.
    pub fn fail(name: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, what: what.into(), hint: Some(hint.into()) }
    }
}

/// The checks that cost next to nothing: everything about the machine and our place on it. `manager` is the value
/// of `MANAGERPID`, which systemd sets for the services of a user.
#[must_use]
pub fn quick(ground: &Ground<NativeHost>, manager: Option<&OsStr>) -> Vec<Check> {
    let host = &*ground.host;
    let (here, before) = (host.here(), host.clock());
    let machine = host.machine();
    let manager = manager.and_then(|text| Pid::parse(text.as_encoded_bytes()));
    let found = adopters::look(ground);
    let mut checks = vec![kernel::check(&machine, here), sight::check(&machine)];
    checks.push(sandbox::check(&sandbox::look(host, &machine, manager, found.manager())));
    checks.extend(rights::check(machine.capabilities, here.uid, ground.us.scope == Scope::Everyone));
    checks.push(adopters::check(&found));
    checks.push(limits::check(machine.open_files, host.pin_limit(), ground.policy.max_targets.get()));
    let own_start = host.glance(here.pid).ok().map(|stat| stat.start);
    let after = host.clock();
    checks.push(clock::check(&clock::Facts { before, after, own_start, here }));
    checks
}
