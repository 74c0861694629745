//! Machines, inits and sandboxes.

use std::fs;
use std::path::Path;
use std::process::Command;

use reaper_testkit::{
    Hidepid, PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, mounts, skip, test_name,
};

use super::support::{check, doctor, exists, found, in_a_user_namespace, only_amiss, stand_in, step, steps};
use crate::common::{Ran, Reaper, act, ended, home, marked, set_mode, until};

const WHOLE_WAY: [&str; 8] =
    ["started", "orphaned", "found", "waited", "explained", "planned", "ended", "collected"];

#[test]
fn a_healthy_machine_passes() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let ran = doctor(&home(&processes)).run().expect_code(0);
        assert_eq!(ran.stderr, "");
        only_amiss(&ran, &[]);
        assert_eq!(steps(&ran), WHOLE_WAY);
        assert_eq!(step(&ran, "orphaned"), "its launcher is dead, `systemd` (pid 1) has it");
        assert!(step(&ran, "found").starts_with("by children, among "), "{}", ran.stdout);
        assert!(step(&ran, "ended").starts_with("SIGTERM, exited after "), "{}", ran.stdout);
        assert!(!exists(stand_in(&ran)));
        let text = Reaper::new(&home(&processes), ["doctor", "-v"]).run().expect_code(0);
        assert!(
            text.stdout.contains("\nok    self-test a process of our own was orphaned,"),
            "{}",
            text.stdout
        );
        assert!(text.stdout.contains("unclaimed    yes       its owner, pid "), "{}", text.stdout);
        assert!(
            text.stdout.ends_with("\nreaper can do its job here: 12 ok, 0 warnings, 0 failed\n"),
            "{}",
            text.stdout
        );
    });
}

/// As on every desktop: the manager is looked up in its own cgroup.
#[test]
fn a_user_with_a_service_manager_passes() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(0);
        let cgroups = Path::new("/sys/fs/cgroup");
        mounts::memory(cgroups, "size=64k,mode=0755").unwrap();
        let own = cgroups.join("user.slice/user-0.slice/user@0.service/init.scope");
        fs::create_dir_all(&own).unwrap();
        let pam = processes.spec("(sd-pam)").under(&manager);
        fs::write(own.join("cgroup.procs"), format!("{}\n{}\n", pam.pid, manager.pid)).unwrap();
        let ran = doctor(&home(&processes)).run().expect_code(0);
        only_amiss(&ran, &[]);
        found(
            &ran,
            "adopters",
            "ok",
            &format!("`systemd` (pid {}), the user's service manager", manager.pid),
        );
        found(&ran, "sandbox", "ok", "tried on your service manager");
        let lost = marked(&processes, "goose").by(&manager).orphan();
        assert_eq!(lost.ppid(), manager.pid);
        ended(&act(&processes).run().expect_code(0), &lost);
    });
}

#[test]
fn hidepid_is_a_limit_to_an_ordinary_user() {
    for mode in [Hidepid::NoAccess, Hidepid::Invisible, Hidepid::Ptraceable] {
        in_namespace(&PidNamespace::new().systemd().several_users().hidepid(mode), test_name!(), || {
            let processes = ProcessSet::new();
            // Its launcher's lease names the PID namespace, so that its death is proven although PID 1 cannot be read.
            let ran = doctor(&home(&processes)).uid(1000).run().expect_code(0);
            only_amiss(&ran, &["proc", "adopters"]);
            found(&ran, "proc", "warn", "hidepid=");
            found(&ran, "adopters", "warn", "nothing is known");
            assert!(step(&ran, "found").starts_with("by walk, among "), "{}", ran.stdout);
        });
    }
}

#[test]
fn a_pid_1_that_may_start_agents_is_a_limit() {
    in_namespace(&PidNamespace::new().init("sh", &["sh"]), test_name!(), || {
        let processes = ProcessSet::new();
        let ran = doctor(&home(&processes)).run().expect_code(0);
        only_amiss(&ran, &["adopters"]);
        found(&ran, "adopters", "warn", "`sh` (pid 1), of which nothing is known");
        found(&ran, "adopters", "warn", "--init");
        assert_eq!(steps(&ran), WHOLE_WAY, "the lease proves that its parent died");
    });
}

