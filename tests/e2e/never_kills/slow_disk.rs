//! A disk that takes seconds to write the record of a signal, and a target that changes meanwhile.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, skip, test_name};
use rustix::process::Signal;

use super::main_thread_exited::stamp;
use crate::common::{
    LONG, Ran, Reaper, Running, act, action, ended, home, marked, orphan, program, records, set_mode,
    wait_for_intent,
};

/// Injects this into these system calls of the command and all its threads. `Err` is why nothing can be traced here.
pub fn strace(calls: &str, injection: &str) -> Result<Command, String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    strace.arg("-e").arg(format!("inject={calls}:{injection}"));
    let test = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    match test {
        Ok(output) if output.status.success() => Ok(strace),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("strace: {error}")),
    }
}

/// Runs wait so long for each record that they write. What they wrote can be read before: by then they wait.
fn on_a_slow_disk(name: &str, delay: Duration, direct: impl FnOnce(&ProcessSet, &dyn Fn(Reaper) -> Running)) {
    in_namespace(&PidNamespace::new().systemd(), name, || {
        let injection = format!("delay_enter={}", delay.as_micros());
        match strace("fdatasync", &injection) {
            Err(reason) => skip(name, &reason),
            Ok(_) => direct(&ProcessSet::new(), &|reaper| {
                Running::spawn(reaper.through(strace("fdatasync", &injection).unwrap()))
            }),
        }
    });
}

/// What its launcher's lease leaves without an owner, whatever program it runs: only a protected one stays.
fn owned(processes: &ProcessSet) -> ProcessSpec {
    let owner = processes.spec("launcher").child();
    let lease = stamp(owner.pid, owner.start_ticks());
    owner.kill();
    assert!(owner.wait_reaped(LONG));
    processes.spec("worker").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease)
}

/// A script that sets REAPER_KEEP, and executes the agent again.
fn kept(processes: &ProcessSet) -> PathBuf {
    let path = processes.directory().join("keep");
    let goose = program(processes, "goose");
    std::fs::write(&path, format!("#!/bin/sh\nREAPER_KEEP=1 exec {}\n", goose.display())).unwrap();
    set_mode(&path, 0o755);
    path
}

fn is_kept(one: &ProcessRef) -> bool {
    one.comm() == "goose"
        && one.environ().is_ok_and(|env| env.windows(14).any(|part| part == b"REAPER_KEEP=1\0"))
}

/// Spared after its intent was written, with these signals before, and reported as such.
fn called_off(processes: &ProcessSet, ran: &Ran, one: &ProcessRef, signals: &str, words: &str) {
    let action = action(ran, one).unwrap_or_else(|| panic!("no target: {}\n{}", one.pid, ran.stdout));
    assert_eq!(
        (&action["outcome"], action["signals"].to_string().as_str()),
        (&"spared".into(), signals),
        "{action}"
    );
    let why = action["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("called off after it was announced: ") && why.contains(words), "{why}");
    let last = records(&home(processes)).into_iter().rfind(|r| r["pid"] == one.pid).unwrap();
    assert_eq!(
        (&last["event"], &last["outcome"], &last["why"]),
        (&"outcome".into(), &"spared".into(), &why.into())
    );
    assert!(one.is_alive(), "{}", ran.stdout);
}

#[test]
fn b28_a_target_that_changes_while_its_record_is_written_gets_no_signal() {
    on_a_slow_disk(test_name!(), Duration::from_secs(4), |processes, start| {
        let becomes = |spec: ProcessSpec, path: PathBuf| {
            spec.behave(format!("exec-on-usr1={}", path.display())).orphan_of_dead_leader()
        };
        let tmux = becomes(owned(processes), program(processes, "tmux"));
        let keeps = becomes(marked(processes, "goose"), kept(processes));
        let sheds = marked(processes, "goose").behave("env-on-usr2").orphan_of_dead_leader();
        let plain = orphan(processes);
        let run = start(act(processes));
        for one in [&tmux, &keeps, &sheds, &plain] {
            wait_for_intent(&home(processes), one, "TERM");
        }
        tmux.signal(Signal::USR1.as_raw()).unwrap();
        keeps.signal(Signal::USR1.as_raw()).unwrap();
        sheds.signal(Signal::USR2.as_raw()).unwrap();
        let is_unmarked = |one: &ProcessRef| {
            one.environ().is_ok_and(|env| !env.is_empty() && !env.windows(7).any(|part| part == b"SPROUT_"))
        };
        assert!(tmux.wait_until(|one| one.comm() == "tmux"));
        assert!(keeps.wait_until(is_kept) && sheds.wait_until(is_unmarked));
        assert!(plain.is_alive(), "the account is still being written");
        let ran = run.finish().expect_code(0);
        called_off(processes, &ran, &tmux, "[]", "unprotected: ");
        called_off(processes, &ran, &keeps, "[]", "unprotected: REAPER_KEEP");
        called_off(processes, &ran, &sheds, "[]", "SPROUT_MANAGED_AGENT");
        ended(&ran, &plain);
    });
}

#[test]
fn b28_a_target_that_changes_while_the_record_of_sigkill_is_written_gets_no_sigkill() {
    on_a_slow_disk(test_name!(), Duration::from_secs(2), |processes, start| {
        let tmux = program(processes, "tmux");
        let deaf = owned(processes).behave("ignore-term");
        let becomes = deaf.clone().behave(format!("exec-on-usr1={}", tmux.display())).orphan_of_dead_leader();
        let stays = deaf.orphan_of_dead_leader();
        let run = start(act(processes).env("REAPER_TERM_TIMEOUT", "200ms"));
        wait_for_intent(&home(processes), &becomes, "KILL");
        becomes.signal(Signal::USR1.as_raw()).unwrap();
        assert!(becomes.wait_until(|one| one.comm() == "tmux"));
        assert!(stays.is_alive(), "the account is still being written");
        let ran = run.finish().expect_code(0);
        called_off(processes, &ran, &becomes, "[\"TERM\"]", "unprotected: ");
        assert_eq!(action(&ran, &stays).unwrap()["signals"].to_string(), "[\"TERM\",\"KILL\"]");
        assert_eq!(ran.outcome(stays.pid), "killed");
    });
}
