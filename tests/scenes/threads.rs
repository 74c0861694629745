//! Processes whose main thread has exited while another one runs: the kernel shows a zombie, and they are alive.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reaper_testkit::{Actor, Alive, Stage, Troupe, here, play, skip};

use crate::common::{Ran, Reaper, set_mode};
use crate::support::{
    ACT, LONG, Running, act, action, ended, home, marked, orphan, records, spared, until, untouched,
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

fn script(troupe: &Troupe, name: &str, rest: &str) -> PathBuf {
    let path = troupe.directory().join(name);
    fs::write(&path, format!("#!{PYTHON}\n{PRELUDE}{rest}\n")).unwrap();
    set_mode(&path, 0o755);
    path
}

/// A script whose main thread exits at once.
fn halved(troupe: &Troupe, name: &str) -> PathBuf {
    script(troupe, name, "start_another()\nexit_main_thread()")
}

/// The actor as python with this script.
fn python(actor: Actor, script: &Path) -> Actor {
    actor.foreign(PYTHON).args([script])
}

fn loses_main_thread(one: &Alive) {
    let is_half = || one.state() == 'Z' && one.stat(20).as_deref() == Some("2");
    until("its main thread exits, and the other one runs", is_half);
    assert!(one.is_alive());
}

fn really_dies(one: &Alive) {
    one.kill();
    assert!(one.wait_collected(LONG));
}

fn with_python(name: &str, direct: impl FnOnce(&Troupe)) {
    play(&Stage::new().systemd(), name, || {
        if !Path::new(PYTHON).exists() {
            return skip(name, &format!("there is no {PYTHON}"));
        }
        direct(&Troupe::new());
    });
}

#[test]
fn b23_an_owner_without_its_main_thread_keeps_what_it_owns() {
    with_python(here!(), |troupe| {
        let owner = python(troupe.actor("launcher"), &halved(troupe, "launcher.py")).child();
        let gone = troupe.actor("launcher").child();
        let leased = |owner: &Alive| {
            let lease = stamp(owner.pid, owner.start_ticks());
            let actor = troupe.actor("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease);
            actor.orphan_of_dead_leader()
        };
        let named = |owner: &Alive| {
            let actor = troupe.actor("mcp-server-files").env("OPENCODE", "1");
            actor.env("OPENCODE_PID", owner.pid.to_string()).orphan_of_dead_leader()
        };
        loses_main_thread(&owner);
        let (wanted, unwanted) = ([leased(&owner), named(&owner)], [leased(&gone), named(&gone)]);
        really_dies(&gone);
        let acting = || act(troupe).env("REAPER_USE", "own,opencode-children").run().expect_code(0);
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
    with_python(here!(), |troupe| {
        let of_run = |name: &str, nonce: &str| {
            let actor = troupe.actor(name).env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app");
            actor.env("BUZZ_MANAGED_AGENT_START_NONCE", nonce)
        };
        let holder = python(of_run("claude", "ab12"), &halved(troupe, "claude.py")).own_session().child();
        loses_main_thread(&holder);
        let wanted = of_run("codex", "ab12").orphan_of_dead_leader();
        let of_dead_run = of_run("codex", "ff00").orphan_of_dead_leader();
        let ran = act(troupe).run().expect_code(0);
        let words = format!("pid {}, which is no orphan, holds the same owner value", holder.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        ended(&ran, &of_dead_run);
        assert!(holder.is_alive());
        really_dies(&holder);
        ended(&act(troupe).run().expect_code(0), &wanted);
    });
}

#[test]
fn b23_a_leader_without_its_main_thread_keeps_its_session() {
    with_python(here!(), |troupe| {
        // Python starts nothing for a scene, so the leader becomes it once it has started the other.
        let become_it = format!("exec-on-usr1={}", halved(troupe, "claude.py").display());
        let leader = marked(troupe, "claude").own_session().behave(become_it).child();
        let led = marked(troupe, "goose").by(&leader).orphan();
        leader.signal(rustix::process::Signal::USR1.as_raw()).unwrap();
        loses_main_thread(&leader);
        assert_eq!((led.ppid(), led.sid()), (1, leader.pid));
        let unled = orphan(troupe);
        let ran = act(troupe).run().expect_code(0);
        let words = format!("the leader of its session, pid {}, is marked and no orphan", leader.pid);
        spared(&ran, &led, "unclaimed", &words);
        ended(&ran, &unled);
        assert!(leader.is_alive());
        really_dies(&leader);
        ended(&act(troupe).run().expect_code(0), &led);
    });
}

/// Killed, after all its time, and nothing else was said of it.
fn killed(troupe: &Troupe, ran: &Ran, one: &Alive) {
    let action = action(ran, one).unwrap_or_else(|| panic!("{} was not ended\n{}", one.pid, ran.stdout));
    assert_eq!(
        (&action["outcome"], &action["signals"]),
        (&"killed".into(), &serde_json::json!(["TERM", "KILL"]))
    );
    assert!(action["took_ms"].as_u64().unwrap() >= 1000, "{action}");
    let all = records(&home(troupe));
    let outcomes: Vec<_> = all.iter().filter(|r| r["pid"] == one.pid && r["event"] == "outcome").collect();
    assert_eq!((outcomes.len(), &outcomes[0]["outcome"]), (1, &"killed".into()), "{outcomes:?}");
    assert!(!one.is_alive());
}

fn patient(troupe: &Troupe) -> Reaper {
    act(troupe).env("REAPER_TERM_TIMEOUT", "1s")
}

#[test]
fn b24_a_target_that_ends_only_its_main_thread_is_killed() {
    with_python(here!(), |troupe| {
        let stand_in = marked(troupe, "goose").behave("exit-main-thread").orphan_of_dead_leader();
        // Its thread has SIGTERM blocked, as it was when that thread began.
        let ready = troupe.directory().join("is-ready");
        let goose = script(
            troupe,
            "goose.py",
            "signal.signal(signal.SIGTERM, exit_main_thread)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
start_another()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
open(sys.argv[1], 'w').close()
while True:
    time.sleep(1000)",
        );
        let script = python(marked(troupe, "python3"), &goose).args([&ready]).orphan_of_dead_leader();
        until("the script is ready", || ready.exists());
        let plain = orphan(troupe);
        let run = Running::start(patient(troupe));
        assert!(plain.wait_gone(LONG));
        for one in [&stand_in, &script] {
            until("its main thread exits", || one.state() == 'Z');
            assert!(one.is_alive(), "its other thread runs");
        }
        let ran = run.finish().expect_code(0);
        for one in [&stand_in, &script] {
            killed(troupe, &ran, one);
        }
        ended(&ran, &plain);
    });
}

#[test]
fn b24_an_orphan_that_lost_its_main_thread_before_is_found_and_ended() {
    with_python(here!(), |troupe| {
        let obeys = python(marked(troupe, "python3"), &halved(troupe, "goose.py")).orphan_of_dead_leader();
        let deaf = marked(troupe, "goose").behave("exit-main-thread").orphan_of_dead_leader();
        deaf.signal(rustix::process::Signal::TERM.as_raw()).unwrap();
        // One of them is somebody's child, and no orphan.
        let at_work = python(marked(troupe, "python3"), &halved(troupe, "goose.py")).child();
        for one in [&obeys, &deaf, &at_work] {
            loses_main_thread(one);
        }
        let look = Reaper::new(&home(troupe), ["scan", "--dry-run", "--grace", "0s", "--format", "json"]);
        let looked = look.run().expect_code(0);
        for one in [&obeys, &deaf] {
            assert_eq!(looked.verdict(one.pid).0, "reap", "{}", looked.stdout);
        }
        assert_eq!(looked.json()["census"]["zombies"], 0, "{}", looked.stdout);
        let ran = patient(troupe).run().expect_code(0);
        ended(&ran, &obeys);
        killed(troupe, &ran, &deaf);
        untouched(&ran, &at_work);
        // And there is nothing left to do.
        let again = Reaper::new(&home(troupe), ACT).run().expect_code(0);
        assert_eq!(again.json()["actions"], serde_json::json!([]));
    });
}