#[test]
fn a_pid_1_that_the_config_names_is_still_a_limit() {
    in_namespace(&PidNamespace::new().init("agentd", &["agentd"]), test_name!(), || {
        let processes = ProcessSet::new();
        let ran = doctor(&home(&processes)).env("REAPER_ADOPTERS", "agentd").run().expect_code(0);
        only_amiss(&ran, &["adopters"]);
        found(&ran, "adopters", "warn", "`agentd` (pid 1)");
        found(&ran, "adopters", "warn", "it may have started an agent itself");
        found(&ran, "adopters", "warn", "--init");
        assert_eq!(steps(&ran), WHOLE_WAY, "the lease proves that its parent died");
    });
}

#[test]
fn a_configured_adopter_is_checked_and_reported_when_it_does_not_run() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let keeper = processes.spec("keeper").behave("subreaper").child();
        let _ward = processes.spec("ward").under(&keeper);
        let ran = doctor(&home(&processes)).env("REAPER_ADOPTERS", "keeper").run().expect_code(0);
        only_amiss(&ran, &[]);
        let words = format!("`keeper` (pid {}), a subreaper that the config names", keeper.pid);
        found(&ran, "adopters", "ok", &words);
        let wrong = doctor(&home(&processes)).env("REAPER_ADOPTERS", "keeper,conmon").run().expect_code(0);
        only_amiss(&wrong, &["adopters"]);
        found(&wrong, "adopters", "warn", &words);
        found(&wrong, "adopters", "warn", "`conmon` of the config's `adopters` is not running");
    });
}

#[test]
fn r01_zombies_that_stay_are_reported() {
    in_namespace(&PidNamespace::new().init("sh", &["sh"]).keep_zombies(), test_name!(), || {
        let processes = ProcessSet::new();
        let ran = doctor(&home(&processes)).run().expect_code(0);
        only_amiss(&ran, &["adopters", "self-test"]);
        found(&ran, "self-test", "warn", "does not collect it: zombies stay");
        assert!(step(&ran, "ended").starts_with("SIGTERM, exited after "));
        // Each launcher is a child of the doctor, which collects it.
        assert_eq!(ProcessRef::open(stand_in(&ran)).unwrap().state(), 'Z');
    });
}

/// Runs the doctor as a child of another process, and reads its output file.
fn doctor_below(
    processes: &ProcessSet,
    parent: &ProcessRef,
    change: impl FnOnce(ProcessSpec) -> ProcessSpec,
) -> Ran {
    let (home, out) = (home(processes), processes.directory().join("said"));
    fs::create_dir_all(&home).unwrap();
    set_mode(&home, 0o700);
    let script = format!(
        "{} doctor --format json > {out}.json 2> {out}.err; echo $? > {out}.draft; mv {out}.draft {out}.code",
        env!("CARGO_BIN_EXE_reaper"),
        out = out.display()
    );
    let shell = processes.spec("sh").foreign("/bin/sh").args(["-c", &script]).env("HOME", &home).by(parent);
    let shell = change(shell).child();
    let file = |end: &str| fs::read_to_string(format!("{}.{end}", out.display())).unwrap();
    until("the doctor is done", || Path::new(&format!("{}.code", out.display())).exists());
    drop(shell);
    Ran { code: file("code").trim().parse().unwrap(), stdout: file("json"), stderr: file("err") }
}

#[test]
fn an_unknown_adopter_is_named() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let keeper = processes.spec("keeper").behave("subreaper").child();
        let ran = doctor_below(&processes, &keeper, |shell| shell).expect_code(4);
        only_amiss(&ran, &["self-test"]);
        found(&ran, "self-test", "fail", "`keeper` (pid ");
        found(&ran, "self-test", "fail", "name it in `adopters`");
        assert_eq!(steps(&ran), ["started", "orphaned"]);
        assert!(exists(stand_in(&ran)), "what was not found was not ended either");
    });
}

