//! A process that executes one program after another: facts of two programs are never mixed.

use std::fs;
use std::path::PathBuf;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};

use super::slow_disk::strace;
use crate::common::{APP, MARK, Ran, act, ended, home, orphan, records, set_mode};

const FLIPPERS: usize = 10;
const SCANS: usize = 30;

/// A shell that is `goose` without the marker and `server` with it, in turn: neither is a marked agent.
fn flipper(processes: &ProcessSet) -> (PathBuf, PathBuf) {
    let at = |name: &str| processes.directory().join(name);
    for name in ["goose", "server"] {
        fs::copy("/bin/dash", at(name)).unwrap();
    }
    let script = at("flip");
    let exec = |name: &str| format!("exec {} {}", at(name).display(), script.display());
    let to_goose = format!("if [ -n \"${MARK}\" ]; then unset {MARK}; {}; fi\n", exec("goose"));
    let to_server = format!("{MARK}={APP}; export {MARK}; {}\n", exec("server"));
    fs::write(&script, to_goose + &to_server).unwrap();
    set_mode(&script, 0o755);
    (at("goose"), script)
}

fn never_taken_for_both(ran: &Ran, all: &[ProcessRef]) {
    for one in all {
        let (verdict, _) = ran.verdict(one.pid);
        assert!(verdict != "reap" && verdict != "wait", "{:#}", ran.judgement(one.pid).unwrap());
        assert!(one.is_alive(), "{} was ended\n{}", one.pid, ran.stdout);
    }
}

#[test]
fn b29_facts_of_two_programs_are_never_mixed() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        // Each link takes a little longer to be read: about as long as it takes to execute another program.
        let slowly = || strace("readlink,readlinkat", "delay_exit=300");
        if let Err(reason) = slowly() {
            return skip(test_name!(), &reason);
        }
        if !PathBuf::from("/bin/dash").exists() {
            return skip(test_name!(), "there is no /bin/dash");
        }
        let processes = ProcessSet::new();
        let (goose, script) = flipper(&processes);
        let spec = processes.spec("goose").foreign(goose).args([script]);
        let all: Vec<ProcessRef> = (0..FLIPPERS).map(|_| spec.orphan_of_dead_leader()).collect();
        let (mut told, mut untold) = (0, 0);
        for _ in 0..SCANS {
            let plain = orphan(&processes);
            let ran = Ran::from(act(&processes).through(slowly().unwrap()).output().unwrap());
            never_taken_for_both(&ran, &all);
            ended(&ran, &plain);
            untold += all.iter().filter(|one| ran.verdict(one.pid).0 == "unknown").count();
            told += all.iter().filter(|one| ran.verdict(one.pid).0 == "spare").count();
        }
        let history = records(&home(&processes));
        assert!(history.iter().all(|r| all.iter().all(|one| r["pid"] != one.pid)), "{history:#?}");
        assert!(told + untold > 0, "they were looked at");
        reaper_testkit::measured(&format!("flips: {told} spared, {untold} could not be told"));
    });
}
