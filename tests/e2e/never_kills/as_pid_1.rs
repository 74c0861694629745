//! reaper as PID 1 of a container: agents are orphaned to it, and nothing else collects them.

use std::process::Command;

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, skip, test_name};
use rustix::process::Signal;

use super::container::{Container, children, enter};
use crate::common::{ACT, Reaper, home, program, until};

/// `reaper run` as PID 1, with a short grace.
fn service(processes: &ProcessSet) -> String {
    let home = home(processes);
    let reaper = Reaper::new(&home, ["run"]).command();
    let program = reaper.get_program().to_str().unwrap().to_owned();
    format!("export HOME={} REAPER_GRACE=100ms REAPER_INTERVAL=1s; exec {program} run", home.display())
}

#[test]
fn beside_agents_of_another_user_or_group_it_says_which_user_to_run_as() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = program(&processes, "goose");
        let pause = format!("exec -a pause {}", program(&processes, "pause").display());
        let container = match Container::start(&processes, &pause, "pause") {
            Ok(container) => container,
            Err(reason) => return skip(test_name!(), &reason),
        };
        let agents = "setpriv --reuid 1000 --regid 1000 --clear-groups";
        drop(container.exec(&format!("{agents} setsid bash -c '{} acp &'", goose.display())));
        drop(container.find("goose", |one| one.ppid == 1));
        for (uid, gid, words) in [(1000, 1001, "not one environment"), (1234, 1234, "runs as uid 1000")] {
            let mine = home(&processes).join(uid.to_string());
            for line in [&["scan", "--dry-run"][..], &["doctor", "--no-self-test"]] {
                let reaper = Reaper::new(&mine, line.iter().copied()).uid(uid).command();
                let ids = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
                let mut as_user = Command::new("setpriv");
                as_user.args(ids).arg(reaper.get_program()).args(line);
                as_user.envs(reaper.get_envs().filter_map(|(name, value)| Some((name, value?))));
                let ran: crate::common::Ran =
                    enter(container.init(), &["--pid", "--mount"], &as_user).output().unwrap().into();
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert_eq!(ran.code, 4, "{said}");
                for words in [words, "runAsUser and runAsGroup"] {
                    assert!(said.contains(words), "`{words}` is not in {said}");
                }
            }
        }
    });
}

/// Runs a query with the options of the service's own command line.
fn ask(processes: &ProcessSet, container: &Container<'_>, args: &[&str]) -> crate::common::Ran {
    enter(
        container.init(),
        &["--pid", "--mount"],
        &Reaper::new(&home(processes), args.iter().copied()).command(),
    )
    .output()
    .unwrap()
    .into()
}

#[test]
fn as_pid_1_it_ends_orphans_and_leaves_no_zombie() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (goose, claude) = (program(&processes, "goose"), program(&processes, "claude"));
        let container = match Container::start(&processes, &service(&processes), "reaper") {
            Ok(container) => container,
            Err(reason) => return skip(test_name!(), &reason),
        };
        until("it answers", || ask(&processes, &container, &["status"]).code == 0);
        // There is no other process yet: that is not taken as full visibility.
        let alone = ask(&processes, &container, &["status", "--check", "ready"]);
        assert!(alone.code == 4 && alone.stderr.contains("alone in its PID namespace"), "{}", alone.stderr);
        assert_eq!(ask(&processes, &container, &["status", "--check", "live"]).code, 0);
        let scan = ask(&processes, &container, &["scan", "--dry-run"]);
        assert!(scan.code == 4 && scan.stderr.contains("alone in its PID namespace"), "{}", scan.stdout);
        // An unmarked process whose shell has ended is reparented to it, and exits by itself.
        drop(container.exec("(sleep 0.05 &) ; true"));
        // An agent, started from outside as `docker exec` does, leaves a helper behind.
        drop(container.exec(&format!("setsid bash -c '{} acp &'", goose.display())));
        drop(container.exec(&format!("exec {} acp", claude.display())));
        let living = container.find("claude", |one| one.ppid == 0);
        until("the orphan is ended", || {
            let ran = ask(&processes, &container, &["history", "--format", "json"]);
            ran.code == 0 && ran.stdout.contains("\"outcome\":\"exited\"")
        });
        until("nothing is left of it", || children(container.init()).is_empty());
        assert!(living.alive.is_alive());
        let ready = ask(&processes, &container, &["status", "--check", "ready"]);
        assert_eq!(ready.code, 0, "{}", ready.stderr);
        let doctor = ask(&processes, &container, &["doctor", "--no-self-test"]);
        assert!(doctor.stdout.contains("`reaper` (pid 1), an init"), "{}", doctor.stdout);
        container.init().signal(Signal::TERM.as_raw()).unwrap();
        assert!(
            container.init().wait_until(|init| !init.is_alive()),
            "a signal to PID 1 counts only if it is handled"
        );
    });
}

#[test]
fn alone_in_a_pid_namespace_it_does_not_report_a_clean_machine() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        for (line, code) in
            [(&["scan", "--dry-run"][..], 4), (&ACT[..], 4), (&["doctor", "--no-self-test"][..], 4)]
        {
            // As PID 1, and below one that runs nothing else, as `docker run --init` does.
            let below = ["sh", "-c", "\"$@\"; exit $?", "sh"];
            for init in [&[][..], &below] {
                let mut container = Command::new("unshare");
                container.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).args(init);
                let reaper = Reaper::new(&home(&processes), line.iter().copied());
                let ran: crate::common::Ran = reaper.through(container).output().unwrap().into();
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert_eq!(ran.code, code, "{said}");
                for words in ["alone in its PID namespace", "shareProcessNamespace", "--pid=container"] {
                    assert!(said.contains(words), "`{words}` is not in {said}");
                }
            }
        }
    });
}
