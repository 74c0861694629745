//! Real processes, on the machine as it is and in a PID namespace of their own, where nothing else takes pids.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::host::Host as _;
use crate::linux::LinuxHost;
use crate::started::{Listed, PidMark, Started};
use crate::types::{Scope, Uid};

/// The name of the test that runs in its own namespace.
const INSIDE: &str = "REAPER_TEST_IN_NAMESPACE";

/// Children that sleep until they are ended.
#[derive(Default)]
struct Children(Vec<Child>);

impl Children {
    fn start(count: usize) -> Self {
        let start = |_| Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Self((0..count).map(start).collect())
    }

    fn pids(&self) -> Vec<Pid> {
        self.0.iter().map(|child| Pid::new(i32::try_from(child.id()).unwrap()).unwrap()).collect()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn host() -> LinuxHost {
    LinuxHost::new().unwrap()
}

fn last(host: &LinuxHost) -> Result<Pid, Why> {
    PidOrder::open(host.root(), host.info().pid)?.last()
}

/// A mark of now, with nothing left to list from before.
fn settled(host: &LinuxHost) -> PidMark {
    PidMark::settled(last(host).unwrap(), host.clock().monotonic)
}

fn pids(started: &Started) -> Vec<Pid> {
    started.entries.iter().map(|listed| listed.pid).collect()
}

/// Bypasses the harness's capture of output, in the format that `ci/skipped` looks for.
fn skip(name: &str, reason: &str) {
    drop(writeln!(std::io::stderr(), "skipped: recent::{name}: {reason}"));
}

/// Runs `test` in a PID namespace of its own with a `/proc` of its own, by running this program once more for the test
/// `name` alone. It is the first process there.
fn in_own_namespace(name: &str, test: impl FnOnce()) {
    in_namespace(name, &["--mount-proc"], test);
}

fn in_namespace(name: &str, options: &[&str], test: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        return test();
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--kill-child"]).args(options).arg("--");
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("linux::recent::tests::{name}"), "--nocapture", "--test-threads=1"]);
    let output = match command.env(INSIDE, name).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return skip(name, &format!("unshare: {error}")),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let line = |words: &str| err.lines().find(|line| line.starts_with(words));
    if let Some(skipped) = line("skipped: ") {
        drop(writeln!(std::io::stderr(), "{skipped}"));
    } else if let Some(refused) = line("unshare: ") {
        skip(name, refused);
    } else {
        // A name that matches no test would succeed as well.
        assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
    }
}

#[test]
fn what_was_started_since_is_found() {
    let host = host();
    let _old = Children::start(3);
    let mark = settled(&host);
    assert_eq!(host.started_since(&mark, Scope::Everyone).unwrap().unreadable, 0);
    let new = Children::start(3);
    for scope in [Scope::Everyone, Scope::User(host.info().uid)] {
        let started = host.started_since(&mark, scope).unwrap();
        // Others may have been started on the machine meanwhile.
        for pid in new.pids() {
            let listed = Listed { pid, uid: host.info().uid };
            assert!(started.entries.contains(&listed), "{listed:?} in {started:?}");
        }
    }
    let others = host.started_since(&mark, Scope::User(Uid(u32::MAX - 7))).unwrap();
    assert_eq!(others.entries, []);
    assert!(others.examined >= 3, "{others:?}");
}

#[test]
fn the_first_answer_after_a_mark_has_everything() {
    let host = host();
    let old = Children::start(2);
    let mark = host.pid_mark().unwrap();
    let new = Children::start(2);
    let started = host.started_since(&mark, Scope::User(host.info().uid)).unwrap();
    for pid in [&[host.info().pid][..], &old.pids(), &new.pids()].concat() {
        assert!(pids(&started).contains(&pid), "{pid} in {started:?}");
    }
}

#[test]
fn the_cost_follows_the_number_of_new_processes() {
    let name = "the_cost_follows_the_number_of_new_processes";
    in_own_namespace(name, || {
        let host = host();
        let _old = Children::start(200);
        assert!(host.list(Scope::Everyone).unwrap().examined > 200);
        let mark = settled(&host);
        let nothing = host.started_since(&mark, Scope::Everyone).unwrap();
        assert_eq!((nothing.examined, nothing.entries), (0, Vec::new()));
        let mut new = Children::start(3);
        let started = host.started_since(&mark, Scope::Everyone).unwrap();
        assert_eq!((started.examined, pids(&started)), (3, new.pids()));
        // Pids of threads and of processes that are gone are skipped.
        drop(Children(vec![new.0.remove(1)]));
        for _ in 0..50 {
            std::thread::spawn(|| {}).join().unwrap();
        }
        let started = host.started_since(&mark, Scope::Everyone).unwrap();
        assert_eq!((started.examined, pids(&started)), (2, new.pids()));
        assert!(last(&host).unwrap() > new.pids()[1], "the last pid is a thread's");
        std::thread::sleep(Duration::from_millis(1_100));
        let first = host.started_since(&mark, Scope::Everyone).unwrap();
        let second = host.started_since(&first.mark, Scope::Everyone).unwrap();
        assert_eq!((pids(&first), pids(&second)), (new.pids(), new.pids()), "in two answers");
        std::thread::sleep(Duration::from_millis(1_100));
        let mark = host.started_since(&second.mark, Scope::Everyone).unwrap().mark;
        assert_eq!(host.started_since(&mark, Scope::Everyone).unwrap().examined, 0, "and in no more");
    });
}

