//! Environments that are large, odd, overwritten, forbidden or hang: found, or reported as unknown; never clean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, Shape, in_namespace, skip, test_name};

use super::support::{MARK, act, agent, finding, look, reaper, verdict};
use crate::common::Ran;

/// None of these may be taken as unmarked, nor be ended; a clear orphan beside them is ended.
fn unknown_beside_a_plain_one(processes: &ProcessSet, doubtful: &[(&ProcessRef, &str)], uid: u32) {
    let plain = agent(processes, "opencode").uid(uid).orphan_of_dead_leader();
    // Nothing shows that this one is an agent, but the run must not report a complete census.
    let nameless = agent(processes, "python3").uid(uid).behave("wipe-environ;title=server: idle");
    let nameless = nameless.orphan_of_dead_leader();
    let ran = act(processes).uid(uid).run().expect_code(4);
    for (one, why) in doubtful {
        assert_eq!(ran.verdict(one.pid), verdict("unknown", "marker"), "{}", ran.stdout);
        assert!(one.is_alive());
        let explain = reaper(processes, &["explain", &one.pid.to_string(), "--format", "json"]);
        let (answer, evidence) = finding(&explain.uid(uid).run().expect_code(0), "marker");
        assert_eq!(answer, "unknown");
        assert!(evidence.contains(why), "{evidence}");
    }
    assert_eq!((ran.outcome(plain.pid).as_str(), nameless.is_alive()), ("exited", true));
    let json = ran.json();
    assert_eq!(
        (&json["summary"]["unknown"], &json["census"]["unreadable"]),
        (&doubtful.len().into(), &(doubtful.len() + 1).into())
    );
    let table = reaper(processes, &["scan", "--dry-run"]).uid(uid).run().expect_code(4).stdout;
    let counts = format!("{} could not be judged; {} unreadable", doubtful.len(), doubtful.len() + 1);
    assert!(table.contains(&counts) && !table.contains("no orphaned agents"), "{table}");
}

#[test]
fn m07_an_environment_that_was_wiped_is_unknown() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = |name: &str, words: &str| agent(&processes, name).behave(words).orphan_of_dead_leader();
        let title = agent("python3", "wipe-environ;title=goose");
        let wiped = agent("goose", "wipe-environ");
        let garbled = agent("claude", "garble-environ");
        let all = [&title, &wiped, &garbled].map(|one| (one, "overwritten"));
        unknown_beside_a_plain_one(&processes, &all, 0);
    });
}

#[test]
fn m07_an_environment_that_may_not_be_read_is_unknown() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let forbidden = agent(&processes, "codex").uid(1000).behave("non-dumpable").orphan_of_dead_leader();
        unknown_beside_a_plain_one(&processes, &[(&forbidden, "permission denied")], 1000);
    });
}

#[test]
fn m12_a_user_namespace_that_hides_environments_is_not_reported_clean() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(1000);
        let orphan = agent(&processes, "goose").uid(1000).by(&manager).orphan_of_dead_leader();
        // What PrivateUsers= does to a user's unit: the same uid, and not one environment can be read.
        for args in [&["scan", "--dry-run"][..], &["scan", "--yes", "--grace", "0s"]] {
            let mut unshare = Command::new("setpriv");
            unshare.args(["--reuid=1000", "--regid=1000", "--clear-groups", "unshare", "--user"]);
            unshare.args(["--map-user=1000", "--map-group=1000"]);
            let ran = reaper(&processes, args).uid(1000).through(unshare).output().expect("setpriv starts");
            let ran = Ran::from(ran).expect_code(4);
            assert!(ran.stderr.contains("no marker can be seen"), "{}", ran.stderr);
            assert!(!ran.stdout.contains("no orphaned agents"), "{}", ran.stdout);
            assert!(orphan.is_alive());
        }
        assert_eq!(act(&processes).uid(1000).run().expect_code(0).outcome(orphan.pid), "exited");
    });
}

#[test]
fn m12_without_readable_environments_the_machine_is_not_reported_clean() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let secret = processes.spec("vault").uid(1000).behave("non-dumpable").orphan_of_dead_leader();
        let ran = look(&processes).uid(1000).run().expect_code(4);
        assert_eq!(ran.json()["census"]["complete"], false);
        assert_eq!(ran.json()["census"]["unreadable"], 1);
        // One that can be read proves that we are not blind; the other is still counted.
        let _open = processes.spec("editor").uid(1000).orphan_of_dead_leader();
        let ran = look(&processes).uid(1000).run().expect_code(0);
        assert_eq!(
            (&ran.json()["census"]["complete"], &ran.json()["census"]["unreadable"]),
            (&true.into(), &1.into())
        );
        let text = reaper(&processes, &["scan", "--dry-run"]).uid(1000).run().expect_code(0).stdout;
        assert!(text.contains("1 unreadable"), "{text}");
        assert!(secret.is_alive());
    });
}

#[test]
fn m13_large_and_odd_environments_do_not_hide_a_marker() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let mut large = processes.spec("goose").clear_env();
        for number in 0..20 {
            large = large.env(format!("FILL_{number}"), "x".repeat(110_000));
        }
        let odd = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let found = [
            large.env(MARK, "1"),
            processes
                .spec("claude")
                .env_raw(odd(b"A=\xff\xfe\x80"))
                .env_raw(odd(b"\xc3\x28=\xff"))
                .env(MARK, "1"),
            processes
                .spec("codex")
                .env("A", format!("x\n{MARK}=0\ny"))
                .env(MARK, "\u{e9}\n=")
                .env("B", "\n\n"),
            processes.spec("gemini").env_raw("NO_EQUALS_SIGN").env_raw("=C:=odd").env(MARK, "1"),
            // A value that ends where a read of 64 KiB does, and a marker that is cut in two by it.
            processes
                .spec("qwen")
                .clear_env()
                .env("PAD", "x".repeat(65_500))
                .env("PAD2", "yyyyy")
                .env(MARK, "1"),
        ];
        let found = found.map(|spec| spec.orphan_of_dead_leader());
        assert!(found[0].environ().unwrap().len() > 2 << 20);
        let ran = act(&processes).run().expect_code(0);
        for one in &found {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
    });
}

#[test]
fn r06_a_process_whose_memory_hangs_delays_no_other() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let Ok(stuck) = agent(&processes, "goose").behave("hang-environ").spawn(Shape::OrphanOfDeadLeader)
        else {
            return skip(test_name!(), "no FUSE here");
        };
        // Nor one that looks as the user's service manager does, whose children would have to be looked at.
        let manager = processes.spec("systemd").behave("hang-environ").orphan_in_session();
        let others = ["claude", "codex"].map(|name| agent(&processes, name).orphan_of_dead_leader());
        let start = Instant::now();
        let ran = act(&processes).run().expect_code(4);
        // Two surveys, each of which waits one to two seconds for it.
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        assert_eq!(ran.verdict(stuck.pid), verdict("unknown", "marker"), "{}", ran.stdout);
        assert_eq!(ran.outcome(stuck.pid), "");
        for one in &others {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
        assert!(stuck.is_alive() && manager.is_alive());
        let explain = reaper(&processes, &["explain", &stuck.pid.to_string()]).run();
        let explain = explain.expect_code(0);
        assert!(explain.stdout.contains("no answer within"), "{}", explain.stderr);
    });
}
