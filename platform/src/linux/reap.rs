//! Reaping for a container's first process: orphans that it adopts stay zombies until it waits for them.
//!
//! Our own children (notification commands, the service manager's tool) are waited for where they are started. They are
//! recognised by their session: a child inherits ours, and no adopted process can have it.

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid as Raw;
use rustix::process::getsid;

use crate::host::Host;
use crate::types::Pid;

pub(super) fn adopted(host: &impl Host) -> usize {
    let mut count = 0;
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // One at a time while the first that has exited is not our own; only then are all children listed.
    while let Some(pid) = waitid(Id::All, peek).ok().and_then(|status| Pid::new(status.pid()?.as_raw())) {
        if !is_adopted(host, pid) {
            let all = host.children(host.info().pid).unwrap_or_default();
            return count + all.into_iter().filter(|pid| is_adopted(host, *pid) && collect(*pid)).count();
        }
        if !collect(pid) {
            break;
        }
        count += 1;
    }
    count
}

/// Whether a child of ours was adopted. A zombie keeps its session.
fn is_adopted(host: &impl Host, pid: Pid) -> bool {
    let own = getsid(None).ok().and_then(|session| Pid::new(session.as_raw_nonzero().get()));
    host.stat_of(pid).is_ok_and(|stat| stat.session.is_none() || stat.session != own)
}

/// Reaps a child, if it has exited.
fn collect(pid: Pid) -> bool {
    let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    loop {
        match waitid(Id::Pid(Raw::from_raw(pid.get())), how) {
            Err(Errno::EINTR) => {}
            ended => return ended.is_ok_and(|status| status.pid().is_some()),
        }
    }
}
