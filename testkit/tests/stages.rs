//! The stage itself: users, hidepid, time limits, and that nothing outlives it.

use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::{Hidepid, IdMap, Stage, Troupe, here, play, recycle_pid, skip};

fn am_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn an_ordinary_user_has_a_stage_too() {
    if !am_root() {
        return skip(here!(), "every other test is this one for an ordinary user");
    }
    play(&Stage::new().as_user(1000), here!(), || {
        let troupe = Troupe::new();
        let goose = troupe.actor("goose").orphan_of_dead_leader();
        assert_eq!((goose.ppid(), goose.uid()), (1, Some(0)));
        let shape = reaper_testkit::Shape::OrphanInSession;
        assert_eq!(recycle_pid(&goose, &troupe.actor("sh"), shape).unwrap().pid, goose.pid);
    });
}

#[test]
fn root_can_use_a_user_namespace() {
    play(&Stage::new().user_namespace(IdMap::Root), here!(), || {
        assert_eq!(Troupe::new().actor("goose").orphan().ppid(), 1);
    });
}

#[test]
fn hidepid_2_hides_init_but_not_ones_own() {
    play(&Stage::new().several_users().hidepid(Hidepid::Invisible), here!(), || {
        // Group 0 is exempt from hidepid.
        let sees = |path: &str| {
            let mut look = Command::new("setpriv");
            look.args(["--reuid=1000", "--regid=1000", "--clear-groups", "test", "-e", path])
                .status()
                .unwrap()
                .success()
        };
        let troupe = Troupe::new();
        let own = troupe.actor("goose").uid(1000).orphan();
        assert!(!sees("/proc/1") && sees(&format!("/proc/{}/environ", own.pid)));
    });
}

#[test]
fn the_status_of_the_director_comes_out() {
    let Ok(output) = Stage::new().run("/bin/sh", &["-c", "echo out; echo err >&2; exit 7"]) else {
        return skip(here!(), "no stage here");
    };
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let output = Stage::new().run("/bin/sh", &["-c", "kill -9 $$"]).unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn a_director_that_ends_at_once_is_not_missed() {
    let stage = Stage::new().timeout(Duration::from_secs(10));
    if let Err(reason) = stage.run("/bin/true", &[""; 0]) {
        return skip(here!(), &reason.to_string());
    }
    // Many at a time, so that PID 1 is often later than its director.
    let play = || (0..20).map(|_| stage.run("/bin/true", &[""; 0]).unwrap().status.code());
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..8).map(|_| scope.spawn(|| play().collect::<Vec<_>>())).collect();
        for player in players {
            assert_eq!(player.join().unwrap(), [Some(0); 20]);
        }
    });
}

#[test]
fn time_limits_hold_and_nothing_is_left() {
    let start = Instant::now();
    // What is left behind holds the output open, so the run would not return before it has ended.
    let script = "(trap '' TERM HUP; setsid sleep 3600) & sleep 3600";
    let Ok(output) = Stage::new().timeout(Duration::from_millis(300)).run("/bin/sh", &["-c", script]) else {
        return skip(here!(), "no stage here");
    };
    assert_eq!(output.status.code(), Some(reaper_testkit::stage::TIMED_OUT));
    assert!(start.elapsed() < Duration::from_secs(20));
}
