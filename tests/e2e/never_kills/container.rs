//! Containers: a PID namespace within the test's, with a PID 1 that the test chooses.

use std::fs;
use std::process::Command;

use reaper_testkit::{ProcessRef, ProcessSet};

use crate::common::{ACT, MARK, Ran, Reaper, home, until};

/// A running container. Its processes are told apart from others by the number of their namespace.
pub struct Container<'a> {
    processes: &'a ProcessSet,
    init: ProcessRef,
}

impl<'a> Container<'a> {
    /// Starts `command` in bash as PID 1, leading a session as runtimes make it, with the marker in the image's own
    /// environment; `init` is the name of what it becomes. `Err` with the reason where that is not allowed.
    pub fn start(processes: &'a ProcessSet, command: &str, init: &str) -> Result<Self, String> {
        let unshare = processes.spec("unshare").foreign("/usr/bin/unshare").env(MARK, "image");
        let runtime = unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        let runtime = runtime.args(["setsid", "bash", "-c", command]).child();
        let mut first = None;
        until("the container is up", || {
            first = children(&runtime).first().copied().and_then(|pid| ProcessRef::open(pid).ok());
            !runtime.is_alive() || first.as_ref().is_some_and(|first| first.comm() == init)
        });
        let init = first.filter(|_| runtime.is_alive()).ok_or("no PID namespace within another")?;
        Ok(Self { processes, init })
    }

    /// Runs a command in the container, with its parent outside, as `docker exec` does.
    pub fn exec(&self, script: &str) -> ProcessRef {
        let target = self.init.pid.to_string();
        let enter = self.processes.spec("nsenter").foreign("/usr/bin/nsenter").env(MARK, "image");
        enter.args(["--target", &target, "--pid", "--mount", "--", "bash", "-c", script]).child()
    }

    /// PID 1.
    pub const fn init(&self) -> &ProcessRef {
        &self.init
    }

    /// Runs reaper there in the same way: beside the workload, as a sidecar is.
    pub fn reaper(&self, args: &[&str]) -> Ran {
        let reaper = Reaper::new(&home(self.processes), args.iter().copied());
        enter(&self.init, &["--pid", "--mount"], &reaper.command()).output().unwrap().into()
    }

    /// The acting command there.
    pub fn act(&self) -> Ran {
        self.reaper(&ACT)
    }

    /// Waits for the process of this name that `is_it`, and gives it with the number that it has inside.
    pub fn find(&self, name: &str, is_it: impl Fn(&ContainerProcess) -> bool) -> ContainerProcess {
        let mut found = None;
        until(&format!("there is a `{name}`"), || {
            found = container_processes(&self.init)
                .into_iter()
                .find(|one| one.alive.comm() == name && one.is_set_up() && is_it(one));
            found.is_some()
        });
        found.unwrap()
    }
}

/// The same command in namespaces of a process. Its parent stays outside.
pub fn enter(init: &ProcessRef, namespaces: &[&str], command: &Command) -> Command {
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &init.pid.to_string()]).args(namespaces).arg("--");
    enter.arg(command.get_program()).args(command.get_args()).env_clear();
    enter.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    enter
}

/// Every process in the PID namespace of this one.
pub fn container_processes(of: &ProcessRef) -> Vec<ContainerProcess> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let ours = namespace(&of.pid.to_string());
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    let inside = all.filter(|name| name.to_str().and_then(namespace).is_some_and(|ns| Some(ns) == ours));
    inside.filter_map(|name| ContainerProcess::of(name.to_str()?.parse().ok()?)).collect()
}

/// A process in a container.
#[derive(Debug)]
pub struct ContainerProcess {
    pub alive: ProcessRef,
    /// Its number and its parent's, as they are seen there; 0 for a parent outside.
    pub pid: i32,
    pub ppid: i32,
}

impl ContainerProcess {
    fn of(outer: i32) -> Option<Self> {
        let alive = ProcessRef::open(outer).ok()?;
        let pid = inner(outer)?;
        let parent = alive.ppid();
        let same = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ppid = if same(parent) == same(outer) { inner(parent)? } else { 0 };
        Some(Self { alive, pid, ppid })
    }

    /// In the middle of an exec a process has its new name and no environment yet.
    pub fn is_set_up(&self) -> bool {
        self.alive
            .environ()
            .is_ok_and(|environ| environ.windows(MARK.len()).any(|part| part == MARK.as_bytes()))
    }
}

/// The innermost number of a process.
fn inner(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

pub fn children(alive: &ProcessRef) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", alive.pid)).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
