//! Containers: PID 1 is often no init, its children are often no orphans, and some parents are outside.

use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessSet, Shape, in_namespace, skip, test_name};
use serde_json::Value;

use super::container::{Container, ContainerProcess};
use super::interruption::next_tick;
use crate::common::{
    ACT, Ran, Reaper, act, dead_lease, doubted, ended, home, lease, marked, of_no_namespace, only,
    pid_namespace, program, spared, untouched,
};

/// Starts a container, or returns the reason why it cannot.
macro_rules! container {
    ($processes:expr, $command:expr, $init:expr) => {
        match Container::start($processes, $command, $init) {
            Ok(container) => container,
            Err(reason) => return skip(test_name!(), &reason),
        }
    };
}

/// Fails unless this was the judgement of a process in a container.
#[track_caller]
fn judged(judgement: &Value, verdict: &str, gate: &str, words: &str) {
    crate::common::decided(judgement, verdict, gate, words);
}

/// Fails unless this gate spared it.
#[track_caller]
fn inside_spared(ran: &Ran, one: &ContainerProcess, verdict: &str, gate: &str, words: &str) {
    let judgement = ran.judgement(one.pid).unwrap_or_else(|| panic!("{one:?} is not listed\n{}", ran.stdout));
    judged(&judgement, verdict, gate, words);
    assert!(one.alive.is_alive() && ran.outcome(one.pid).is_empty(), "{}", ran.stdout);
}

#[track_caller]
fn inside_ended(ran: &Ran, one: &ContainerProcess) {
    assert_eq!(ran.outcome(one.pid), "exited", "{one:?}\n{}", ran.stdout);
    assert!(!one.alive.is_alive());
}

fn of_pid_1(container: &Container<'_>) -> Value {
    container.reaper(&["explain", "1", "--format", "json"]).expect_code(0).json()["judgement"].clone()
}

/// Leaves an agent behind in a container: its shell led a session, and has ended.
fn leave(container: &Container<'_>, env: &str, path: &Path) -> ContainerProcess {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    drop(container.exec(&format!("{env} setsid bash -c '{} acp &'", path.display())));
    container.find(&name, |one| one.ppid == 1)
}

#[test]
fn w22_the_only_command_of_a_containers_init_is_no_orphan() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, codex) = (program(&processes, "goose"), program(&processes, "codex"));
        for init in ["tini", "dumb-init", "docker-init", "podman-init", "catatonit"] {
            // It forks its command and goes on as the init.
            let exec = format!("exec -a {init} {} -- goose acp", program(&processes, init).display());
            let container = container!(&processes, &format!("{} acp & {exec}", goose.display()), init);
            let main = container.find("goose", |one| one.ppid == 1);
            let orphan = leave(&container, "", &codex);
            let ran = container.act().expect_code(0);
            let words = format!("pid {} is the one command of the container's init", main.pid);
            inside_spared(&ran, &main, "spare", "unsupervised", &words);
            inside_ended(&ran, &orphan);
        }
    });
}

#[test]
fn w22_a_child_of_a_shell_as_pid_1_is_no_orphan_for_that_alone() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, codex) = (program(&processes, "goose"), program(&processes, "codex"));
        let run = goose.display();
        let of_leader = ("spare", "unclaimed", "the leader of its session, pid 1, is marked and no orphan");
        let unproven = ("unknown", "orphan", "its parent `bash` (pid 1) may have started it");
        for (command, code, (verdict, gate, words)) in [
            (format!("{run} acp & wait"), 0, of_leader),
            (format!("set -m; {run} acp & wait"), 0, of_leader),
            (format!("setsid {run} acp & wait"), 4, unproven),
        ] {
            let container = container!(&processes, &command, "bash");
            let main = container.find("goose", |one| one.ppid == 1);
            let orphan = leave(&container, "", &codex);
            let ran = container.act().expect_code(code);
            inside_spared(&ran, &main, verdict, gate, words);
            inside_ended(&ran, &orphan);
        }
    });
}

#[test]
fn w22_an_agent_that_is_pid_1_is_no_orphan_and_neither_are_its_children() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, codex) = (program(&processes, "goose"), program(&processes, "codex"));
        let claude = program(&processes, "claude");
        // The children are there before the shell becomes the agent: a plain one, and one that made a session.
        let children = format!("{0} & setsid {0} apart &", claude.display());
        let container =
            container!(&processes, &format!("{children} exec -a goose {} acp", goose.display()), "goose");
        let main = container.find("goose", |one| one.pid == 1);
        let child = container.find("claude", |one| one.ppid == 1 && one.alive.sid() != one.alive.pid);
        let apart = container.find("claude", |one| one.ppid == 1 && one.alive.sid() == one.alive.pid);
        let orphan =
            leave(&container, &format!("REAPER_OWNER={}", lease_of_a_dead_owner(&container)), &codex);
        let ran = container.act().expect_code(0);
        let words = "the leader of its session, pid 1, is marked and no orphan";
        inside_spared(&ran, &child, "spare", "unclaimed", words);
        inside_spared(
            &ran,
            &apart,
            "spare",
            "unclaimed",
            "PID 1, which has it now, is a marked agent and alive",
        );
        judged(&of_pid_1(&container), "spare", "orphan", "it is PID 1, which has no parent here");
        inside_ended(&ran, &orphan);
        assert!(main.alive.is_alive());
    });
}

