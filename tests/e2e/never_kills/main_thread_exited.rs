//! Processes whose main thread has exited while another runs: the kernel shows a zombie, and they are alive.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, skip, test_name};

use crate::common::{
    ACT, LONG, Ran, Reaper, Running, act, action, ended, home, marked, orphan, records, set_mode, spared,
    until, untouched,
};

const PYTHON: &str = "/usr/bin/python3";

/// The system call, not libc's `exit`: it ends the thread that makes it and no other.
const PRELUDE: &str = "import ctypes, os, signal, sys, threading, time
def exit_main_thread(*_):
    ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)
def start_another():
    threading.Thread(target=lambda: time.sleep(1000)).start()
";

/// `REAPER_OWNER` for the owner with this number and start, in this PID namespace.
pub fn stamp(pid: i32, ticks: impl std::fmt::Display) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
    format!("{pid}:{ticks}:{}:{namespace}", boot.trim())
}

fn script(processes: &ProcessSet, name: &str, rest: &str) -> PathBuf {
    let path = processes.directory().join(name);
    fs::write(&path, format!("#!{PYTHON}\n{PRELUDE}{rest}\n")).unwrap();
    set_mode(&path, 0o755);
    path
}

/// A script whose main thread exits at once.
fn halved(processes: &ProcessSet, name: &str) -> PathBuf {
    script(processes, name, "start_another()\nexit_main_thread()")
}

/// The process as python with this script.
fn python(spec: ProcessSpec, script: &Path) -> ProcessSpec {
    spec.foreign(PYTHON).args([script])
}

fn loses_main_thread(one: &ProcessRef) {
    let is_half = || one.state() == 'Z' && one.stat(20).as_deref() == Some("2");
    until("its main thread exits, and the other one runs", is_half);
    assert!(one.is_alive());
}

fn really_dies(one: &ProcessRef) {
    one.kill();
    assert!(one.wait_reaped(LONG));
}

fn with_python(name: &str, direct: impl FnOnce(&ProcessSet)) {
    in_namespace(&PidNamespace::new().systemd(), name, || {
        if !Path::new(PYTHON).exists() {
            return skip(name, &format!("there is no {PYTHON}"));
        }
        direct(&ProcessSet::new());
    });
}