#[test]
fn after_the_highest_pid_the_lowest_are_found() {
    let name = "after_the_highest_pid_the_lowest_are_found";
    in_own_namespace(name, || {
        let host = host();
        let highest = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
        let highest: i32 = highest.trim().parse::<i32>().unwrap() - 1;
        let set_last = |last: i32| std::fs::write("/proc/sys/kernel/ns_last_pid", last.to_string());
        if let Err(error) = set_last(highest - 6) {
            return skip(name, &format!("ns_last_pid: {error}"));
        }
        let old = Children::start(3);
        let mark = settled(&host);
        let new = Children::start(6);
        let (last_old, pids_of_new) = (old.pids()[2].get(), new.pids());
        assert!(last_old < pids_of_new[0].get() && pids_of_new[5].get() < last_old, "{pids_of_new:?}");
        let started = host.started_since(&mark, Scope::Everyone).unwrap();
        // The first process, which is this program, is in the second range.
        let mut expected = pids_of_new;
        expected.push(host.info().pid);
        expected.sort();
        assert_eq!((started.examined, pids(&started)), (7, expected));
    });
}

#[test]
fn old_processes_behind_the_new_ones_are_left_out() {
    let name = "old_processes_behind_the_new_ones_are_left_out";
    in_own_namespace(name, || {
        let host = host();
        if let Err(error) = std::fs::write("/proc/sys/kernel/ns_last_pid", "2000") {
            return skip(name, &format!("ns_last_pid: {error}"));
        }
        let _old = Children::start(200);
        std::fs::write("/proc/sys/kernel/ns_last_pid", "1000").unwrap();
        let mark = settled(&host);
        let mut new = Children::start(60);
        let listed = || host.started_since(&mark, Scope::Everyone).map(|s| (s.examined, pids(&s))).unwrap();
        assert_eq!(listed(), (60, new.pids()));
        drop(Children(new.0.pop().into_iter().collect()));
        assert_eq!(listed(), (59, new.pids()), "the process with the last pid is gone");
    });
}

/// Mounts a file over one of `/proc`, as lxcfs does in containers.
fn cover(path: &str, with: &std::path::Path) -> Result<(), String> {
    let output = Command::new("mount").arg("--bind").args([with, path.as_ref()]).output();
    let output = output.map_err(|error| format!("mount: {error}"))?;
    let refused = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(refused()) }
}

#[test]
fn a_file_over_the_kernels_own_is_not_believed() {
    let name = "a_file_over_the_kernels_own_is_not_believed";
    in_own_namespace(name, || {
        let host = host();
        let dir = tempfile::tempdir().unwrap();
        let (loadavg, number) = (dir.path().join("loadavg"), dir.path().join("number"));
        std::fs::write(&loadavg, "0.50 0.40 0.30 1/80 77\n").unwrap();
        std::fs::write(&number, "77\n").unwrap();
        let is_right = |last: Result<Pid, Why>| last.is_ok_and(|last| last.get() < 77);
        assert!(is_right(last(&host)));
        if let Err(reason) = cover("/proc/sys/kernel/ns_last_pid", &number) {
            return skip(name, &reason);
        }
        assert!(is_right(last(&host)), "from the other file");
        cover("/proc/loadavg", &loadavg).unwrap();
        assert_eq!(last(&host), Err(NO_ORDER));
        assert_eq!(host.pid_mark().map_err(|error| error.why), Err(NO_ORDER), "the caller lists all");
        assert!(host.list(Scope::Everyone).is_ok());
    });
}

/// The last pid would be of our namespace, and the positions of the other.
#[test]
fn where_proc_is_of_another_namespace_there_is_no_host() {
    in_namespace("where_proc_is_of_another_namespace_there_is_no_host", &[], || {
        assert_eq!(LinuxHost::new().map(drop).map_err(|error| error.what), Err("use /proc"));
    });
}