#[test]
fn w22_processes_adopted_by_an_agent_as_pid_1_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, codex) = (program(&processes, "goose"), program(&processes, "codex"));
        let claude = program(&processes, "claude");
        let container = container!(&processes, &format!("exec -a goose {} acp", goose.display()), "goose");
        let main = container.find("goose", |one| one.pid == 1);
        // Its session's leader is dead, and only PID 1 could still be its owner.
        let helper = leave(&container, "", &claude);
        let kept = leave(
            &container,
            &format!("REAPER_OWNER={}", lease_inside(&container)),
            &program(&processes, "gemini"),
        );
        let orphan =
            leave(&container, &format!("REAPER_OWNER={}", lease_of_a_dead_owner(&container)), &codex);
        let ran = container.act().expect_code(0);
        inside_spared(
            &ran,
            &helper,
            "spare",
            "unclaimed",
            "PID 1, which has it now, is a marked agent and alive",
        );
        inside_spared(&ran, &kept, "spare", "unclaimed", "its owner, pid 1 in REAPER_OWNER, is alive");
        inside_ended(&ran, &orphan);
        assert!(main.alive.is_alive());
    });
}

#[test]
fn w22_an_agent_without_the_marker_or_of_another_user_owns_nothing_as_pid_1() {
    for (unmarked, runas) in
        [("env -u SPROUT_MANAGED_AGENT", ""), ("", "setpriv --reuid 1000 --regid 1000 --clear-groups")]
    {
        in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
            let processes = ProcessSet::new();
            let (goose, claude) = (program(&processes, "goose"), program(&processes, "claude"));
            let container =
                container!(&processes, &format!("exec {runas} {unmarked} {} acp", goose.display()), "goose");
            let helper = leave(&container, "", &claude);
            inside_ended(&container.act().expect_code(0), &helper);
        });
    }
}

/// The lease of PID 1, with its number inside.
fn lease_inside(container: &Container<'_>) -> String {
    let init = container.find("goose", |one| one.pid == 1);
    lease(&init.alive).replacen(&init.alive.pid.to_string(), "1", 1)
}

/// A lease of an owner in the container that has ended.
fn lease_of_a_dead_owner(container: &Container<'_>) -> String {
    let init = container.find("goose", |one| one.pid == 1);
    lease(&init.alive).replacen(&init.alive.pid.to_string(), "30000", 1)
}

#[test]
fn w22_an_owner_outside_the_container_cannot_be_called_dead_inside() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, opencode) = (program(&processes, "goose"), program(&processes, "opencode"));
        // A launcher on the host stamps what it starts, and starts it in a container: its number means nothing there.
        let launcher = processes.spec("launcher").own_session().child();
        next_tick();
        // Its lease does not even say so.
        let lease = of_no_namespace(&lease(&launcher));
        let stamp = format!("export REAPER_MANAGED=1 REAPER_OWNER={lease}");
        let command = format!("{stamp}; setsid {} acp & wait", goose.display());
        let container = container!(&processes, &command, "bash");
        let main = container.find("goose", |one| one.ppid == 1);
        let left = leave(&container, &format!("REAPER_MANAGED=1 REAPER_OWNER={lease}"), &opencode);
        let plain = leave(&container, "", &program(&processes, "codex"));
        let ran = container.act().expect_code(4);
        inside_spared(&ran, &main, "unknown", "orphan", "may have started it");
        inside_spared(&ran, &left, "unknown", "unclaimed", "its lease names no PID namespace");
        inside_ended(&ran, &plain);
    });
}

#[test]
fn w22_an_owner_that_names_another_pid_namespace_cannot_be_called_dead_inside() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let container = container!(
            &processes,
            &format!("exec -a pause {}", program(&processes, "pause").display()),
            "pause"
        );
        // Younger than the container, so that only the namespace in the lease tells that it is outside.
        next_tick();
        let launcher = processes.spec("launcher").own_session().child();
        let outside = lease(&launcher);
        let inside = container.find("pause", |one| one.pid == 1);
        let dead = of_no_namespace(&outside).replacen(&launcher.pid.to_string(), "30000", 1);
        let dead = format!("{dead}:{}", pid_namespace(inside.alive.pid));
        let wanted = leave(&container, &format!("REAPER_OWNER={outside}"), &program(&processes, "opencode"));
        let orphan = leave(&container, &format!("REAPER_OWNER={dead}"), &program(&processes, "codex"));
        let ran = container.act().expect_code(4);
        inside_spared(&ran, &wanted, "unknown", "unclaimed", "it is in another PID namespace");
        inside_ended(&ran, &orphan);
    });
}

