//! What can be read of a process by its pid. Every function here may read another process than the one
//! that was meant, if the pid was reused meanwhile; [`super::process`] makes sure that it was not.

use std::cell::RefCell;
use std::sync::OnceLock;

use libproc::kinfo::KinfoProc;
use libproc::proc_pid;
use libproc::task_info::TaskInfo;
use nix::errno::Errno;

use super::bsdinfo::{self, Record, Unique};
use super::errors::of_libproc;
use super::procargs::ProcArgs;
use super::{nix_pid, our_pid, socket, syscalls};
use crate::environ::{EnvironScan, Wanted};
use crate::sockets::{Listener, each_once};
use crate::types::{Pid, StartTime, Stat, Uid, Why};

/// Arguments beyond this many bytes are not read: no rule needs them.
const MAX_ARGV: usize = 128 << 10;
/// The longest arguments and environment in bytes, if the system does not report it (`ARG_MAX`).
const ARG_MAX: usize = 1 << 20;
/// `P_WEXIT` (sys/proc.h): it is exiting.
const P_WEXIT: i32 = 0x2000;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The never-reused numbers of a process.
pub fn unique(pid: Pid) -> Result<Unique, Why> {
    syscalls::pid_info(pid, bsdinfo::UNIQUE.0).map(|bytes| Unique::parse(&bytes))
}

/// Its effective user.
pub fn owner(pid: Pid) -> Result<Uid, Why> {
    syscalls::pid_info(pid, bsdinfo::SHORT.0).map(|bytes| bsdinfo::owner(&bytes))
}

/// The facts of a process, all of one moment.
pub fn look(pid: Pid) -> Result<(Record, Unique), Why> {
    match syscalls::pid_info(pid, bsdinfo::WHOLE.0) {
        Ok(bytes) => Ok((Record::parse(&bytes), Unique::of_whole(&bytes))),
        Err(Why::Denied) => foreign(pid),
        Err(why) => Err(why),
    }
}

/// Another user's process: the same facts from calls that any user may make.
fn foreign(pid: Pid) -> Result<(Record, Unique), Why> {
    let before = unique(pid)?;
    let info = proc_pid::kproc_info_raw(pid.get()).map_err(|e| of_libproc(&e))?;
    let after = unique(pid)?;
    if before.id != after.id {
        return Err(Why::Gone);
    }
    Ok((of_kinfo(&info), after))
}

fn of_kinfo(info: &KinfoProc) -> Record {
    let (own, more) = (&info.kp_proc, &info.kp_eproc);
    let comm: Vec<u8> = own.p_comm.iter().map(|b| b.cast_unsigned()).collect();
    let (seconds, micros) = (own.p_un.tv_sec, own.p_un.tv_usec);
    let start = u64::try_from(seconds.saturating_mul(1_000_000).saturating_add(i64::from(micros)));
    Record {
        pid: Pid::new(own.p_pid),
        ppid: Pid::new(more.e_ppid),
        pgrp: Pid::new(more.e_pgid),
        state: bsdinfo::state(u32::from(own.p_stat.cast_unsigned())),
        is_exiting: own.p_flag & P_WEXIT != 0,
        ids: bsdinfo::ids(more.e_pcred.p_ruid, more.e_ucred.cr_uid, more.e_pcred.p_svuid),
        comm: bsdinfo::comm(&comm),
        start: StartTime(start.unwrap_or(0)),
    }
}

/// Its session. Zombies have none.
pub fn session(pid: Pid) -> Result<Option<Pid>, Why> {
    match nix::unistd::getsid(Some(nix_pid(pid))) {
        Ok(leader) => Ok(our_pid(leader)),
        Err(Errno::ESRCH) => Ok(None),
        Err(errno) => Err(super::errors::why(errno as i32)),
    }
}

