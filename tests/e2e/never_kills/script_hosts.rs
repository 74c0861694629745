//! A script that runs several agents at once is their living parent, also when all but one have ended.

use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};
use rustix::process::Signal;

use super::real_programs::{below, file, find, npm_package, says_the_truth_of_what_it_left, sprout};
use crate::common::{
    LONG, Reaper, Running, act, decided, ended, explain, home, orphan, program, until, untouched,
};

/// A real script of bash that runs these agents in the background and waits for them, orphaned.
fn script(processes: &ProcessSet, agents: &[&str]) -> (ProcessRef, Vec<ProcessRef>) {
    let lines: Vec<String> =
        agents.iter().map(|name| format!("{} &\n", program(processes, name).display())).collect();
    let name = format!("{}.sh", agents.join("-"));
    let script = file(processes, &name, &format!("#!/bin/bash\n{}wait\n", lines.concat()));
    let bash = sprout(processes.spec("bash").foreign("/bin/bash")).args([script]).orphan_of_dead_leader();
    let agents = agents.iter().map(|name| {
        let exe = program(processes, name);
        find(name, |one| one.ppid() == bash.pid && one.exe().is_ok_and(|path| path == exe))
    });
    let agents = agents.collect();
    (bash, agents)
}

#[test]
fn b17a_a_script_with_two_agents_stays_their_host() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (bash, agents) = script(&processes, &["goose", "claude"]);
        let (alone, one) = script(&processes, &["codex"]);
        let ran = act(&processes).run().expect_code(0);
        for one in agents.iter().chain([&bash]) {
            untouched(&ran, one);
        }
        ended(&ran, &one[0]);
        assert!(alone.wait_exit(LONG), "it ends with what it waits for");
        says_the_truth_of_what_it_left(&ran);
        let words = "and runs several marked programs: their host";
        decided(&explain(&processes, &agents[1]), "spare", "orphan", words);
        // One has done its work. The next scan of the same home remembers that there were two.
        agents[0].kill();
        let orphan = orphan(&processes);
        assert!(bash.wait_until(|bash| below(bash).len() == 1));
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        for one in [&agents[1], &bash] {
            untouched(&ran, one);
        }
    });
}

/// `reaper run` in a home of its own, as quick as it may be.
fn service(home: &Path) -> Running {
    let service = Reaper::new(home, ["run"]).env("XDG_RUNTIME_DIR", home);
    Running::start(service.env("REAPER_INTERVAL", "1s").env("REAPER_GRACE", "0s"))
}

#[test]
fn b17a_the_service_remembers_a_host_when_one_of_its_two_agents_has_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (bash, agents) = script(&processes, &["goose", "claude"]);
        let first = orphan(&processes);
        let service = service(&home(&processes));
        until("the service has looked", || !first.is_alive());
        assert!(agents.iter().all(ProcessRef::is_alive), "both were there to be seen");
        agents[0].kill();
        assert!(bash.wait_until(|bash| below(bash).len() == 1));
        // It started after that, and is due: when it has ended, the one that is left was looked at too.
        let (alone, one) = script(&processes, &["codex"]);
        until("the service has looked again", || !one[0].is_alive() && !alone.is_alive());
        let last = orphan(&processes);
        until("and again", || !last.is_alive());
        assert!(agents[1].is_alive() && bash.is_alive());
        service.kill();
    });
}

/// A workspace of two packages whose `dev` scripts run an agent each.
fn workspace(processes: &ProcessSet, agents: [&str; 2]) -> PathBuf {
    for agent in agents {
        let run = program(processes, agent);
        let package = format!(r#"{{ "name": "{agent}", "scripts": {{ "dev": "{}" }} }}"#, run.display());
        file(processes, &format!("workspace/packages/{agent}/package.json"), &package);
    }
    file(processes, "workspace/pnpm-workspace.yaml", "packages:\n  - packages/*\n");
    let root = r#"{ "name": "all", "private": true, "workspaces": ["packages/*"] }"#;
    file(processes, "workspace/package.json", root).parent().unwrap().to_owned()
}

/// A runner of workspaces waits for the scripts of several packages at once.
fn a_runner_of_workspaces(runner: &Path, args: &str) {
    let processes = ProcessSet::new();
    let workspace = workspace(&processes, ["goose", "claude"]);
    let typed = format!("cd {} && exec {} {args}", workspace.display(), runner.display());
    let runner = sprout(processes.spec("sh").foreign("/bin/sh")).args(["-c", &typed]);
    // An agent that exits with 0: a runner ends all others when one fails.
    let runner =
        runner.env("HOME", processes.directory()).env("STAND_IN", "exit-after=0").orphan_of_dead_leader();
    // Pnpm has a shell run each script; bun does without.
    let line = |name: &str| {
        let exe = program(&processes, name);
        let is_below = |one: &ProcessRef| {
            one.ppid() == runner.pid || ProcessRef::open(one.ppid()).is_ok_and(|it| it.ppid() == runner.pid)
        };
        let agent = find(name, |one| one.exe().is_ok_and(|path| path == exe) && is_below(one));
        if agent.ppid() == runner.pid {
            vec![agent]
        } else {
            vec![ProcessRef::open(agent.ppid()).unwrap(), agent]
        }
    };
    let (first, second) = (line("goose"), line("claude"));
    assert_eq!(runner.ppid(), 1);
    let orphan = orphan(&processes);
    let ran = act(&processes).run().expect_code(0);
    ended(&ran, &orphan);
    for one in first.iter().chain(&second).chain([&runner]) {
        untouched(&ran, one);
    }
    says_the_truth_of_what_it_left(&ran);
    first.last().unwrap().signal(Signal::TERM.as_raw()).unwrap();
    assert!(first[0].wait_reaped(LONG), "its script ends with it");
    let orphan = crate::common::orphan(&processes);
    let ran = act(&processes).run().expect_code(0);
    ended(&ran, &orphan);
    for one in second.iter().chain([&runner]) {
        untouched(&ran, one);
    }
}

#[test]
fn b17a_bun_that_runs_the_scripts_of_two_packages_is_their_host() {
    let Some(bun) = npm_package("bun") else { return skip(test_name!(), "no bun from npm here") };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        a_runner_of_workspaces(&bun.join("bin/bun.exe"), "run --filter '*' dev");
    });
}

#[test]
fn b17a_pnpm_that_runs_the_scripts_of_two_packages_is_their_host() {
    let Some(pnpm) = npm_package("pnpm") else { return skip(test_name!(), "no pnpm from npm here") };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        a_runner_of_workspaces(&pnpm.join("bin/pnpm.cjs"), "-r --parallel run dev");
    });
}
