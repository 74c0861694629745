//! A process on paper that cannot be mistaken for another, and waiting for many of them.

use std::time::Duration;

use super::host::FakeHost;
use super::log::{Method, Sent};
use super::machine::Machine;
use super::process::Process;
use super::stage::{Made, Stage};
use crate::environ::{EnvironScan, Wanted};
use crate::host::{HostError, Pinned, Waiter};
use crate::sockets::{Folder, Listener, SocketTables};
use crate::types::{Ids, Image, Pid, ProcId, RuntimeUnit, Signal, Stat, Why};

/// A handle. Whoever has the number later, it answers for the one process that it was made for.
#[derive(Debug)]
pub struct FakePinned {
    pub(super) host: FakeHost,
    pub(super) id: ProcId,
    pub(super) serial: u64,
    pub(super) handle: u64,
    pub(super) first_image: Image,
}

impl FakePinned {
    fn made(&self, method: Method) -> Made {
        Made { method, pid: Some(self.id.pid), handle: Some((self.handle, self.serial)) }
    }

    fn read<T>(
        &self,
        method: Method,
        answer: impl FnOnce(&Machine, &Process) -> Result<T, Why>,
    ) -> Result<T, Why> {
        self.host
            .call(self.made(method), |stage| answer(&stage.machine, same(stage, self.id.pid, self.serial)?))
    }
}

fn same(stage: &Stage, pid: Pid, serial: u64) -> Result<&Process, Why> {
    stage.machine.get(pid).filter(|p| p.serial == serial).ok_or(Why::Gone)
}

impl Pinned for FakePinned {
    fn id(&self) -> ProcId {
        self.id
    }

    fn stat(&self) -> Result<Stat, Why> {
        let uid = self.host.uid();
        self.read(Method::Stat, |machine, process| Ok(machine.stat(process, uid)))
    }

    fn has_ended(&self) -> Result<bool, Why> {
        self.host.call(self.made(Method::HasEnded), |stage| {
            Ok(stage.machine.by_serial(self.serial).is_none_or(Process::is_dead))
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
        self.host.call(self.made(Method::Signal), |stage| {
            let to = same(stage, self.id.pid, self.serial)?.clone();
            if uid.0 != 0 && to.ids.real != uid && to.ids.saved != uid {
                return Err(Why::Denied);
            }
            let step = stage.log.calls.len();
            stage.log.sent.push(Sent { step, clock: stage.machine.clock, signal, handle: self.handle, to });
            stage.machine.deliver(self.serial, signal);
            Ok(())
        })
    }
}

/// Waits by letting time pass.
#[derive(Debug)]
pub struct FakeWaiter {
    host: FakeHost,
    watched: Vec<(u64, u64)>,
}

impl FakeWaiter {
    pub(super) const fn new(host: FakeHost) -> Self {
        Self { host, watched: Vec::new() }
    }
}

impl Waiter<FakePinned> for FakeWaiter {
    fn watch(&mut self, process: &FakePinned, token: u64) -> Result<(), HostError> {
        let watched = self.host.call(process.made(Method::Watch), |_| Ok(()));
        watched.map_err(|why| HostError { what: "watch a process", why })?;
        self.watched.push((process.serial, token));
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<Vec<u64>, HostError> {
        let made = Made { method: Method::Wait, pid: None, handle: None };
        let watched = &mut self.watched;
        let ended = self.host.call(made, |stage| {
            let machine = &mut stage.machine;
            let ended =
                |machine: &super::Machine, serial| machine.by_serial(serial).is_none_or(Process::is_dead);
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
