//! A process that executes one program after another: it must never be taken for both at once.

use std::fs;
use std::path::PathBuf;

use reaper_testkit::{Alive, Stage, Troupe, here, play, skip};

use crate::common::{Ran, set_mode};
use crate::late::strace;
use crate::support::{APP, MARK, act, ended, home, orphan, records};

const FLIPPERS: usize = 10;
const SCANS: usize = 30;

/// A shell that is `goose` without the marker and `server` with it, in turn: neither is a marked agent.
fn flipper(troupe: &Troupe) -> (PathBuf, PathBuf) {
    let at = |name: &str| troupe.directory().join(name);
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

fn never_taken_for_both(ran: &Ran, all: &[Alive]) {
    for one in all {
        let (verdict, _) = ran.verdict(one.pid);
        assert!(verdict != "reap" && verdict != "wait", "{:#}", ran.judgement(one.pid).unwrap());
        assert!(one.is_alive(), "{} was ended\n{}", one.pid, ran.stdout);
    }
}

#[test]
fn b29_two_programs_are_never_taken_for_one() {
    play(&Stage::new().systemd(), here!(), || {
        // Each link takes a little longer to be read: about as long as it takes to execute another program.
        let slowly = || strace("readlink,readlinkat", "delay_exit=300");
        if let Err(reason) = slowly() {
            return skip(here!(), &reason);
        }
        if !PathBuf::from("/bin/dash").exists() {
            return skip(here!(), "there is no /bin/dash");
        }
        let troupe = Troupe::new();
        let (goose, script) = flipper(&troupe);
        let actor = troupe.actor("goose").foreign(goose).args([script]);
        let all: Vec<Alive> = (0..FLIPPERS).map(|_| actor.orphan_of_dead_leader()).collect();
        let (mut told, mut untold) = (0, 0);
        for _ in 0..SCANS {
            let plain = orphan(&troupe);
            let ran = Ran::from(act(&troupe).through(slowly().unwrap()).output().unwrap());
            never_taken_for_both(&ran, &all);
            ended(&ran, &plain);
            untold += all.iter().filter(|one| ran.verdict(one.pid).0 == "unknown").count();
            told += all.iter().filter(|one| ran.verdict(one.pid).0 == "spare").count();
        }
        let history = records(&home(&troupe));
        assert!(history.iter().all(|r| all.iter().all(|one| r["pid"] != one.pid)), "{history:#?}");
        assert!(told + untold > 0, "they were looked at");
        reaper_testkit::measured(&format!("flips: {told} spared, {untold} could not be told"));
    });
}
