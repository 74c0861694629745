//! Marked agents and their orphans, the command that ends them, and the leases that launchers write.

use std::fs;
use std::path::PathBuf;

use reaper_testkit::{IdMap, PidNamespace, ProcessRef, ProcessSet, ProcessSpec};

use super::command::Reaper;
use super::wait::LONG;

/// The launcher's marker, with the value that the launcher really sets.
pub const MARK: &str = "SPROUT_MANAGED_AGENT";
pub const APP: &str = "xyz.block.sprout.app";

/// The acting command as run from scripts: ends what may be ended, without grace, and lists everything.
pub const ACT: [&str; 7] = ["scan", "--yes", "--all", "--grace", "0s", "--format", "json"];

/// A namespace for a user without capabilities: processes of others, or protected ones, cannot be read.
pub fn ordinary_user() -> PidNamespace {
    let namespace = PidNamespace::new().systemd().user_namespace(IdMap::Same);
    if rustix::process::geteuid().is_root() { namespace.as_user(1000) } else { namespace }
}

/// The home of a test's runs.
pub fn home(processes: &ProcessSet) -> PathBuf {
    processes.directory().join("home")
}

/// The acting command.
pub fn act(processes: &ProcessSet) -> Reaper {
    Reaper::new(&home(processes), ACT)
}

/// An agent of a known launcher.
pub fn marked(processes: &ProcessSet, name: &str) -> ProcessSpec {
    processes.spec(name).env(MARK, APP)
}

/// A clear orphan: that it is ended shows that the run acted, so that other processes were spared on purpose.
pub fn orphan(processes: &ProcessSet) -> ProcessRef {
    marked(processes, "goose").args(["acp"]).orphan_of_dead_leader()
}

/// The file of the stand-in under this name.
pub fn program(processes: &ProcessSet, name: &str) -> PathBuf {
    let one = processes.spec(name).child();
    let path = one.exe().unwrap();
    one.kill();
    path
}

/// `REAPER_OWNER` for this owner, with its PID namespace.
pub fn lease(owner: &ProcessRef) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    format!("{}:{}:{}:{}", owner.pid, owner.start_ticks(), boot.trim(), pid_namespace(owner.pid))
}

/// The inode of a process's PID namespace.
pub fn pid_namespace(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    link.to_str().unwrap().chars().filter(char::is_ascii_digit).collect()
}

/// The same lease without a namespace, as older launchers write it.
pub fn of_no_namespace(lease: &str) -> String {
    lease.rsplit_once(':').unwrap().0.to_owned()
}

/// A lease of an owner that has ended.
pub fn dead_lease(processes: &ProcessSet) -> String {
    let owner = processes.spec("launcher").child();
    let lease = lease(&owner);
    owner.kill();
    assert!(owner.wait_reaped(LONG));
    lease
}
