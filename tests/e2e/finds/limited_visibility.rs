//! Machines that show less than usual, or thousands of processes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reaper_testkit::{
    Hidepid, PidNamespace, ProcessSet, helper_binaries, in_namespace, mounts, skip, test_name,
};

use super::support::{act, agent, finding, home, look, reaper};
use crate::common::state_dir;

/// An ordinary user's orphan below PID 1 and one below the user's manager, both found although `/proc` hides others'.
fn found_although_hidden(mode: Hidepid) {
    let processes = ProcessSet::new();
    // As systemd does at boot: PID 1 is known by it where it cannot be looked at.
    fs::create_dir_all("/run/systemd/system").unwrap();
    let manager = processes.manager(1000);
    let agent = agent(&processes, "goose").uid(1000);
    let (stray, leader) = (agent.orphan_of_dead_leader(), agent.orphan_in_session());
    let below = agent.clone().by(&manager).orphan_in_session();
    let unmarked = processes.spec("goose").uid(1000).orphan_of_dead_leader();
    let foreign = agent.clone().uid(1001).orphan_of_dead_leader();
    let seen = Command::new("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", "cat", "/proc/1/task/1/children"])
        .output()
        .unwrap();
    assert!(!seen.status.success(), "{mode:?} hides nothing");
    let ran = act(&processes).uid(1000).run().expect_code(0);
    for one in [&stray, &leader, &below] {
        assert_eq!(ran.outcome(one.pid), "exited", "{mode:?}: {}", ran.stdout);
    }
    assert_eq!(ran.json()["census"]["method"], "walk");
    assert!(unmarked.is_alive() && foreign.is_alive() && manager.is_alive());
    // Another user's process: an error message, or `user` answers no; and never a crash.
    let ran = reaper(&processes, &["explain", &foreign.pid.to_string(), "--format", "json"]).uid(1000).run();
    match ran.code {
        0 => assert_eq!(finding(&ran, "user").0, "no", "{}", ran.stdout),
        code => assert!(code == 4 && ran.stderr.contains("hint:"), "{code}: {}", ran.stderr),
    }
}

#[test]
fn m14_orphans_are_found_under_hidepid_1() {
    let mode = Hidepid::NoAccess;
    in_namespace(&PidNamespace::new().systemd().several_users().hidepid(mode), test_name!(), || {
        found_although_hidden(mode)
    });
}

#[test]
fn m14_orphans_are_found_under_hidepid_2() {
    let mode = Hidepid::Invisible;
    in_namespace(&PidNamespace::new().systemd().several_users().hidepid(mode), test_name!(), || {
        found_although_hidden(mode)
    });
}

#[test]
fn m14_orphans_are_found_under_hidepid_4() {
    let mode = Hidepid::Ptraceable;
    in_namespace(&PidNamespace::new().systemd().several_users().hidepid(mode), test_name!(), || {
        found_although_hidden(mode)
    });
}

#[test]
fn m14_with_init_hidden_the_session_must_prove_an_orphan() {
    in_namespace(
        &PidNamespace::new().systemd().several_users().hidepid(Hidepid::Invisible),
        test_name!(),
        || {
            // No /run/systemd/system here: PID 1 might be anything.
            let processes = ProcessSet::new();
            let agent = agent(&processes, "goose").uid(1000);
            let (proven, doubtful) = (agent.orphan_of_dead_leader(), agent.orphan_in_session());
            let ran = act(&processes).uid(1000).run().expect_code(4);
            assert_eq!(ran.outcome(proven.pid), "exited", "{}", ran.stdout);
            assert_eq!(ran.verdict(doubtful.pid).0, "unknown");
            assert!(doubtful.is_alive());
        },
    );
}