#[test]
fn an_adopter_that_the_config_names_is_found() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let keeper = processes.spec("keeper").behave("subreaper").child();
        let ran = doctor_below(&processes, &keeper, |shell| shell.env("REAPER_ADOPTERS", "keeper"));
        only_amiss(&ran.expect_code(0), &[]);
    });
}

#[test]
fn an_ignored_sigterm_is_reported() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        drop(doctor(&home));
        let script = format!("trap '' TERM; exec {} doctor --format json", env!("CARGO_BIN_EXE_reaper"));
        let output =
            Command::new("/bin/sh").args(["-c", &script]).env_clear().env("HOME", &home).output().unwrap();
        let ran = Ran::from(output).expect_code(0);
        only_amiss(&ran, &["self-test"]);
        found(&ran, "self-test", "warn", "by SIGKILL only");
        assert!(!exists(stand_in(&ran)));
    });
}

/// The sandbox of a hardened user unit, without systemd: a user namespace in which the user is itself.
#[test]
fn a_user_namespace_that_hides_environments_is_a_failure() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(1000);
        let sees = doctor(&home(&processes)).uid(1000).env("MANAGERPID", manager.pid.to_string()).run();
        found(&sees.expect_code(0), "sandbox", "ok", "tried on your service manager");
        let inside = doctor(&home(&processes)).uid(1000).env("MANAGERPID", manager.pid.to_string());
        let Some(mut inside) = in_a_user_namespace(inside) else {
            return skip(test_name!(), "unshare cannot make a user namespace for the current user");
        };
        let ran = Ran::from(inside.output().unwrap()).expect_code(4);
        found(&ran, "sandbox", "fail", "no marker of an agent can be seen");
        found(&ran, "sandbox", "fail", "user namespace of its own");
        only_amiss(&ran, &["sandbox"]);
        assert_eq!(steps(&ran), WHOLE_WAY, "its own processes are in there with it");
    });
}

/// As in a unit with `ProcSubset=pid`, or a chroot.
#[test]
fn without_proc_the_answer_is_still_a_document() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let run = doctor(&home(&processes));
        mounts::memory(Path::new("/proc"), "size=4k").unwrap();
        let ran = run.run();
        mounts::take_away(Path::new("/proc")).unwrap();
        let ran = ran.expect_code(4);
        only_amiss(&ran, &["proc"]);
        found(&ran, "proc", "fail", "nothing can be known");
        found(&ran, "proc", "fail", "mount /proc");
        assert!(ran.json()["uid"].is_null() && ran.json()["self_test"].is_null());
    });
}

#[test]
fn root_without_capabilities_cannot_serve_all_users() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        drop(doctor(&home));
        let run = |drop: &str, more: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args([format!("--bounding-set={drop}"), "--inh-caps=-all".to_owned()]);
            command.args([env!("CARGO_BIN_EXE_reaper"), "doctor", "--format", "json"]).args(more);
            Ran::from(command.env("HOME", &home).output().unwrap())
        };
        found(&run("+all", &["--all-users"]).expect_code(0), "rights", "ok", "all users");
        let blind = run("-dac_read_search,-dac_override", &["--all-users"]).expect_code(4);
        found(&blind, "rights", "fail", "CAP_DAC_READ_SEARCH (to read markers) missing");
        found(&run("-kill", &[]).expect_code(0), "rights", "warn", "CAP_KILL (to signal) missing");
        let home = processes.directory().join("user");
        let user = doctor(&home).uid(1000).run().expect_code(0);
        assert!(check(&user, "rights").is_null(), "an ordinary user needs none");
        assert_eq!(Reaper::new(&home, ["doctor", "--all-users"]).uid(1000).run().code, 2);
    });
}
