//! Tests of the namespace itself: users, hidepid, time limits, and that no process outlives it.

use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::{Hidepid, IdMap, PidNamespace, ProcessSet, in_namespace, recycle_pid, skip, test_name};

fn am_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn an_ordinary_user_gets_a_namespace() {
    if !am_root() {
        return skip(test_name!(), "all other tests cover this for an ordinary user");
    }
    in_namespace(&PidNamespace::new().as_user(1000), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose").orphan_of_dead_leader();
        assert_eq!((goose.ppid(), goose.uid()), (1, Some(0)));
        let shape = reaper_testkit::Shape::OrphanInSession;
        assert_eq!(recycle_pid(&goose, &processes.spec("sh"), shape).unwrap().pid, goose.pid);
    });
}

#[test]
fn root_can_use_a_user_namespace() {
    in_namespace(&PidNamespace::new().user_namespace(IdMap::Root), test_name!(), || {
        assert_eq!(ProcessSet::new().spec("goose").orphan().ppid(), 1);
    });
}

#[test]
fn hidepid_2_hides_init_but_not_ones_own() {
    in_namespace(&PidNamespace::new().several_users().hidepid(Hidepid::Invisible), test_name!(), || {
        // Group 0 is exempt from hidepid.
        let sees = |path: &str| {
            let mut look = Command::new("setpriv");
            look.args(["--reuid=1000", "--regid=1000", "--clear-groups", "test", "-e", path])
                .status()
                .unwrap()
                .success()
        };
        let processes = ProcessSet::new();
        let own = processes.spec("goose").uid(1000).orphan();
        assert!(!sees("/proc/1") && sees(&format!("/proc/{}/environ", own.pid)));
    });
}

#[test]
fn the_exit_status_and_output_of_the_command_are_returned() {
    let Ok(output) = PidNamespace::new().run("/bin/sh", &["-c", "echo out; echo err >&2; exit 7"]) else {
        return skip(test_name!(), "no PID namespace here");
    };
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let output = PidNamespace::new().run("/bin/sh", &["-c", "kill -9 $$"]).unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn a_command_that_ends_at_once_is_collected() {
    let namespace = PidNamespace::new().timeout(Duration::from_secs(10));
    if let Err(reason) = namespace.run("/bin/true", &[""; 0]) {
        return skip(test_name!(), &reason.to_string());
    }
    // Many at a time, so that PID 1 is often later than the command.
    let run_many = || (0..20).map(|_| namespace.run("/bin/true", &[""; 0]).unwrap().status.code());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| run_many().collect::<Vec<_>>())).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), [Some(0); 20]);
        }
    });
}

#[test]
fn time_limits_hold_and_nothing_is_left() {
    let start = Instant::now();
    // A process that is left behind holds the output open, so `run` would not return before it has ended.
    let script = "(trap '' TERM HUP; setsid sleep 3600) & sleep 3600";
    let Ok(output) = PidNamespace::new().timeout(Duration::from_millis(300)).run("/bin/sh", &["-c", script])
    else {
        return skip(test_name!(), "no PID namespace here");
    };
    assert_eq!(output.status.code(), Some(reaper_testkit::pid_namespace::TIMED_OUT));
    assert!(start.elapsed() < Duration::from_secs(20));
}
