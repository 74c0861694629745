//! Services: by design their parent is init or the user's manager.

use std::fs;
use std::path::Path;
use std::process::Command;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};

use super::systemd_units::Units;
use crate::common::{
    ACT, Reaper, act, decided, doubted, ended, explain, finding, marked, only, orphan, program, spared,
    until, untouched,
};

const USER: u32 = 1000;

/// The units of a test, or a skip with the reason.
macro_rules! units {
    ($processes:expr) => {
        match Units::new($processes) {
            Ok(units) => units,
            Err(reason) => return skip(test_name!(), &reason),
        }
    };
}

/// What systemd executes itself: it puts the number of the process into that process's environment.
fn main_process(processes: &ProcessSet, name: &str, by: &ProcessRef, uid: u32) -> ProcessRef {
    let path = program(processes, name);
    let script = format!("export SYSTEMD_EXEC_PID=$$; exec {} acp", path.display());
    let spec = marked(processes, "systemd").foreign("/bin/sh").args(["-c", &script]).uid(uid).own_session();
    // Not started by the set, so it gets the path of its requests, and a file shows that it is set up.
    let ready = format!("/run/testkit/requests/{name}-is-ready");
    let main = spec.env("STAND_IN", format!("request-dir=/run/testkit/requests;ready={ready}")).under(by);
    until("it is set up", || Path::new(&ready).exists());
    main
}

fn executed(alive: &ProcessRef) -> String {
    format!("the service manager started pid {} itself", alive.pid)
}

#[test]
fn w04_a_process_that_the_manager_executed_is_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let init = processes.init();
        let gateway = main_process(&processes, "goose", &init, 0);
        let inherited = |name: &str, from: &ProcessRef| {
            marked(&processes, name).env("SYSTEMD_EXEC_PID", from.pid.to_string())
        };
        let worker = inherited("claude", &gateway).own_session().under(&gateway);
        // `ExecStart=/bin/sh -c …`: the shell is the service's process, what it wraps is not its orphan.
        let shell = main_process(&processes, "sh", &init, 0);
        let wrapped = inherited("goose", &shell).under(&shell);
        // An orphan inherits the number of whatever was executed, which is not its own.
        let orphan = inherited("goose", &gateway).orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &gateway, "unsupervised", &executed(&gateway));
        only(&processes, &gateway, "unsupervised");
        spared(&ran, &wrapped, "unsupervised", &executed(&shell));
        ended(&ran, &orphan);
        assert!(shell.is_alive() && worker.is_alive());
        decided(&explain(&processes, &worker), "spare", "orphan", "its parent `goose` ");
    });
}

#[test]
fn w04_the_main_process_of_a_unit_is_spared_and_an_orphan_in_a_scope_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = units!(&processes);
        // Type=forking, or a systemd that sets no number: only the manager knows.
        let gateway = marked(&processes, "goose").orphan_double_fork();
        units.enter("system.slice/gateway.service", &gateway);
        units.answer("--system", "gateway.service", gateway.pid, 0);
        // ExecReload and the like.
        let control = marked(&processes, "goose").orphan_double_fork();
        units.enter("system.slice/control.service", &control);
        units.answer("--system", "control.service", 0, control.pid);
        // A delegated subgroup of a service.
        let deep = marked(&processes, "goose").orphan_double_fork();
        units.enter("system.slice/deep.service/payload", &deep);
        units.answer("--system", "deep.service", deep.pid, 0);
        // What a service or a login session left behind.
        let left_by_service = marked(&processes, "claude").orphan_of_dead_leader();
        units.enter("system.slice/gateway.service", &left_by_service);
        let left_by_session = marked(&processes, "claude").orphan_of_dead_leader();
        units.enter("user.slice/user-1000.slice/session-3.scope", &left_by_session);
        let ran = units.act(&processes).run().expect_code(0);
        for (alive, unit) in
            [(&gateway, "gateway.service"), (&control, "control.service"), (&deep, "deep.service")]
        {
            let words = format!("pid {} is the main process of {unit}", alive.pid);
            spared(&ran, alive, "unsupervised", &words);
        }
        ended(&ran, &left_by_service);
        ended(&ran, &left_by_session);
        let of_scope = ran.judgement(left_by_session.pid).unwrap();
        assert_eq!(finding(&of_scope, "unsupervised").unwrap()["evidence"], "it is in no service");
    });
}