fn parents_outside() {
    let processes = ProcessSet::new();
    let (goose, codex) = (program(&processes, "goose"), program(&processes, "codex"));
    let claude = program(&processes, "claude");
    let container =
        container!(&processes, &format!("exec -a pause {}", program(&processes, "pause").display()), "pause");
    // A container container's first process, one behind a shell, and one whose `docker exec` client has gone.
    drop(container.exec(&format!("exec {} acp", goose.display())));
    let first = container.find("goose", |one| one.ppid == 0);
    drop(container.exec(&format!("{} acp; exit", claude.display())));
    let behind_a_shell = container.find("claude", |one| one.ppid > 1);
    let client = container.exec(&format!("exec -a gemini {} acp", program(&processes, "gemini").display()));
    let disconnected = container.find("gemini", |one| one.ppid == 0);
    client.kill();
    let orphan = leave(&container, "", &codex);
    // Its session and its group are those of its starter outside: in here they have no number.
    drop(container.exec(&format!("{} acp & exit", program(&processes, "opencode").display())));
    let of_no_session = container.find("opencode", |one| one.ppid == 1);
    let ran = container.act().expect_code(0);
    inside_ended(&ran, &orphan);
    inside_ended(&ran, &of_no_session);
    for one in [&first, &behind_a_shell, &disconnected] {
        assert!(one.alive.is_alive(), "{one:?}\n{}", ran.stdout);
        let args = ["explain", &one.pid.to_string(), "--format", "json"];
        let judgement = container.reaper(&args).expect_code(0).json()["judgement"].clone();
        judged(&judgement, "spare", "orphan", "outside our PID namespace");
    }
}

#[test]
fn w23_a_parent_outside_the_namespace_has_not_died() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), parents_outside);
}

#[test]
fn w23_a_parent_outside_the_namespace_has_not_died_for_an_ordinary_user() {
    in_namespace(&PidNamespace::new().systemd().as_user(1000), test_name!(), parents_outside);
}

#[test]
fn w14_a_sidecar_signals_only_marked_processes_of_the_host() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let init = processes.init();
        let services =
            ["sshd", "dbus-daemon", "cron", "containerd-shim-runc-v2", "postgres", "claude", "node"]
                .map(|name| processes.spec(name).own_session().under(&init));
        let orphan = crate::common::orphan(&processes);
        let ran = act(&processes).run().expect_code(0);
        for service in &services {
            spared(&ran, service, "marker", "in its environment");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w14_a_child_of_a_pid_1_that_is_no_init_is_no_orphan_for_that_alone() {
    for name in ["supervisor", "node", "bash", "containerd", "s6-overlay-suexec", "initd", "mytini"] {
        in_namespace(&PidNamespace::new().init(name, &[name, "run"]), test_name!(), || {
            let processes = ProcessSet::new();
            let init = processes.init();
            let started = marked(&processes, "goose").under(&init);
            let detached = marked(&processes, "goose").own_session().under(&init);
            let wrapper = marked(&processes, "sh").own_session().under(&init);
            let wrapped = marked(&processes, "goose").under(&wrapper);
            let proven = marked(&processes, "goose").orphan_of_dead_leader();
            let ran = act(&processes).run().expect_code(4);
            for one in [&started, &detached, &wrapped] {
                doubted(&ran, one, "orphan", "may have started it");
                only(&processes, one, "orphan");
            }
            assert!(wrapper.is_alive());
            ended(&ran, &proven);
        });
    }
}

#[test]
fn w14_a_dead_owner_proves_an_orphan_where_the_session_cannot() {
    in_namespace(&PidNamespace::new().init("supervisor", &["supervisor"]), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = dead_lease(&processes);
        let leased = marked(&processes, "goose").env("REAPER_OWNER", &dead).orphan_in_session();
        let unproven = marked(&processes, "goose").orphan_in_session();
        // The owner is the very process that may have started it, and lives.
        let of_init = marked(&processes, "goose").env("REAPER_OWNER", lease(&processes.init()));
        let of_init = of_init.spawn(Shape::OrphanOfDeadLeader).unwrap();
        let ran = act(&processes).run().expect_code(4);
        ended(&ran, &leased);
        doubted(&ran, &unproven, "orphan", "may have started it");
        spared(&ran, &of_init, "unclaimed", "its owner, pid 1 in REAPER_OWNER, is alive");
    });
}

#[test]
fn w14_processes_of_a_nested_pid_namespace_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = program(&processes, "goose");
        // From the host, a container's processes are there to be seen, as a user's who shares the uid.
        let command = format!("exec -a pause {}", program(&processes, "pause").display());
        let container = container!(&processes, &command, "pause");
        let inside = leave(&container, "", &goose);
        // The runtime has gone, so the container's first process is with the host's init.
        let detached = program(&processes, "claude");
        drop(container.exec(&format!("exec {}", detached.display())));
        let first = container.find("claude", |one| one.ppid == 0);
        let client = reaper_testkit::ProcessRef::open(first.alive.ppid()).unwrap();
        client.kill();
        assert!(first.alive.wait_until(|first| first.ppid() == 1));
        let orphan = crate::common::orphan(&processes);
        let ran = Reaper::new(&home(&processes), ACT).run().expect_code(0);
        ended(&ran, &orphan);
        spared(&ran, &first.alive, "user", "in another PID namespace");
        untouched(&ran, &inside.alive);
    });
}