#[test]
fn m14_orphans_are_found_without_the_kernels_lists_of_children() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let npm = agent(&processes, "npm").orphan_of_dead_leader();
        let goose = agent(&processes, "goose").under(&npm);
        let below = agent(&processes, "node").own_session().under(&goose);
        let without_lists = |pid: i32, thread: bool| {
            let task = processes.directory().join(format!("task-{pid}"));
            fs::create_dir(&task).unwrap();
            if thread {
                fs::create_dir(task.join(pid.to_string())).unwrap();
            }
            mounts::bind(&task, Path::new(&format!("/proc/{pid}/task"))).unwrap();
        };
        // As without CONFIG_PROC_CHILDREN: the thread is there, and it has no such file.
        for pid in [1, npm.pid, goose.pid] {
            without_lists(pid, true);
        }
        let ran = look(&processes).run().expect_code(0);
        assert_eq!(ran.json()["census"]["method"], "walk");
        assert_eq!(ran.verdict(goose.pid).0, "reap", "{}", ran.stdout);
        // A sandbox may also show an empty folder. A process without threads does not exist.
        mounts::take_away(Path::new("/proc/1/task")).unwrap();
        fs::remove_dir_all(processes.directory().join("task-1")).unwrap();
        without_lists(1, false);
        let ran = act(&processes).run().expect_code(0);
        for one in [&npm, &goose, &below] {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
    });
}

#[test]
fn m14_orphans_of_a_configured_adopter_are_found() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let conmon =
            processes.spec("my-supervisor").behave("subreaper").under(&processes.spec("bash").child());
        let orphan = agent(&processes, "goose").by(&conmon).orphan_of_dead_leader();
        assert_eq!(orphan.ppid(), conmon.pid);
        assert_eq!(act(&processes).run().expect_code(0).outcome(orphan.pid), "");
        let ran = act(&processes).env("REAPER_ADOPTERS", "my-supervisor").run().expect_code(0);
        assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
        assert_eq!(ran.json()["census"]["method"], "walk");
        assert!(conmon.is_alive());
    });
}

#[test]
fn m14_a_few_orphans_are_found_among_thousands_of_processes() {
    in_namespace(
        &PidNamespace::new().systemd().several_users().hidepid(Hidepid::Invisible),
        test_name!(),
        || {
            let processes = ProcessSet::new();
            fs::create_dir_all("/run/systemd/system").unwrap();
            let crowd = |uid: u32, count: usize| {
                let script =
                    format!("i=0; while [ $i -lt {count} ]; do sleep 600 & i=$((i+1)); done; exec sleep 600");
                let mut shell = Command::new("setpriv");
                shell.args([
                    &format!("--reuid={uid}"),
                    &format!("--regid={uid}"),
                    "--clear-groups",
                    "sh",
                    "-c",
                ]);
                shell.arg(script).spawn().unwrap()
            };
            let mut crowds = [crowd(1000, 1500), crowd(1001, 1500)];
            let orphan = agent(&processes, "goose").uid(1000).orphan_of_dead_leader();
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while fs::read_dir("/proc").unwrap().count() < 3000 {
                assert!(std::time::Instant::now() < end, "the crowd does not come");
                std::thread::sleep(Duration::from_millis(20));
            }
            let ran = act(&processes).uid(1000).run().expect_code(0);
            assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
            let census = ran.json()["census"].clone();
            assert_eq!((&census["method"], &census["complete"]), (&"walk".into(), &true.into()), "{census}");
            assert!(crowds.iter_mut().all(|shell| shell.try_wait().unwrap().is_none()));
            assert!(state_dir(&home(&processes)).join("history.jsonl").exists());
        },
    );
}

#[test]
fn m14_all_orphans_of_a_population_are_found_and_nothing_else() {
    if fs::metadata("/proc/self").map_or(true, |own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        return skip(test_name!(), "needs root, to start processes of several users");
    }
    let population = helper_binaries::locate().unwrap().directory.join("population");
    let home = tempfile::tempdir().unwrap();
    let run = Command::new(population)
        .args(["-n", "3000", "-k", "60", "-U", "1000", "--"])
        .arg(env!("CARGO_BIN_EXE_reaper"))
        .args(["scan", "--dry-run", "--grace", "0s", "--format", "json"])
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let ran = crate::common::Ran::from(run).expect_code(0);
    let json = ran.json();
    assert_eq!(json["summary"]["reap"], 60, "{}", ran.stderr);
    assert_eq!(json["census"]["complete"], true);
    let judgements = json["judgements"].as_array().unwrap();
    assert!(judgements.iter().all(|one| one["uid"] == 1000 && one["marker"] == super::support::MARK));
}