#[test]
fn w04_a_service_below_a_wrapper_is_supervised_as_the_wrapper_is() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = units!(&processes);
        let npm = marked(&processes, "npm").argv(["npm exec goose"]).orphan_double_fork();
        let goose = marked(&processes, "goose").under(&npm);
        for one in [&npm, &goose] {
            units.enter("system.slice/agents.service", one);
        }
        units.answer("--system", "agents.service", npm.pid, 0);
        let orphan = orphan(&processes);
        let ran = units.act(&processes).run().expect_code(0);
        spared(&ran, &goose, "unsupervised", "is the main process of agents.service");
        assert!(npm.is_alive());
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_a_manager_that_does_not_answer_is_not_taken_as_unsupervised() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = units!(&processes);
        let in_service = marked(&processes, "goose").orphan_double_fork();
        units.enter("system.slice/unheard-of.service", &in_service);
        let elsewhere = orphan(&processes);
        // It fails; it is missing; it answers about another unit; its output is cut off.
        let failing = units.act(&processes).run().expect_code(4);
        doubted(&failing, &in_service, "unsupervised", "its service's main process is not known");
        ended(&failing, &elsewhere);
        let absent = act(&processes).env("PATH", "/nowhere").run().expect_code(4);
        doubted(&absent, &in_service, "unsupervised", "its service's main process is not known");
        let answer = processes.directory().join("systemctl/--system/unheard-of.service");
        for text in [
            "MainPID=1\nControlPID=0\nId=other.service\nNames=other.service\n",
            "MainPID=1\nId=unheard-of.service\nNames=unheard-of.service\n",
            "MainPID=soon\nControlPID=0\nId=unheard-of.service\n",
            "",
        ] {
            std::fs::write(&answer, text).unwrap();
            let odd = units.act(&processes).run().expect_code(4);
            doubted(&odd, &in_service, "unsupervised", "its service's main process is not known");
        }
        units.answer("--system", "unheard-of.service", 1, 0);
        ended(&units.act(&processes).run().expect_code(0), &in_service);
    });
}

/// The acting command of an ordinary user with a manager of their own.
fn act_as_user(processes: &ProcessSet) -> Reaper {
    Reaper::new(&processes.directory().join("home-1000"), ACT).uid(USER)
}

#[test]
fn w21_services_of_the_users_manager_are_spared() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(USER);
        // `systemd-run --user --unit=x`: the marker came by Environment= or was imported into the manager.
        let simple = main_process(&processes, "goose", &manager, USER);
        let shell = main_process(&processes, "sh", &manager, USER);
        let terminal = main_process(&processes, "gnome-terminal-server", &manager, USER);
        let of_user = |name: &str, from: &ProcessRef| {
            marked(&processes, name).uid(USER).env("SYSTEMD_EXEC_PID", from.pid.to_string())
        };
        let wrapped = of_user("goose", &shell).under(&shell);
        let in_it = of_user("claude", &terminal).own_session().under(&terminal);
        let left = of_user("goose", &terminal).by(&terminal).orphan_of_dead_leader();
        assert_eq!([simple.ppid(), shell.ppid(), left.ppid()], [manager.pid; 3]);
        let ran = act_as_user(&processes).run().expect_code(0);
        spared(&ran, &simple, "unsupervised", &executed(&simple));
        spared(&ran, &wrapped, "unsupervised", &executed(&shell));
        ended(&ran, &left);
        for alive in [&manager, &shell, &terminal, &in_it] {
            untouched(&ran, alive);
        }
    });
}

