//! A program that adopts orphans of its children and also starts agents itself: only what it adopted is an orphan.

use std::fs;
use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};
use serde_json::Value;

use super::real_programs::{act_with, below, config_file, file, find, installed, title};
use crate::common::{
    APP, LONG, MARK, Reaper, Running, act, decided, doubted, ended, home, marked, orphan, program, until,
    untouched,
};

const CONFIG: &str = "adopters = [\"omnigent\"]\n";

/// The host daemon of an orchestrator: a child subreaper that starts agents itself and has runners that do.
const HOST: &str = "\
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
codex, runner, pids = os.environ['CODEX'], os.environ['RUNNER'], os.environ['PIDS']
def note(name, pid):
    with open(f'{pids}/{name}.part', 'w') as file:
        file.write(str(pid))
    os.rename(f'{pids}/{name}.part', f'{pids}/{name}')
def start(name, argv, **how):
    child = subprocess.Popen(argv, **how)
    note(name, child.pid)
    return child
marked = {**os.environ, os.environ['MARK']: os.environ['APP']}
start('probe', [codex, 'app-server'], env=marked, start_new_session=True)
start('own', [codex, 'app-server'], env=marked)
start('runner', [sys.executable, runner, 'of-runner'], start_new_session=True)
start('dead', [sys.executable, runner, 'left', '--crash'], start_new_session=True).wait()
start('dead-too', [sys.executable, runner, 'left-apart', '--crash', '--setsid'], start_new_session=True).wait()
note('done', os.getpid())
while True:
    time.sleep(1000)
";

/// One of its runners: starts an agent, and waits for it or dies before it.
const RUNNER: &str = "\
import os, subprocess, sys
marked = {**os.environ, os.environ['MARK']: os.environ['APP']}
child = subprocess.Popen([os.environ['CODEX'], 'app-server'], env=marked, start_new_session='--setsid' in sys.argv)
with open(os.environ['PIDS'] + '/' + sys.argv[1], 'w') as file:
    file.write(str(child.pid))
if '--crash' in sys.argv:
    os._exit(1)
child.wait()
";

/// A host and all processes that it started or adopted.
struct Family {
    host: ProcessRef,
    /// Its own agents: in a session of its own, and in the host's.
    probe: ProcessRef,
    own: ProcessRef,
    runner: ProcessRef,
    of_runner: ProcessRef,
    /// Of a runner that has died: in the runner's session, and in a session of its own.
    left: ProcessRef,
    left_apart: ProcessRef,
}

impl Family {
    /// A host that is a script of real Python.
    fn of_a_script(processes: &ProcessSet, python: &Path) -> Self {
        let host = file(processes, "uv/tools/omnigent/bin/omnigent", HOST);
        let runner = file(processes, "uv/tools/omnigent/bin/omnigent-runner", RUNNER);
        let pids = processes.directory().join("pids");
        fs::create_dir(&pids).unwrap();
        let spec = processes.spec("python3").foreign(python).args([host.as_os_str(), "host".as_ref()]);
        let spec = spec.env("CODEX", program(processes, "codex")).env("RUNNER", runner).env("PIDS", &pids);
        let host = spec.env("MARK", MARK).env("APP", APP).orphan_double_fork();
        until("the host has started everything", || pids.join("done").exists());
        let handle_of = |name: &str| {
            let mut pid = None;
            until(name, || {
                pid = fs::read_to_string(pids.join(name)).ok().and_then(|text| text.parse().ok());
                pid.is_some()
            });
            let one = ProcessRef::open(pid.unwrap()).unwrap();
            assert!(one.wait_until(|one| !title(one).contains("python")), "{}", title(&one));
            one
        };
        let runner = find("the runner", |one| title(one).ends_with("omnigent-runner of-runner"));
        Self {
            host,
            probe: handle_of("probe"),
            own: handle_of("own"),
            runner,
            of_runner: handle_of("of-runner"),
            left: handle_of("left"),
            left_apart: handle_of("left-apart"),
        }
    }

    /// A host that is a native program.
    fn of_a_program(processes: &ProcessSet) -> Self {
        let host =
            processes.spec("omnigent").args(["host"]).own_session().behave("subreaper").orphan_double_fork();
        let codex = || marked(processes, "codex").args(["app-server"]);
        let runner = || processes.spec("omnigent-runner").own_session().under(&host);
        let (living, dead) = (runner(), runner());
        let family = Self {
            probe: codex().own_session().under(&host),
            own: codex().under(&host),
            of_runner: codex().under(&living),
            left: codex().under(&dead),
            left_apart: codex().own_session().under(&dead),
            runner: living,
            host,
        };
        dead.kill();
        assert!(dead.wait_reaped(LONG) && family.left.wait_until(|left| left.ppid() == family.host.pid));
        family
    }
}

