//! Can this machine, user and sandbox do the job?
//!
//! One file for each group of checks: what was found goes in, a [`Check`] with its remedy comes out, so that every
//! answer can be tested without the machine that gives it. [`quick`] gathers what costs nothing, for the start of
//! the service too; [`self_test`] tries the whole way on a process of our own.

pub mod adopters;
pub mod agents;
pub mod clock;
pub mod kernel;
pub mod limits;
pub mod linger;
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

use crate::report::check::Check;
use reaper_engine::context::Ground;

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