#[test]
fn b23_an_owner_without_its_main_thread_keeps_what_it_owns() {
    with_python(test_name!(), |processes| {
        let owner = python(processes.spec("launcher"), &halved(processes, "launcher.py")).child();
        let gone = processes.spec("launcher").child();
        let leased = |owner: &ProcessRef| {
            let lease = stamp(owner.pid, owner.start_ticks());
            let spec = processes.spec("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease);
            spec.orphan_of_dead_leader()
        };
        let named = |owner: &ProcessRef| {
            let spec = processes.spec("mcp-server-files").env("OPENCODE", "1");
            spec.env("OPENCODE_PID", owner.pid.to_string()).orphan_of_dead_leader()
        };
        loses_main_thread(&owner);
        let (wanted, unwanted) = ([leased(&owner), named(&owner)], [leased(&gone), named(&gone)]);
        really_dies(&gone);
        let acting = || act(processes).env("REAPER_USE", "own,opencode-children").run().expect_code(0);
        let ran = acting();
        for (one, variable) in wanted.iter().zip(["REAPER_OWNER", "OPENCODE_PID"]) {
            let words = format!("its owner, pid {} in {variable}, is alive", owner.pid);
            spared(&ran, one, "unclaimed", &words);
        }
        unwanted.iter().for_each(|one| ended(&ran, one));
        assert!(owner.is_alive());
        really_dies(&owner);
        let ran = acting();
        wanted.iter().for_each(|one| ended(&ran, one));
    });
}

#[test]
fn b23_a_holder_without_its_main_thread_keeps_its_run() {
    with_python(test_name!(), |processes| {
        let of_run = |name: &str, nonce: &str| {
            let spec = processes.spec(name).env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app");
            spec.env("BUZZ_MANAGED_AGENT_START_NONCE", nonce)
        };
        let holder = python(of_run("claude", "ab12"), &halved(processes, "claude.py")).own_session().child();
        loses_main_thread(&holder);
        let wanted = of_run("codex", "ab12").orphan_of_dead_leader();
        let of_dead_run = of_run("codex", "ff00").orphan_of_dead_leader();
        let ran = act(processes).run().expect_code(0);
        let words = format!("pid {}, which is no orphan, holds the same owner value", holder.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        ended(&ran, &of_dead_run);
        assert!(holder.is_alive());
        really_dies(&holder);
        ended(&act(processes).run().expect_code(0), &wanted);
    });
}

#[test]
fn b23_a_leader_without_its_main_thread_keeps_its_session() {
    with_python(test_name!(), |processes| {
        // Python takes no spawn requests, so the leader executes it once it has started the other.
        let become_it = format!("exec-on-usr1={}", halved(processes, "claude.py").display());
        let leader = marked(processes, "claude").own_session().behave(become_it).child();
        let led = marked(processes, "goose").by(&leader).orphan();
        leader.signal(rustix::process::Signal::USR1.as_raw()).unwrap();
        loses_main_thread(&leader);
        assert_eq!((led.ppid(), led.sid()), (1, leader.pid));
        let unled = orphan(processes);
        let ran = act(processes).run().expect_code(0);
        let words = format!("the leader of its session, pid {}, is marked and no orphan", leader.pid);
        spared(&ran, &led, "unclaimed", &words);
        ended(&ran, &unled);
        assert!(leader.is_alive());
        really_dies(&leader);
        ended(&act(processes).run().expect_code(0), &led);
    });
}

/// Killed after its whole term timeout, and reported as nothing else.
fn killed(processes: &ProcessSet, ran: &Ran, one: &ProcessRef) {
    let action = action(ran, one).unwrap_or_else(|| panic!("{} was not ended\n{}", one.pid, ran.stdout));
    assert_eq!(
        (&action["outcome"], &action["signals"]),
        (&"killed".into(), &serde_json::json!(["TERM", "KILL"]))
    );
    assert!(action["took_ms"].as_u64().unwrap() >= 1000, "{action}");
    let all = records(&home(processes));
    let outcomes: Vec<_> = all.iter().filter(|r| r["pid"] == one.pid && r["event"] == "outcome").collect();
    assert_eq!((outcomes.len(), &outcomes[0]["outcome"]), (1, &"killed".into()), "{outcomes:?}");
    assert!(!one.is_alive());
}

fn patient(processes: &ProcessSet) -> Reaper {
    act(processes).env("REAPER_TERM_TIMEOUT", "1s")
}

#[test]
fn b24_a_target_that_ends_only_its_main_thread_is_killed() {
    with_python(test_name!(), |processes| {
        let stand_in = marked(processes, "goose").behave("exit-main-thread").orphan_of_dead_leader();
        // Its thread has SIGTERM blocked, as it was when that thread began.
        let ready = processes.directory().join("is-ready");
        let goose = script(
            processes,
            "goose.py",
            "signal.signal(signal.SIGTERM, exit_main_thread)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
start_another()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
open(sys.argv[1], 'w').close()
while True:
    time.sleep(1000)",
        );
        let script = python(marked(processes, "python3"), &goose).args([&ready]).orphan_of_dead_leader();
        until("the script is ready", || ready.exists());
        let plain = orphan(processes);
        let run = Running::start(patient(processes));
        assert!(plain.wait_exit(LONG));
        for one in [&stand_in, &script] {
            until("its main thread exits", || one.state() == 'Z');
            assert!(one.is_alive(), "its other thread runs");
        }
        let ran = run.finish().expect_code(0);
        for one in [&stand_in, &script] {
            killed(processes, &ran, one);
        }
        ended(&ran, &plain);
    });
}

#[test]
fn b24_an_orphan_that_lost_its_main_thread_before_is_found_and_ended() {
    with_python(test_name!(), |processes| {
        let obeys =
            python(marked(processes, "python3"), &halved(processes, "goose.py")).orphan_of_dead_leader();
        let deaf = marked(processes, "goose").behave("exit-main-thread").orphan_of_dead_leader();
        deaf.signal(rustix::process::Signal::TERM.as_raw()).unwrap();
        // One of them has a living parent, and is no orphan.
        let at_work = python(marked(processes, "python3"), &halved(processes, "goose.py")).child();
        for one in [&obeys, &deaf, &at_work] {
            loses_main_thread(one);
        }
        let look = Reaper::new(&home(processes), ["scan", "--dry-run", "--grace", "0s", "--format", "json"]);
        let looked = look.run().expect_code(0);
        for one in [&obeys, &deaf] {
            assert_eq!(looked.verdict(one.pid).0, "reap", "{}", looked.stdout);
        }
        assert_eq!(looked.json()["census"]["zombies"], 0, "{}", looked.stdout);
        let ran = patient(processes).run().expect_code(0);
        ended(&ran, &obeys);
        killed(processes, &ran, &deaf);
        untouched(&ran, &at_work);
        // And there is nothing left to do.
        let again = Reaper::new(&home(processes), ACT).run().expect_code(0);
        assert_eq!(again.json()["actions"], serde_json::json!([]));
    });
}