/// Fails unless `explain` says of a process what this scan said: the same verdict by the same gate, or, of one that is
/// not listed, that it has a living parent.
#[track_caller]
fn explained(processes: &ProcessSet, config: &Path, listed: Option<Value>, alive: &ProcessRef) {
    let args = ["--config", config.to_str().unwrap(), "explain", &alive.pid.to_string(), "--format", "json"];
    let args = args.map(str::to_owned);
    let said = Reaper::new(&home(processes), args).env("REAPER_GRACE", "0s").run().expect_code(0);
    let said = said.json()["judgement"].clone();
    match listed {
        Some(listed) => assert_eq!(
            (&listed["verdict"], &listed["decided_by"]),
            (&said["verdict"], &said["decided_by"]),
            "{said:#}"
        ),
        None => decided(&said, "spare", "orphan", "is alive"),
    }
}

fn what_a_host_started_and_what_it_adopted(raise: impl FnOnce(&ProcessSet) -> Family) {
    let processes = ProcessSet::new();
    let family = raise(&processes);
    let host = family.host.pid;
    for one in [&family.probe, &family.own, &family.left, &family.left_apart, &family.runner] {
        assert_eq!(one.ppid(), host, "{}", title(one));
    }
    assert_eq!((family.host.ppid(), family.of_runner.ppid()), (1, family.runner.pid));
    assert_eq!((family.own.sid(), family.of_runner.sid()), (family.host.sid(), family.runner.pid));
    assert!(family.left.sid() != host && family.left.sid() != family.left.pid);
    assert_eq!(below(&family.host).len(), 6);
    let all = [&family.probe, &family.own, &family.of_runner, &family.left, &family.left_apart];
    // Without a config the host is an ordinary parent.
    let plain = act(&processes).run().expect_code(0);
    all.iter().for_each(|one| untouched(&plain, one));
    let config = config_file(&processes, CONFIG);
    let args = [
        "--config",
        config.to_str().unwrap(),
        "scan",
        "--dry-run",
        "--all",
        "--grace",
        "0s",
        "--format",
        "json",
    ];
    let look = Reaper::new(&home(&processes), args).run();
    for one in all {
        explained(&processes, &config, look.judgement(one.pid), one);
    }
    assert_eq!(look.verdict(family.left.pid).0, "reap", "{}", look.stdout);
    let doctor = Reaper::new(&home(&processes), ["--config", config.to_str().unwrap(), "doctor"]).run();
    let found = doctor.stdout.lines().any(|line| line.contains("a subreaper that the config names"));
    assert!(found && !doctor.stdout.contains("omnigent is not running"), "{}", doctor.stdout);
    let ran = act_with(&processes, CONFIG).run().expect_code(4);
    ended(&ran, &family.left);
    for one in [&family.probe, &family.own, &family.left_apart] {
        doubted(&ran, one, "orphan", "may have started it");
    }
    for one in [&family.of_runner, &family.runner, &family.host] {
        untouched(&ran, one);
    }
}

#[test]
fn b05_b06_children_of_a_python_host_live_and_orphans_of_its_dead_runner_end() {
    let Some(python) = installed("python3") else { return skip(test_name!(), "no python3 here") };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        what_a_host_started_and_what_it_adopted(|processes| Family::of_a_script(processes, &python));
    });
}

#[test]
fn b05_b06_children_of_a_native_host_live_and_orphans_of_its_dead_runner_end() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        what_a_host_started_and_what_it_adopted(Family::of_a_program);
    });
}

#[test]
fn b06_the_service_ends_orphans_of_a_runner_whose_end_it_saw_in_any_session() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let family = Family::of_a_program(&processes);
        let detached = marked(&processes, "codex").args(["app-server"]).own_session().under(&family.runner);
        let config = config_file(&processes, CONFIG);
        let service = Reaper::new(&home(&processes), ["--config", config.to_str().unwrap(), "run"]);
        let service = service.env("REAPER_INTERVAL", "1s").env("REAPER_GRACE", "0s");
        let service = Running::start(service.env("XDG_RUNTIME_DIR", home(&processes)));
        until("the service has looked", || !family.left.is_alive());
        family.runner.kill();
        until("it has seen that the runner is dead", || !detached.is_alive() && !family.of_runner.is_alive());
        let last = orphan(&processes);
        until("it has looked again", || !last.is_alive());
        for one in [&family.probe, &family.own, &family.left_apart, &family.host] {
            assert!(one.is_alive(), "{}", title(one));
        }
        service.kill();
    });
}
