//! The seam over a machine on paper.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::log::{Log, Method};
use super::machine::Machine;
use super::pinned::{FakePinned, FakeWaiter};
use super::process::Process;
use super::script::{Mishap, Script};
use super::stage::{Made, Stage};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{Host, HostError, Walk, Walked};
use crate::started::{Listed, PidMark, Started};
use crate::types::UnitMain;
use crate::types::{Clock, Here, Pid, RuntimeUnit, Scope, Stat, Uid, Why};

/// A host that plays a machine and its script. Clones share both.
#[derive(Debug, Clone)]
pub struct FakeHost {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    here: Here,
    stage: Mutex<Stage>,
    released: Condvar,
}

impl FakeHost {
    /// Plays a machine as seen from `here`.
    #[must_use]
    pub fn new(here: Here, machine: Machine, script: Script) -> Self {
        let stage = Mutex::new(Stage::new(machine, script));
        Self { shared: Arc::new(Shared { here, stage, released: Condvar::new() }) }
    }

    /// What happened so far.
    #[must_use]
    pub fn log(&self) -> Log {
        self.stage().log.clone()
    }

    /// The number of the last call.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.stage().log.calls.len()
    }

    /// The machine as it is now.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.stage().machine.clone()
    }

    /// Changes the machine between two calls.
    pub fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut stage = self.stage();
        let result = change(&mut stage.machine);
        stage.note();
        result
    }

    /// Lets reads that hang come back, so that their threads end.
    pub fn release(&self) {
        self.stage().released = true;
        self.shared.released.notify_all();
    }

    pub(super) fn uid(&self) -> Uid {
        self.shared.here.uid
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.shared.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: counts it, lets happen what the script has for it, and answers unless it fails.
    pub(super) fn call<T>(
        &self,
        made: Made,
        answer: impl FnOnce(&mut Stage) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let mut stage = self.stage();
        let index = stage.begin(made);
        let fault = stage.play(made);
        if fault == Some(Mishap::Hang) && made.method.can_hang() {
            let stage = self.shared.released.wait_while(stage, |s| !s.released);
            drop(stage.unwrap_or_else(PoisonError::into_inner));
            return Err(Why::Failed("it hung".to_owned()));
        }
        let result = match fault {
            Some(Mishap::Fail(why)) => Err(why),
            Some(Mishap::Hang) => Err(Why::Slow(Duration::ZERO)),
            _ => answer(&mut stage),
        };
        stage.note();
        if let Some(call) = stage.log.calls.get_mut(index) {
            call.ok = result.is_ok();
        }
        result
    }

    fn ask<T>(
        &self,
        method: Method,
        pid: impl Into<Option<Pid>>,
        answer: impl FnOnce(&mut Stage) -> Result<T, Why>,
    ) -> Result<T, Why> {
        self.call(Made { method, pid: pid.into(), handle: None }, answer)
    }

    /// As [`FakeHost::ask`], about a process that we may see.
    fn about<T>(
        &self,
        method: Method,
        pid: Pid,
        answer: impl FnOnce(&Machine, &Process) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let uid = self.uid();
        self.ask(method, pid, |stage| {
            let machine = &stage.machine;
            answer(machine, machine.get(pid).filter(|p| machine.is_visible(p, uid)).ok_or(Why::Gone)?)
        })
    }
}

impl Host for FakeHost {
    type Pinned = FakePinned;
    type Waiter = FakeWaiter;

    fn here(&self) -> &Here {
        &self.shared.here
    }

    fn clock(&self) -> Clock {
        let read = self.ask(Method::Clock, None, |stage| Ok(stage.machine.clock));
        // A clock cannot fail.
        read.unwrap_or_else(|_| self.machine().clock)
    }

    fn sleep(&self, time: Duration) {
        let slept = self.ask(Method::Sleep, None, |stage| {
            stage.machine.advance(time);
            Ok(())
        });
        drop(slept);
    }

    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why> {
        let uid = self.uid();
        self.ask(Method::Children, pid, |stage| {
            let machine = &stage.machine;
            if !machine.lists {
                return Err(Why::Unsupported("lists of children"));
            }
            let parent = machine.get(pid).ok_or(Why::Gone)?;
            if !machine.is_visible(parent, uid) {
                return Err(Why::Gone);
            }
            Ok(machine.children(pid).map(|p| p.pid).filter(|p| Some(*p) != stage.missed).collect())
        })
    }

    fn walk(&self, scope: Scope) -> Result<Walk, HostError> {
        let uid = self.uid();
        let walk = self.ask(Method::Walk, None, |stage| {
            let machine = &stage.machine;
            let seen = || machine.processes.values().filter(|p| machine.is_visible(p, uid));
            let in_scope = seen().filter(|p| scope.holds(p.ids.effective));
            let entries =
                in_scope.map(|p| Walked { stat: machine.stat(p, uid), uid: p.ids.effective }).collect();
            Ok(Walk { entries, examined: seen().count(), unreadable: 0 })
        });
        walk.map_err(|why| HostError { what: "list processes", why })
    }

