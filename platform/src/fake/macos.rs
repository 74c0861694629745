//! What is different on a simulated Mac.
//!
//! Arguments and environment come out of one buffer, which is laid out here by the kernel's rules and read by the
//! parser that reads the real ones ([`crate::macos::procargs`]). The kernel records which process started another, but
//! not how long its environment was. A dead process has no environment rather than an empty one.

use super::machine::Machine;
use super::process::Process;
use super::{host_info, pid};
use crate::environ::{EnvironScan, Wanted};
use crate::macos::procargs::ProcArgs;
use crate::types::UnitMain;
use crate::types::{Gid, HostInfo, RuntimeUnit, StartClock, Stat, Uid, Why};

/// The uid of the first user of a Mac.
const USER: u32 = 501;

/// What the host reports of itself: no PID namespaces, and start times in microseconds of the time of day.
#[must_use]
pub fn whereabouts() -> HostInfo {
    let user = HostInfo { uid: Uid(USER), gid: Gid(20), ..host_info() };
    HostInfo { pid_namespace: 0, start_clock: StartClock::DayMicros, ..user }
}

/// A Mac that runs launchd and these processes; launchd has no jobs.
#[must_use]
pub fn of(processes: impl IntoIterator<Item = Process>) -> Machine {
    let launchd = Process::new(1, "launchd").child_of(0).leader().started(0).uid(0).exe("/sbin/launchd");
    let mut machine = Machine::of([launchd]);
    machine.is_mac = true;
    for process in processes {
        machine.add(process);
    }
    machine
}

/// An orphan of the first user, started at this time of day in microseconds.
#[must_use]
pub fn process(number: i32, program: &str, started: u64) -> Process {
    let path = format!("/opt/homebrew/bin/{program}");
    let process = Process::new(number, program).uid(USER).started(started).exe(&path).block(b"");
    let login =
        [("HOME", "/Users/ann"), ("LOGNAME", "ann"), ("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/zsh")];
    login.into_iter().fold(process, |process, (name, value)| process.env(name, value))
}

/// A running launchd job.
#[must_use]
pub fn job(label: &str, number: i32) -> UnitMain {
    let unit = RuntimeUnit { name: label.to_owned(), user: Some(Uid(USER)) };
    UnitMain { unit, main: Some(pid(number)), control: None }
}

/// The answer of `sysctl KERN_PROCARGS2`, as bsd/kern/kern_exec.c lays it out and `sysctl_procargsx` hands it out.
fn procargs(process: &Process) -> Vec<u8> {
    let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(8), 0);
    let mut data = [process.exe.as_slice(), b"\0"].concat();
    pad(&mut data);
    for arg in &process.argv {
        data.extend([arg.as_slice(), b"\0"].concat());
    }
    if !process.is_withheld {
        data.extend(&process.environ);
        pad(&mut data);
        data.extend(b"stack_guard=0x4d2f00d1c2b3a495\0ptr_munge=\0th_port=0x103\0");
    }
    let argc = i32::try_from(process.argv.len()).unwrap_or(i32::MAX);
    [&argc.to_ne_bytes()[..], &data].concat()
}

impl Machine {
    pub(super) fn stat(&self, process: &Process, by: Uid) -> Stat {
        let stat = process.seen_as_stat(by);
        if !self.is_mac {
            return stat;
        }
        let session = stat.session.filter(|_| !process.is_dead());
        Stat { environ_len: None, session, ..stat }
    }

    fn buffer(&self, process: &Process, by: Uid) -> Result<Vec<u8>, Why> {
        if !process.has_memory() {
            return Err(Why::Exiting);
        }
        process.memory(by).map(|()| procargs(process))
    }

    pub(super) fn environ(&self, process: &Process, by: Uid, wanted: &Wanted) -> Result<EnvironScan, Why> {
        if !self.is_mac {
            return process.seen_environ(by, wanted);
        }
        self.buffer(process, by).and_then(|bytes| ProcArgs::parse(&bytes)?.search(wanted))
    }

    pub(super) fn argv(&self, process: &Process, by: Uid) -> Result<Vec<Vec<u8>>, Why> {
        if !self.is_mac {
            return Ok(process.seen_argv());
        }
        self.buffer(process, by)
            .and_then(|bytes| Ok(ProcArgs::parse(&bytes)?.argv().map(<[u8]>::to_vec).collect()))
    }

    pub(super) fn started_by_parent(&self, process: &Process) -> Option<bool> {
        let starter = process.starter.filter(|_| self.is_mac)?;
        let parent = process.ppid.and_then(|p| self.get(p))?;
        Some(parent.serial == starter)
    }
}
