//! The platform's traits, implemented by a simulated machine.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::call::Method;
use super::faults::{Fault, FaultScript};
use super::log::{Log, Sent};
use super::machine::Machine;
use super::process::Process;
use super::state::{FakeState, Made};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{ExitWatcher, Host, HostError, ProcessEntry, ProcessHandle, ProcessList};
use crate::socket_tables::SocketTables;
use crate::sockets::{Folder, Listener};

use crate::started::{Listed, PidMark, Started};
use crate::types::{
    Clock, HostInfo, Ids, Image, Pid, ProcId, RuntimeUnit, Scope, Signal, Stat, Uid, UnitMain, Why,
};

/// A host backed by a simulated machine and its fault script. Clones share both.
#[derive(Debug, Clone)]
pub struct FakeHost {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    info: HostInfo,
    state: Mutex<FakeState>,
    released: Condvar,
}

impl FakeHost {
    /// Simulates `machine` with the faults of `script`; `info` is what [`Host::info`] returns.
    #[must_use]
    pub fn new(info: HostInfo, machine: Machine, script: FaultScript) -> Self {
        let state = Mutex::new(FakeState::new(machine, script));
        Self { shared: Arc::new(Shared { info, state, released: Condvar::new() }) }
    }

    /// The calls, signals and states so far.
    #[must_use]
    pub fn log(&self) -> Log {
        self.state().log.clone()
    }

    /// The number of the last call.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.state().log.calls.len()
    }

    /// The machine as it is now.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.state().machine.clone()
    }

    /// Changes the machine between two calls and logs the new state.
    pub fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state.machine);
        state.note();
        result
    }

    /// Lets hanging reads return, so that their threads end.
    pub fn release(&self) {
        self.state().released = true;
        self.shared.released.notify_all();
    }

    pub(super) fn uid(&self) -> Uid {
        self.shared.info.uid
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: counts it, applies the faults that are due, and computes the answer unless the call fails.
    pub(super) fn call<T>(
        &self,
        made: Made,
        answer: impl FnOnce(&mut FakeState) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let mut state = self.state();
        let index = state.begin(made);
        let fault = state.apply_due(made);
        if fault == Some(Fault::Hang) && made.method.can_hang() {
            let state = self.shared.released.wait_while(state, |s| !s.released);
            drop(state.unwrap_or_else(PoisonError::into_inner));
            return Err(Why::Failed("it hung".to_owned()));
        }
        let result = match fault {
            Some(Fault::Fail(why)) => Err(why),
            Some(Fault::Hang) => Err(Why::Slow(Duration::ZERO)),
            _ => answer(&mut state),
        };
        state.note();
        if let Some(call) = state.log.calls.get_mut(index) {
            call.ok = result.is_ok();
        }
        result
    }

    fn ask<T>(
        &self,
        method: Method,
        pid: impl Into<Option<Pid>>,
        answer: impl FnOnce(&mut FakeState) -> Result<T, Why>,
    ) -> Result<T, Why> {
        self.call(Made { method, pid: pid.into(), handle: None }, answer)
    }

    /// As [`FakeHost::ask`], about a process that is visible to our user.
    fn about<T>(
        &self,
        method: Method,
        pid: Pid,
        answer: impl FnOnce(&Machine, &Process) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let uid = self.uid();
        self.ask(method, pid, |state| {
            let machine = &state.machine;
            answer(machine, machine.get(pid).filter(|p| machine.is_visible(p, uid)).ok_or(Why::Gone)?)
        })
    }
}

impl Host for FakeHost {
    type ProcessHandle = FakeHandle;
    type ExitWatcher = FakeWatcher;

    fn info(&self) -> &HostInfo {
        &self.shared.info
    }

    fn clock(&self) -> Clock {
        let read = self.ask(Method::Clock, None, |state| Ok(state.machine.clock));
        // A clock cannot fail.
        read.unwrap_or_else(|_| self.machine().clock)
    }

    fn sleep(&self, time: Duration) {
        let slept = self.ask(Method::Sleep, None, |state| {
            state.machine.advance(time);
            Ok(())
        });
        drop(slept);
    }

    fn children(&self, pid: Pid) -> Result<Vec<Pid>, Why> {
        let uid = self.uid();
        self.ask(Method::Children, pid, |state| {
            let machine = &state.machine;
            if !machine.lists {
                return Err(Why::Unsupported("lists of children"));
            }
            let parent = machine.get(pid).ok_or(Why::Gone)?;
            if !machine.is_visible(parent, uid) {
                return Err(Why::Gone);
            }
            Ok(machine.children(pid).map(|p| p.pid).filter(|p| Some(*p) != state.missed).collect())
        })
    }