#[test]
fn w21_the_users_manager_is_asked_about_its_own_units() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = units!(&processes);
        let manager = processes.manager(USER);
        let app = |unit: &str| format!("user.slice/user-{USER}.slice/user@{USER}.service/app.slice/{unit}");
        let terminal = marked(&processes, "foot").uid(USER).under(&manager);
        let of_user = |name: &str| marked(&processes, name).uid(USER).by(&terminal);
        // Type=forking: the number in its environment is that of the starter, which has ended.
        let forking = of_user("goose").env("SYSTEMD_EXEC_PID", "77").orphan_double_fork();
        units.enter(&app("agents.service"), &forking);
        let wrapper = of_user("bash").orphan_double_fork();
        let wrapped = marked(&processes, "goose").uid(USER).under(&wrapper);
        for one in [&wrapper, &wrapped] {
            units.enter(&app("wrapped.service"), one);
        }
        units.answer("--user", "agents.service", forking.pid, 0);
        units.answer("--user", "wrapped.service", wrapper.pid, 0);
        // The system's manager knows other units of these names.
        units.answer("--system", "agents.service", 1, 0);
        units.answer("--system", "wrapped.service", 1, 0);
        let left_in_service = of_user("goose").orphan_of_dead_leader();
        units.enter(&app("agents.service"), &left_in_service);
        let left_in_scope = of_user("goose").orphan_of_dead_leader();
        units.enter(&app("tmux-spawn-1.scope"), &left_in_scope);
        let ran = units.with(act_as_user(&processes)).run().expect_code(0);
        let words = |alive: &ProcessRef, unit| format!("pid {} is the main process of {unit}", alive.pid);
        spared(&ran, &forking, "unsupervised", &words(&forking, "agents.service"));
        spared(&ran, &wrapped, "unsupervised", &words(&wrapper, "wrapped.service"));
        ended(&ran, &left_in_service);
        ended(&ran, &left_in_scope);
        assert!(manager.is_alive() && terminal.is_alive() && wrapper.is_alive());
    });
}

#[test]
fn w21_a_system_service_that_runs_as_the_user_is_spared() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = units!(&processes);
        // `User=` in a system unit: parent is init, and the system's manager knows it.
        let service = marked(&processes, "goose").uid(USER).orphan_double_fork();
        units.enter("system.slice/agents.service", &service);
        units.answer("--system", "agents.service", service.pid, 0);
        let orphan = marked(&processes, "goose").uid(USER).orphan_double_fork();
        let ran = units.with(act_as_user(&processes)).run().expect_code(0);
        spared(&ran, &service, "unsupervised", "is the main process of agents.service");
        ended(&ran, &orphan);
    });
}

#[test]
fn w21_the_users_manager_is_recognised_by_its_cgroup() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(0);
        // What systemd shows there, in a directory that can be made without it.
        let tree = Path::new("/sys/fs/cgroup");
        let mount = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(tree).status().unwrap();
        assert!(mount.success());
        let scope = tree.join("user.slice/user-0.slice/user@0.service/init.scope");
        fs::create_dir_all(&scope).unwrap();
        let pam = processes.spec("(sd-pam)").under(&manager);
        fs::write(scope.join("cgroup.procs"), format!("{}\n{}\n", pam.pid, manager.pid)).unwrap();
        let service = main_process(&processes, "goose", &manager, 0);
        let terminal = processes.spec("foot").under(&manager);
        let left = marked(&processes, "goose").by(&terminal).orphan_of_dead_leader();
        assert_eq!(left.ppid(), manager.pid);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &service, "unsupervised", &executed(&service));
        ended(&ran, &left);
        for alive in [&manager, &pam, &terminal] {
            untouched(&ran, alive);
        }
    });
}
