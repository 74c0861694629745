//! A real systemd with real services, where the machine has one to boot.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, skip, test_name};

use super::container::{ContainerProcess, children, container_processes, enter};
use super::systemd_units::Branch;
use crate::common::{ACT, APP, MARK, Ran, decided, poll, program, until};

/// A booted systemd in namespaces within the test's. It sees the test's files in `/test`.
struct Booted {
    init: ProcessRef,
    _branch: Branch,
}

impl Booted {
    /// Boots it; `Err` with the reason where that cannot be.
    fn new(processes: &ProcessSet) -> Result<Self, String> {
        if !Path::new("/lib/systemd/systemd").exists() {
            return Err("no systemd to boot".to_owned());
        }
        let branch = Branch::new()?;
        let (cgroup, files) = (branch.grow("machine"), processes.directory().join("machine"));
        fs::create_dir(&files).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_reaper"), processes.directory().join("reaper")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/never_kills/real_systemd.sh");
        let log = processes.directory().join("boot.log");
        let unshare = processes
            .spec("unshare")
            .foreign("/usr/bin/unshare")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let unshare =
            unshare.args(["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--net", "sh"]);
        let paths =
            [&script, &files, &cgroup, processes.directory(), &log].map(|path| path.as_os_str().to_owned());
        let outer = unshare.args(paths).child();
        let mut init = None;
        let is_up = poll(|| {
            init = children(&outer).first().and_then(|pid| ProcessRef::open(*pid).ok());
            !outer.is_alive() || init.as_ref().is_some_and(takes_orders)
        });
        match init.filter(|_| is_up && outer.is_alive()) {
            Some(init) => Ok(Self { init, _branch: branch }),
            None => {
                outer.kill();
                let said = fs::read_to_string(&log).unwrap_or_default();
                Err(format!("no systemd can be booted: {}", said.trim()))
            }
        }
    }

    /// Starts the goose under this word as root's own service or as the system's, with these settings.
    fn start(&self, settings: &[&str], command: &str) {
        let mut run = inside("systemd-run");
        run.args(["--quiet", "-E", &format!("{MARK}={APP}")]).args(settings).args(["sh", "-c", command]);
        // What it leaves behind would hold a pipe open.
        let mut enter = enter(&self.init, &["--all"], &run);
        let status = enter.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{settings:?} {command}: {status}");
    }

    /// The goose that was started with this word, once it is set up.
    fn find(&self, word: &str) -> ContainerProcess {
        let line = format!("\0{word}\0");
        let is_it =
            |one: &ContainerProcess| one.is_set_up() && one.alive.cmdline().ends_with(line.as_bytes());
        let is_goose = |one: &ContainerProcess| one.alive.exe().is_ok_and(|exe| exe.ends_with("goose"));
        let mut found = None;
        until(&format!("there is a goose called {word}"), || {
            found = container_processes(&self.init).into_iter().find(|one| is_goose(one) && is_it(one));
            found.is_some()
        });
        found.unwrap()
    }

    fn reaper(&self, args: &[&str]) -> Ran {
        let mut command = inside("/test/reaper");
        command.args(args);
        enter(&self.init, &["--all"], &command).output().unwrap().into()
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        self.init.kill();
    }
}

/// A command with root's surroundings.
fn inside(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/bin:/bin").env("HOME", "/root").env("XDG_RUNTIME_DIR", "/run/user/0");
    command
}

/// Whether both managers take orders.
fn takes_orders(init: &ProcessRef) -> bool {
    ["--system", "--user"].iter().all(|manager| {
        let mut ask = inside("systemctl");
        ask.args([manager, "is-system-running"]);
        let said = enter(init, &["--all"], &ask).output().map(|out| out.stdout).unwrap_or_default();
        said.starts_with(b"running") || said.starts_with(b"degraded")
    })
}

#[test]
fn w04_w21_services_of_a_real_systemd_are_spared_and_their_orphans_are_ended() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        drop(program(&processes, "goose"));
        let booted = match Booted::new(&processes) {
            Ok(booted) => booted,
            Err(reason) => return skip(test_name!(), &reason),
        };
        const GOOSE: &str = "/test/bin/goose";
        let forking = ["--property=Type=forking"];
        let process = ["--property=KillMode=process"];
        let started = "the service manager started pid";
        let main = "is the main process of";
        let mut kept = Vec::new();
        let mut left = Vec::new();
        for (manager, scope) in [("--system", "--scope"), ("--user", "--scope")] {
            let word = |what: &str| format!("{what}{manager}");
            let unit = |what: &str| format!("--unit={what}");
            // The plain kind; one below a shell that waits for it; one that only the manager knows.
            booted.start(&[manager, &unit("simple")], &format!("exec {GOOSE} {}", word("simple")));
            kept.push((word("simple"), started));
            booted.start(&[manager, &unit("shell")], &format!("{GOOSE} {}; exit", word("shell")));
            kept.push((word("shell"), started));
            booted.start(
                &[manager, &unit("forking"), forking[0]],
                &format!("{GOOSE} {} & exit 0", word("forking")),
            );
            kept.push((word("forking"), main));
            // Left behind by a service that lives on, and by a scope, which has no process that could be a parent.
            let leave = |what: &str| format!("setsid sh -c '{GOOSE} {} & exit 0'", word(what));
            booted.start(
                &[manager, &unit("leaves"), process[0]],
                &format!("{}; exec sleep 1000", leave("by-service")),
            );
            left.push(word("by-service"));
            booted.start(&[manager, scope], &leave("by-scope"));
            left.push(word("by-scope"));
        }
        let kept: Vec<_> = kept.iter().map(|(word, words)| (booted.find(word), *words)).collect();
        let left: Vec<_> = left.iter().map(|word| booted.find(word)).collect();
        let ran = booted.reaper(&ACT).expect_code(0);
        for (one, words) in &kept {
            let judgement = ran.judgement(one.pid).unwrap_or_else(|| panic!("{one:?}\n{}", ran.stdout));
            decided(&judgement, "spare", "unsupervised", words);
            assert!(one.alive.is_alive() && ran.outcome(one.pid).is_empty());
        }
        for one in &left {
            assert_eq!(ran.outcome(one.pid), "exited", "{one:?}\n{}", ran.stdout);
        }
    });
}
