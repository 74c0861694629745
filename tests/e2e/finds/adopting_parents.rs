//! Orphans whose new parent is not PID 1, and living parents that lost track of their agent.

use std::process::Command;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::support::{MARK, act, agent, finding, look, reaper, verdict};
use crate::common::Ran;

/// Agents of every form that the manager of this user has adopted are found and ended; the manager is not.
fn found_under_the_manager_of(uid: u32) {
    let processes = ProcessSet::new();
    let manager = processes.manager(uid);
    let claude = agent(&processes, "claude").uid(uid).by(&manager);
    let orphans = [
        claude.orphan_of_dead_leader(),
        claude.clone().args(["--session-id", "x"]).orphan_double_fork(),
        claude.clone().args(["--continue"]).orphan_in_session(),
    ];
    let ran = act(&processes).uid(uid).run().expect_code(0);
    assert_eq!(ran.json()["census"]["method"], "children");
    for orphan in &orphans {
        assert_eq!(ran.judgement(orphan.pid).unwrap()["ppid"], manager.pid);
        assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
        assert!(!orphan.is_alive());
    }
    assert!(manager.is_alive());
}

#[test]
fn m01_orphans_under_the_users_service_manager() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        found_under_the_manager_of(1000)
    });
}

#[test]
fn m01_orphans_under_the_service_manager_of_the_user_who_runs_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || found_under_the_manager_of(0));
}

#[test]
fn m02_orphans_under_a_relay_of_wsl() {
    in_namespace(&PidNamespace::new().init("init", &["/init"]), test_name!(), || {
        let processes = ProcessSet::new();
        let relay = || processes.spec("init").argv(["/init"]).own_session();
        let leader = relay().under(&processes.init());
        let relay = relay().behave("subreaper").under(&leader);
        let orphan = agent(&processes, "claude").by(&relay).orphan_of_dead_leader();
        // Nothing proves that the relay did not start this one itself.
        let doubtful = agent(&processes, "codex").by(&relay).orphan_in_session();
        let wanted = agent(&processes, "goose").under(&processes.spec("bash").own_session().under(&relay));
        assert_eq!((orphan.ppid(), doubtful.ppid()), (relay.pid, relay.pid));
        let ran = act(&processes).run().expect_code(4);
        assert_eq!(ran.outcome(orphan.pid), "exited", "{}", ran.stdout);
        assert_eq!(ran.verdict(doubtful.pid), verdict("unknown", "orphan"));
        assert!(!orphan.is_alive() && doubtful.is_alive() && wanted.is_alive() && relay.is_alive());
    });
}

/// Runs what follows in the PID namespace of `init`, with a parent outside it: as `docker exec` does.
fn exec_into(init: &str) -> Command {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", init, "--pid", "--mount", "--"]);
    nsenter
}

#[test]
fn m03_the_first_process_of_a_docker_exec_is_explained_and_spared() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let tini = processes.spec("tini").child().exe().expect("it runs");
        let mut container = Command::new("unshare");
        container.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(&tini);
        let mut container = container.spawn().expect("a container starts");
        let children = format!("/proc/{0}/task/{0}/children", container.id());
        let init = poll(|| {
            let pid = std::fs::read_to_string(&children).ok()?.trim().to_owned();
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            (exe == tini).then_some(pid)
        });
        let goose = agent(&processes, "goose").child().exe().expect("it runs");
        let goose = exec_into(&init).arg(goose).env_clear().env(MARK, "1").spawn();
        let mut goose = goose.expect("docker exec starts");
        let children = format!("/proc/{0}/task/{0}/children", goose.id());
        let pid = poll(|| {
            let outside = std::fs::read_to_string(&children).ok()?.trim().to_owned();
            let status = std::fs::read_to_string(format!("/proc/{outside}/status")).ok()?;
            let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
            let running = status.starts_with("Name:\tgoose\n");
            inside.split_whitespace().last().filter(|_| running).map(str::to_owned)
        });
        let run = |args: &[&str]| {
            let ran = reaper(&processes, args).through(exec_into(&init)).output();
            Ran::from(ran.expect("nsenter starts"))
        };
        let ran = run(&["explain", &pid, "--format", "json"]).expect_code(0);
        assert_eq!(ran.json()["judgement"]["ppid"], 0, "{}", ran.stdout);
        let (answer, evidence) = finding(&ran, "orphan");
        assert_eq!(answer, "no");
        assert!(evidence.contains("docker exec"), "{evidence}");
        let ran = run(&["scan", "--yes", "--grace", "0s", "--format", "json"]).expect_code(0);
        assert_eq!(ran.json()["actions"], serde_json::json!([]));
        for process in [&mut goose, &mut container] {
            assert!(process.try_wait().expect("our own child").is_none(), "it was not ended");
        }
    });
}

fn poll<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < end, "it never came");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn m05_a_living_parent_that_forgot_its_agent_is_named_and_respected() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let helper = processes.spec("Code Helper").args(["--type=utility"]).orphan_in_session();
        let electron = agent(&processes, "claude").own_session().under(&helper);
        let disclaimer = processes.spec("disclaimer").orphan_of_dead_leader();
        let wrapped = agent(&processes, "codex").under(&disclaimer);
        let ran = act(&processes).run().expect_code(0);
        assert!(electron.is_alive() && wrapped.is_alive(), "{}", ran.stdout);
        for (kept, parent) in [(&electron, "Code Helper"), (&wrapped, "disclaimer")] {
            let pid = kept.pid.to_string();
            let ran = reaper(&processes, &["explain", &pid, "--format", "json"]).run().expect_code(0);
            let (answer, evidence) = finding(&ran, "orphan");
            assert_eq!(answer, "no");
            assert!(evidence.contains(parent) && evidence.contains("is alive"), "{evidence}");
            let text = reaper(&processes, &["explain", &pid]).run().expect_code(0).stdout;
            assert!(text.contains(&format!("verdict: spare, decided by orphan: {evidence}")), "{text}");
        }
        assert_eq!(look(&processes).run().expect_code(0).json()["summary"]["reap"], 0);
    });
}
