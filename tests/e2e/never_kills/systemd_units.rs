//! Services and scopes: real cgroups, and a `systemctl` that answers from files and can be made to wait.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reaper_testkit::{ProcessRef, ProcessSet};

use crate::common::{Reaper, act, set_mode, until};

const SYSTEMCTL: &str = r#"#!/bin/sh
dir=${0%/*} manager=$1
count=$(($(cat "$dir/count") + 1)); echo $count >"$dir/count"
if [ -e "$dir/stop-$count" ]; then : >"$dir/at-$count"; until [ -e "$dir/go-$count" ]; do sleep 0.01; done; fi
while [ "$1" != -- ]; do [ $# -gt 0 ] || exit 1; shift; done
shift
for unit; do cat "$dir/$manager/$unit" || exit 1; echo; done
"#;

/// A branch of the machine's cgroup v2 tree for this test; removed in the end.
pub struct Branch(PathBuf);

impl Branch {
    /// Grows it; `Err` with the reason where there is none to be had.
    pub fn new() -> Result<Self, String> {
        // Not among the processes's files, which are all removed in the end: this is the whole machine's tree.
        let tree = Path::new("/run/cgroup");
        fs::create_dir(tree).unwrap();
        let mount = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(tree).output().unwrap();
        if !mount.status.success() {
            return Err(format!("no cgroup2: {}", String::from_utf8_lossy(&mount.stderr).trim()));
        }
        // The number of our PID namespace is ours alone.
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap().to_string_lossy().into_owned();
        let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
        let branch = tree.join(format!("reaper-test-{number}"));
        fs::create_dir(&branch).map_err(|error| format!("no cgroup of our own: {error}"))?;
        Ok(Self(branch))
    }

    /// A cgroup in it.
    pub fn grow(&self, path: &str) -> PathBuf {
        let cgroup = self.0.join(path);
        fs::create_dir_all(&cgroup).unwrap();
        cgroup
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        // Nothing else removes it: it would stay on the machine.
        until("the cgroups are empty", || remove(&self.0).is_ok());
    }
}

/// The units of one test.
pub struct Units {
    bin: PathBuf,
    inside: RefCell<Vec<ProcessRef>>,
    branch: Branch,
}

impl Units {
    /// Their cgroups and their manager; `Err` with the reason where there can be none.
    pub fn new(processes: &ProcessSet) -> Result<Self, String> {
        let branch = Branch::new()?;
        let bin = processes.directory().join("systemctl");
        for manager in ["--system", "--user"] {
            fs::create_dir_all(bin.join(manager)).unwrap();
        }
        fs::write(bin.join("count"), "0\n").unwrap();
        fs::write(bin.join("systemctl"), SYSTEMCTL).unwrap();
        set_mode(&bin, 0o777);
        set_mode(&bin.join("count"), 0o666);
        set_mode(&bin.join("systemctl"), 0o755);
        Ok(Self { bin, inside: RefCell::default(), branch })
    }

    /// Puts a process into a unit, named by its path below the root of all units.
    pub fn enter(&self, unit: &str, alive: &ProcessRef) {
        let cgroup = self.branch.grow(unit);
        fs::write(cgroup.join("cgroup.procs"), alive.pid.to_string()).unwrap();
        self.inside.borrow_mut().push(alive.clone());
        let line = fs::read_to_string(format!("/proc/{}/cgroup", alive.pid)).unwrap();
        assert!(line.lines().any(|l| l.starts_with("0::") && l.ends_with(unit)), "{line}");
    }

    /// Sets the answer of the service manager (`--system` or `--user`) for a unit.
    pub fn answer(&self, manager: &str, unit: &str, main: i32, control: i32) {
        let text = format!("MainPID={main}\nControlPID={control}\nId={unit}\nNames={unit}\n");
        fs::write(self.bin.join(manager).join(unit), text).unwrap();
    }

    /// Blocks the manager at its `n`th query, until [`Units::go_on`].
    pub fn stop_at(&self, n: u32) {
        fs::write(self.bin.join(format!("stop-{n}")), "").unwrap();
    }

    /// Waits until the `n`th query has been made.
    #[track_caller]
    pub fn wait_at(&self, n: u32) {
        let at = self.bin.join(format!("at-{n}"));
        until("the manager is asked", || at.exists());
    }

    /// Lets the manager answer.
    pub fn go_on(&self, n: u32) {
        fs::write(self.bin.join(format!("go-{n}")), "").unwrap();
    }

    /// The number of queries.
    pub fn asked(&self) -> u32 {
        fs::read_to_string(self.bin.join("count")).unwrap().trim().parse().unwrap()
    }

    /// The acting command, with this manager in its path.
    pub fn act(&self, processes: &ProcessSet) -> Reaper {
        self.with(act(processes))
    }

    /// The same for any command.
    pub fn with(&self, reaper: Reaper) -> Reaper {
        reaper.env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()))
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        self.inside.borrow().iter().for_each(ProcessRef::kill);
    }
}

fn remove(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}