    fn pid_mark(&self) -> Result<PidMark, HostError> {
        let mark = self.ask(Method::PidMark, None, |stage| {
            let machine = &stage.machine;
            Ok(PidMark::first(machine.newest()?, machine.clock.monotonic))
        });
        mark.map_err(|why| HostError { what: "remember the last pid", why })
    }

    fn started_since(&self, mark: &PidMark, scope: Scope) -> Result<Started, HostError> {
        let uid = self.uid();
        let started = self.ask(Method::StartedSince, None, |stage| {
            let machine = &stage.machine;
            let last = machine.newest()?;
            let ranges = mark.ranges_to(last);
            let is_new = |p: &&Process| {
                ranges.iter().any(|range| range.contains(&p.pid.get())) && Some(p.pid) != stage.missed
            };
            let seen = machine.processes.values().filter(|p| machine.is_visible(p, uid)).filter(is_new);
            let seen: Vec<_> = seen.map(|p| Listed { pid: p.pid, uid: p.ids.effective }).collect();
            let examined = seen.len();
            let entries = seen.into_iter().filter(|listed| scope.holds(listed.uid)).collect();
            let mark = mark.moved_to(last, machine.clock.monotonic);
            Ok(Started { entries, examined, unreadable: 0, mark })
        });
        started.map_err(|why| HostError { what: "list new processes", why })
    }

    fn owner(&self, pid: Pid) -> Result<Uid, Why> {
        self.about(Method::Owner, pid, |_, process| Ok(process.ids.effective))
    }

    fn exists(&self, pid: Pid) -> Result<bool, Why> {
        self.ask(Method::Exists, pid, |stage| Ok(stage.machine.get(pid).is_some()))
    }

    fn glance(&self, pid: Pid) -> Result<Stat, Why> {
        let uid = self.uid();
        self.about(Method::Glance, pid, |machine, process| Ok(machine.stat(process, uid)))
    }

    /// System calls answer for hidden processes too.
    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.ask(Method::Group, pid, |stage| stage.machine.get(pid).map(|p| p.group).ok_or(Why::Gone))
    }

    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.ask(Method::Session, pid, |stage| stage.machine.get(pid).map(|p| p.session).ok_or(Why::Gone))
    }

    fn glance_environ(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        let uid = self.uid();
        self.about(Method::GlanceEnviron, pid, |machine, process| machine.environ(process, uid, wanted))
    }

    fn glance_argv(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
        let uid = self.uid();
        self.about(Method::GlanceArgv, pid, |machine, process| machine.argv(process, uid))
    }

    fn pin(&self, pid: Pid) -> Result<FakePinned, Why> {
        let uid = self.uid();
        let (id, serial, handle, first_image) = self.ask(Method::Pin, pid, |stage| stage.pin(pid, uid))?;
        Ok(FakePinned { host: self.clone(), id, serial, handle, first_image })
    }

    fn time_namespace(&self, pid: Pid) -> Result<u64, Why> {
        let uid = self.uid();
        self.about(Method::TimeNamespace, pid, |_, process| {
            process.memory(uid)?;
            Ok(process.time_namespace)
        })
    }

    fn manager_hint(&self, _uid: Uid) -> Option<Pid> {
        self.ask(Method::ManagerHint, None, |stage| Ok(stage.machine.manager)).ok().flatten()
    }

    fn unit_mains(&self, units: &[RuntimeUnit], _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let answer = |stage: &mut Stage, unit: &RuntimeUnit| {
            stage.machine.units.get(unit).cloned().ok_or(Why::Garbled("it did not answer for every unit"))
        };
        let mains = self.ask(Method::UnitMains, None, |stage| {
            units.iter().map(|unit| answer(stage, unit)).collect::<Result<Vec<_>, _>>()
        });
        mains.map_err(|why| HostError { what: "ask the service manager", why })
    }

    fn jobs(&self, _of: Uid, _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let jobs = self.ask(Method::Jobs, None, |stage| stage.machine.jobs.clone());
        jobs.map_err(|why| HostError { what: "ask launchd for its jobs", why })
    }

    fn waiter(&self) -> Result<FakeWaiter, HostError> {
        let made = self.ask(Method::Waiter, None, |_| Ok(()));
        made.map_err(|why| HostError { what: "wait for processes", why })?;
        Ok(FakeWaiter::new(self.clone()))
    }

    fn pin_limit(&self) -> usize {
        self.ask(Method::PinLimit, None, |stage| Ok(stage.machine.pin_limit)).unwrap_or(1)
    }
}