    fn list(&self, scope: Scope) -> Result<ProcessList, HostError> {
        let uid = self.uid();
        let listed = self.ask(Method::List, None, |state| {
            let machine = &state.machine;
            let seen = || machine.processes.values().filter(|p| machine.is_visible(p, uid));
            let in_scope = seen().filter(|p| scope.holds(p.ids.effective));
            let entries =
                in_scope.map(|p| ProcessEntry { stat: machine.stat(p, uid), uid: p.ids.effective }).collect();
            Ok(ProcessList { entries, examined: seen().count(), unreadable: 0 })
        });
        listed.map_err(|why| HostError { what: "list processes", why })
    }

    fn pid_mark(&self) -> Result<PidMark, HostError> {
        let mark = self.ask(Method::PidMark, None, |state| {
            let machine = &state.machine;
            Ok(PidMark::first(machine.newest()?, machine.clock.monotonic))
        });
        mark.map_err(|why| HostError { what: "remember the last pid", why })
    }

    fn started_since(&self, mark: &PidMark, scope: Scope) -> Result<Started, HostError> {
        let uid = self.uid();
        let started = self.ask(Method::StartedSince, None, |state| {
            let machine = &state.machine;
            let last = machine.newest()?;
            let ranges = mark.ranges_to(last);
            let is_new = |p: &&Process| {
                ranges.iter().any(|range| range.contains(&p.pid.get())) && Some(p.pid) != state.missed
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
        self.ask(Method::Exists, pid, |state| Ok(state.machine.get(pid).is_some()))
    }

    fn stat_of(&self, pid: Pid) -> Result<Stat, Why> {
        let uid = self.uid();
        self.about(Method::StatOf, pid, |machine, process| Ok(machine.stat(process, uid)))
    }

    /// System calls answer for hidden processes too.
    fn group(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.ask(Method::Group, pid, |state| state.machine.get(pid).map(|p| p.group).ok_or(Why::Gone))
    }

    fn session(&self, pid: Pid) -> Result<Option<Pid>, Why> {
        self.ask(Method::Session, pid, |state| state.machine.get(pid).map(|p| p.session).ok_or(Why::Gone))
    }

    fn environ_of(&self, pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        let uid = self.uid();
        self.about(Method::EnvironOf, pid, |machine, process| machine.environ(process, uid, wanted))
    }

    fn argv_of(&self, pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
        let uid = self.uid();
        self.about(Method::ArgvOf, pid, |machine, process| machine.argv(process, uid))
    }

    fn open(&self, pid: Pid) -> Result<FakeHandle, Why> {
        let uid = self.uid();
        let (id, serial, handle, first_image) = self.ask(Method::Open, pid, |state| state.open(pid, uid))?;
        Ok(FakeHandle { host: self.clone(), id, serial, handle, first_image })
    }

    fn time_namespace(&self, pid: Pid) -> Result<u64, Why> {
        let uid = self.uid();
        self.about(Method::TimeNamespace, pid, |_, process| {
            process.memory(uid)?;
            Ok(process.time_namespace)
        })
    }

    fn manager_hint(&self, _uid: Uid) -> Option<Pid> {
        self.ask(Method::ManagerHint, None, |state| Ok(state.machine.manager)).ok().flatten()
    }

    fn unit_mains(&self, units: &[RuntimeUnit], _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let answer = |state: &mut FakeState, unit: &RuntimeUnit| {
            state.machine.units.get(unit).cloned().ok_or(Why::Garbled("it did not answer for every unit"))
        };
        let mains = self.ask(Method::UnitMains, None, |state| {
            units.iter().map(|unit| answer(state, unit)).collect::<Result<Vec<_>, _>>()
        });
        mains.map_err(|why| HostError { what: "ask the service manager", why })
    }

    fn jobs(&self, _of: Uid, _limit: Duration) -> Result<Vec<UnitMain>, HostError> {
        let jobs = self.ask(Method::Jobs, None, |state| state.machine.jobs.clone());
        jobs.map_err(|why| HostError { what: "ask launchd for its jobs", why })
    }

    fn exit_watcher(&self) -> Result<FakeWatcher, HostError> {
        let made = self.ask(Method::ExitWatcher, None, |_| Ok(()));
        made.map_err(|why| HostError { what: "wait for processes", why })?;
        Ok(FakeWatcher::new(self.clone()))
    }

    fn handle_limit(&self) -> usize {
        self.ask(Method::HandleLimit, None, |state| Ok(state.machine.handle_limit)).unwrap_or(1)
    }
}

/// A process handle. It answers only for the process that it was opened for, also when the pid is reused.
#[derive(Debug)]
pub struct FakeHandle {
    host: FakeHost,
    id: ProcId,
    serial: u64,
    handle: u64,
    first_image: Image,
}

impl FakeHandle {
    fn made(&self, method: Method) -> Made {
        Made { method, pid: Some(self.id.pid), handle: Some((self.handle, self.serial)) }
    }

    fn read<T>(
        &self,
        method: Method,
        answer: impl FnOnce(&Machine, &Process) -> Result<T, Why>,
    ) -> Result<T, Why> {
        self.host
            .call(self.made(method), |state| answer(&state.machine, same(state, self.id.pid, self.serial)?))
    }
}

fn same(state: &FakeState, pid: Pid, serial: u64) -> Result<&Process, Why> {
    state.machine.get(pid).filter(|p| p.serial == serial).ok_or(Why::Gone)
}

impl ProcessHandle for FakeHandle {
    fn id(&self) -> ProcId {
        self.id
    }

    fn stat(&self) -> Result<Stat, Why> {
        let uid = self.host.uid();
        self.read(Method::Stat, |machine, process| Ok(machine.stat(process, uid)))
    }

    fn has_ended(&self) -> Result<bool, Why> {
        self.host.call(self.made(Method::HasEnded), |state| {
            Ok(state.machine.by_serial(self.serial).is_none_or(Process::is_dead))
        })
    }

    fn first_image(&self) -> Option<Image> {
        Some(self.first_image)
    }

    fn image(&self, _stat: &Stat) -> Result<Image, Why> {
        self.read(Method::Image, |_, process| Ok(process.image()))
    }

    fn ids(&self) -> Result<Ids, Why> {
        self.read(Method::Ids, |_, process| Ok(process.ids))
    }

    fn exe(&self) -> Result<Vec<u8>, Why> {
        let uid = self.host.uid();
        self.read(Method::Exe, |_, process| {
            if !process.has_memory() {
                return Err(Why::Gone);
            }
            process.memory(uid).map(|()| process.exe.clone())
        })
    }

    fn argv(&self) -> Result<Vec<Vec<u8>>, Why> {
        let uid = self.host.uid();
        self.read(Method::Argv, |machine, process| machine.argv(process, uid))
    }

    fn environ(&self, wanted: &Wanted) -> Result<EnvironScan, Why> {
        let uid = self.host.uid();
        self.read(Method::Environ, |machine, process| machine.environ(process, uid, wanted))
    }

    fn unit(&self) -> Result<Option<RuntimeUnit>, Why> {
        self.read(Method::Unit, |_, process| Ok(process.unit.clone()))
    }

    fn listeners(&self, _tables: &SocketTables) -> Result<Vec<Listener>, Why> {
        let uid = self.host.uid();
        self.read(Method::Listeners, |_, process| process.seen_listeners(uid))
    }

    fn folder(&self, _path: &[u8]) -> Result<Folder, Why> {
        self.read(Method::Folder, |_, process| process.folder.ok_or(Why::Gone))
    }

    fn started_by_parent(&self) -> Result<Option<bool>, Why> {
        self.read(Method::StartedByParent, |machine, process| Ok(machine.started_by_parent(process)))
    }

    fn signal(&self, signal: Signal) -> Result<(), Why> {
        let uid = self.host.uid();
        self.host.call(self.made(Method::Signal), |state| {
            let to = same(state, self.id.pid, self.serial)?.clone();
            if uid.0 != 0 && to.ids.real != uid && to.ids.saved != uid {
                return Err(Why::Denied);
            }
            let step = state.log.calls.len();
            state.log.sent.push(Sent { step, clock: state.machine.clock, signal, handle: self.handle, to });
            state.machine.deliver(self.serial, signal);
            Ok(())
        })
    }
}

/// An exit watcher that waits by advancing the simulated clocks.
#[derive(Debug)]
pub struct FakeWatcher {
    host: FakeHost,
    watched: Vec<(u64, u64)>,
}

impl FakeWatcher {
    const fn new(host: FakeHost) -> Self {
        Self { host, watched: Vec::new() }
    }
}

impl ExitWatcher<FakeHandle> for FakeWatcher {
    fn watch(&mut self, process: &FakeHandle, token: u64) -> Result<(), HostError> {
        let watched = self.host.call(process.made(Method::Watch), |_| Ok(()));
        watched.map_err(|why| HostError { what: "watch a process", why })?;
        self.watched.push((process.serial, token));
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<Vec<u64>, HostError> {
        let made = Made { method: Method::Wait, pid: None, handle: None };
        let watched = &mut self.watched;
        let ended = self.host.call(made, |state| {
            let machine = &mut state.machine;
            let ended = |machine: &Machine, serial| machine.by_serial(serial).is_none_or(Process::is_dead);
            if !watched.iter().any(|(serial, _)| ended(machine, *serial)) {
                machine.advance(machine.next_exit().map_or(limit, |next| next.min(limit)));
            }
            let tokens =
                watched.extract_if(.., |(serial, _)| ended(machine, *serial)).map(|(_, t)| t).collect();
            Ok(tokens)
        });
        ended.map_err(|why| HostError { what: "wait for processes", why })
    }
}
