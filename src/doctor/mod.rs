//! Checks whether reaper can work on this machine, as this user and in this sandbox.
//!
//! One file for each group of checks: facts go in, a [`Check`] with its remedy comes out, so that every result can be
//! tested without the machine that leads to it. [`quick`] makes the cheap checks, also at the start of the service;
//! [`self_test`] tries everything on a process of our own.

pub mod adopters;
pub mod agents;
pub mod clock;
pub mod directories;
pub mod kernel;
pub mod limits;
pub mod linger;
pub mod proc_visibility;
pub mod rights;
pub mod sandbox;
pub mod self_test;
pub mod service;
pub mod settings;
pub mod stand_in;

use std::ffi::OsStr;

use reaper_platform::{Host as _, NativeHost, Pid, Scope};

use crate::report::check::Check;
use reaper_engine::context::Context;

/// The cheap checks: the machine, our rights and our sandbox. `manager` is the value of `MANAGERPID`, which systemd
/// sets for the services of a user.
#[must_use]
pub fn quick(context: &Context<NativeHost>, manager: Option<&OsStr>) -> Vec<Check> {
    let host = &*context.host;
    let (here, before) = (host.info(), host.clock());
    let machine = host.machine();
    let manager = manager.and_then(|text| Pid::parse(text.as_encoded_bytes()));
    let found = adopters::gather(context);
    let mut checks = vec![kernel::check(&machine, here), proc_visibility::check(&machine)];
    checks.push(sandbox::check(&sandbox::gather(host, &machine, manager, found.manager())));
    checks.extend(rights::check(machine.capabilities, here.uid, context.own.scope == Scope::Everyone));
    checks.push(adopters::check(&found));
    checks.push(limits::check(machine.open_files, host.handle_limit(), context.policy.max_targets.get()));
    let own_start = host.stat_of(here.pid).ok().map(|stat| stat.start);
    let after = host.clock();
    checks.push(clock::check(&clock::Facts { before, after, own_start, here }));
    checks
}
