//! Real programs in a private PID namespace: where they are installed, how users start them, and how to find what
//! they start.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use reaper_testkit::{ProcessRef, ProcessSet, ProcessSpec};

use crate::common::{ACT, Ran, Reaper, home, lease, set_mode, until};

/// A Node.js program that does nothing until it is ended: not even the end of its input ends it.
pub const IDLE: &str = "process.stdin.resume(); setInterval(() => {}, 1e6);";
/// An HTTP server, as `npm run dev` and agents start them, on a port that the kernel chooses.
pub const SERVER: &str = "require('http').createServer((q, r) => r.end('x')).listen(0, '127.0.0.1', () => \
                          require('fs').writeFileSync(process.env.READY, 'listening'));";
/// The user of tests whose programs refuse to run as root.
pub const USER: u32 = 1000;

/// A program where distributions or their users put it.
pub fn installed(name: &str) -> Option<PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|bin| Path::new(bin).join(name))
        .find(|path| path.exists())
}

/// Debian's servers are not in the path.
pub fn postgres_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut bins = versions.map(|version| version.path().join("bin"));
    let is_there = |bin: &PathBuf| bin.join("pg_ctl").exists();
    bins.find(is_there).or_else(|| Some(PathBuf::from("/usr/local/bin")).filter(is_there))
}

/// A package that the tests had npm install.
pub fn npm_package(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/npm/node_modules");
    let named = std::env::var_os("REAPER_TEST_NPM").map(PathBuf::from);
    named.into_iter().chain([beside]).map(|modules| modules.join(name)).find(|package| package.exists())
}

/// A file of the test that every user can read.
pub fn file(processes: &ProcessSet, path: &str, text: &str) -> PathBuf {
    let file = processes.directory().join(path);
    let folder = file.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    for folder in folder.ancestors().take_while(|folder| *folder != processes.directory()) {
        set_mode(folder, 0o755);
    }
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o755);
    file
}

/// A folder of this user's.
pub fn folder(processes: &ProcessSet, name: &str, uid: u32) -> PathBuf {
    let folder = processes.directory().join(name);
    fs::create_dir_all(&folder).unwrap();
    set_mode(&folder, 0o700);
    chown(&folder, Some(uid), Some(uid)).unwrap();
    folder
}

/// Real Node.js running a script, without a marker.
pub fn node(processes: &ProcessSet, script: &Path) -> ProcessSpec {
    let node = installed("node").expect("asked before");
    processes.spec("node").foreign(node).args([script])
}

/// Adds the marker of Sprout, as [`marked`] does.
pub fn sprout(spec: ProcessSpec) -> ProcessSpec {
    spec.env(crate::common::MARK, crate::common::APP)
}

/// Waits for the file by which a program says that it does what it is for.
pub fn wait_for(ready: &Path) {
    until("it says that it is ready", || fs::metadata(ready).is_ok_and(|file| file.size() > 0));
}

/// The living processes of the namespace for which it is so.
pub fn all_processes(is_it: impl Fn(&ProcessRef) -> bool) -> Vec<ProcessRef> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| ProcessRef::open(pid).ok()).filter(|one| one.is_alive() && is_it(one)).collect()
}

/// Waits for the process for which it is so.
#[track_caller]
pub fn find(what: &str, is_it: impl Fn(&ProcessRef) -> bool) -> ProcessRef {
    let mut found = None;
    until(&format!("there is {what}"), || {
        found = all_processes(&is_it).into_iter().next();
        found.is_some()
    });
    found.unwrap()
}

/// The arguments of a process, or the title that it gave itself.
pub fn title(alive: &ProcessRef) -> String {
    String::from_utf8_lossy(&alive.cmdline()).replace('\0', " ").trim_end().to_owned()
}

/// Everything that hangs below a process now.
pub fn below(alive: &ProcessRef) -> Vec<ProcessRef> {
    let mut found = all_processes(|one| one.ppid() == alive.pid);
    for child in found.clone() {
        found.extend(below(&child));
    }
    found
}

/// The variables that a dead launcher set on all that it started.
pub struct Dead(String);

impl Dead {
    pub fn new(processes: &ProcessSet) -> Self {
        let owner = processes.spec("launcher").child();
        let lease = lease(&owner);
        owner.kill();
        assert!(owner.wait_reaped(crate::common::LONG));
        Self(lease)
    }

    /// Stamps a process to be.
    pub fn stamp(&self, spec: ProcessSpec) -> ProcessSpec {
        spec.env("REAPER_MANAGED", "1").env("REAPER_OWNER", &self.0)
    }

    /// A stand-in that it started.
    pub fn spec(&self, processes: &ProcessSet, name: &str) -> ProcessSpec {
        self.stamp(processes.spec(name))
    }
}

/// The acting command with a config of its own.
pub fn act_with(processes: &ProcessSet, config: &str) -> Reaper {
    let file = config_file(processes, config);
    Reaper::new(&home(processes), ACT.into_iter().chain(["--config", file.to_str().unwrap()]))
}

/// A config that only its owner may write.
pub fn config_file(processes: &ProcessSet, text: &str) -> PathBuf {
    let file = processes.directory().join("config.toml");
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o600);
    file
}

/// Fails unless every process that the report lists as left alone is alive, or marked as ended since.
#[track_caller]
pub fn says_the_truth_of_what_it_left(ran: &Ran) {
    for left in ran.json()["left_alone"].as_array().unwrap() {
        let pid = i32::try_from(left["pid"].as_i64().unwrap()).unwrap();
        let is_alive = ProcessRef::open(pid).is_ok_and(|one| one.is_alive());
        assert_eq!(is_alive, left["ended"] != true, "{left}");
    }
}