/// Its cheap facts, and its never-reused numbers.
pub fn stat(pid: Pid) -> Result<(Stat, Unique, Record), Why> {
    let (seen, unique) = look(pid)?;
    let session = session(pid)?;
    // For showing only; other users' cannot be read.
    let rss_bytes = proc_pid::pidinfo::<TaskInfo>(pid.get(), 0).map_or(0, |task| task.pti_resident_size);
    Ok((seen.stat(pid, session, rss_bytes), unique, seen))
}

/// Its program file.
pub fn exe(pid: Pid) -> Result<Vec<u8>, Why> {
    proc_pid::pidpath(pid.get()).map(String::into_bytes).map_err(|e| of_libproc(&e))
}

/// Its arguments.
pub fn argv(pid: Pid) -> Result<Vec<Vec<u8>>, Why> {
    arguments(pid, |args| {
        let mut room = MAX_ARGV;
        let fits = |arg: &&[u8]| {
            let enough = arg.len() < room;
            room = room.saturating_sub(arg.len() + 1);
            enough
        };
        Ok(args.argv().take_while(fits).map(<[u8]>::to_vec).collect())
    })
}

/// What it accepts connections on.
pub fn listeners(pid: Pid) -> Result<Vec<Listener>, Why> {
    let list = syscalls::list_descriptors(pid)?;
    let (mut listeners, mut is_certain) = (Vec::new(), !list.is_empty());
    for fd in socket::sockets(&list) {
        match syscalls::socket_info(pid, fd)? {
            Some(bytes) => listeners.extend(socket::listener(&bytes)),
            None => is_certain = false,
        }
    }
    if !is_certain {
        // It has closed some or all, or is about to exit.
        let (seen, _) = look(pid)?;
        if seen.state.has_exited() {
            return Err(Why::Gone);
        }
        if seen.is_exiting {
            return Err(Why::Exiting);
        }
    }
    Ok(each_once(listeners))
}

/// Searches its environment.
pub fn environ(pid: Pid, wanted: &Wanted) -> Result<EnvironScan, Why> {
    arguments(pid, |args| args.search(wanted))
}

fn arguments<T>(pid: Pid, read: impl FnOnce(&ProcArgs<'_>) -> Result<T, Why>) -> Result<T, Why> {
    let longest = arg_max();
    SCRATCH.with_borrow_mut(|buffer| {
        // The kernel refuses a larger one. It fills a smaller one with the end of what there is, so one that is full
        // cannot be parsed.
        buffer.resize(longest + size_of::<libc::c_int>(), 0);
        let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid.get()];
        let len = match syscalls::sysctl(&mut name, buffer) {
            Ok(len) if len < buffer.len() => len,
            Ok(_) => return Err(Why::Garbled("its arguments and its environment are too long to be read")),
            Err(Errno::EINVAL) => return Err(why_not(pid)),
            Err(errno) => return Err(super::errors::why(errno as i32)),
        };
        read(&ProcArgs::parse(buffer.get(..len).unwrap_or_default())?)
    })
}

/// Finds the reason: the kernel has one error for processes that are gone, exiting or another user's.
fn why_not(pid: Pid) -> Why {
    match look(pid) {
        Err(why) => why,
        Ok((seen, _)) if seen.is_exiting || seen.state.has_exited() => Why::Exiting,
        Ok((seen, _)) if seen.ids.effective.0 != nix::unistd::geteuid().as_raw() => Why::Denied,
        Ok(_) => Why::Failed("sysctl KERN_PROCARGS2: Invalid argument".to_owned()),
    }
}

fn arg_max() -> usize {
    static LONGEST: OnceLock<usize> = OnceLock::new();
    *LONGEST.get_or_init(|| {
        let mut bytes = [0u8; size_of::<libc::c_int>()];
        let asked = syscalls::sysctl(&mut [libc::CTL_KERN, libc::KERN_ARGMAX], &mut bytes);
        let said = asked.ok().map(|_| libc::c_int::from_ne_bytes(bytes));
        said.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(ARG_MAX)
    })
}
