//! Daemons that were started on purpose inside a marked session, and what users run in them.

use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, skip, test_name};

use crate::common::{
    ACT, MARK, Reaper, act, dead_lease, decided, ended, explain, finding, home, left_alone, marked, only,
    orphan, set_mode, spared, until,
};

/// Everything that makes a process a target: both launchers' markers, and an owner that is provably dead.
fn doomed(processes: &ProcessSet, dead: &str, name: &str) -> ProcessSpec {
    marked(processes, name).env("REAPER_MANAGED", "1").env("REAPER_OWNER", dead)
}

#[test]
fn w03_daemons_of_the_whole_session_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = dead_lease(&processes);
        let daemon = |name: &str, argv: &[&str]| {
            doomed(&processes, &dead, name).argv(argv.iter().copied()).orphan_double_fork()
        };
        let java = "org.gradle.launcher.daemon.bootstrap.GradleDaemon";
        let daemons = [
            daemon("tmux", &["tmux: server", "new-session"]),
            daemon("tmux", &["/usr/bin/tmux", "-L", "x", "new", "-d"]),
            doomed(&processes, &dead, "tmux").behave("comm=tmux: server").orphan_double_fork(),
            daemon("screen", &["SCREEN", "-S", "work"]),
            daemon("screen-4.9.0", &["SCREEN"]),
            daemon("zellij", &["zellij", "--server", "/run/user/1000/zellij/0.40.1/x"]),
            daemon("mosh-server", &["mosh-server", "new"]),
            daemon("ssh-agent", &["ssh-agent", "-s"]),
            daemon("gpg-agent", &["gpg-agent", "--homedir", "/home/a/.gnupg", "--server"]),
            daemon("scdaemon", &["scdaemon", "--multi-server"]),
            daemon("dbus-daemon", &["dbus-daemon", "--session", "--fork"]),
            daemon("java", &["/opt/jdk/bin/java", "-cp", "/opt/gradle/lib/gradle-launcher.jar", java, "8.5"]),
            daemon("java", &["bazel(project)", "-jar", "/home/a/.cache/bazel/A-server.jar"]),
            daemon("sccache", &["sccache"]),
            daemon("watchman", &["watchman", "--foreground", "--logfile=/tmp/log"]),
            daemon("git", &["git", "gc", "--auto", "--quiet"]),
            daemon("git", &["git", "maintenance", "run", "--auto"]),
            daemon("git", &["git", "fsmonitor--daemon", "run"]),
            daemon("adb", &["adb", "-L", "tcp:5037", "fork-server", "server"]),
            daemon("chrome_crashpad_handler", &["chrome_crashpad_handler", "--monitor-self"]),
        ];
        // Under the profile for any program these arguments alone keep a process; their names would, too.
        let detached = [
            daemon("gpg-agent", &["gpg-agent", "--homedir", "/home/a/.gnupg", "--daemon"]),
            daemon("git", &["git", "maintenance", "run", "--auto", "--detach"]),
            daemon("git", &["git", "fsmonitor--daemon", "run", "--detach"]),
        ];
        let unprotected = daemon("anything", &["anything", "--server"]);
        let ran = act(&processes).run().expect_code(0);
        for one in &detached {
            spared(&ran, one, "unsupervised", "a daemon that was started on purpose");
            let protected = finding(&explain(&processes, one), "unprotected").unwrap();
            assert!(protected["evidence"].as_str().unwrap().ends_with("is never touched"), "{protected}");
        }
        for one in &daemons {
            spared(&ran, one, "unprotected", "is never touched");
            only(&processes, one, "unprotected");
        }
        ended(&ran, &unprotected);
    });
}

#[test]
fn w03_processes_below_an_orphaned_multiplexer_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let tmux = marked(&processes, "tmux").behave("comm=tmux: server").orphan_double_fork();
        // A pane's shell is a wrapper by its name; the climb must end at the server all the same.
        let shell = marked(&processes, "bash").argv(["-bash"]).own_session().under(&tmux);
        let claude = marked(&processes, "claude").under(&shell);
        let helper = marked(&processes, "mcp-server-files").own_session().under(&claude);
        let direct = marked(&processes, "goose").own_session().under(&tmux);
        let orphan = orphan(&processes);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        for alive in [&tmux, &shell, &claude, &helper, &direct] {
            assert!(alive.is_alive(), "{} has ended\n{}", alive.pid, ran.stdout);
        }
        decided(&explain(&processes, &claude), "spare", "orphan", "is alive through `bash`");
        decided(&explain(&processes, &direct), "spare", "orphan", "its parent `tmux");
    });
}

#[test]
fn w03_a_multiplexer_in_an_orphans_tree_keeps_its_processes() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        // `screen -D -m` stays in the foreground.
        let screen = marked(&processes, "screen").argv(["SCREEN", "-D", "-m"]).own_session().under(&orphan);
        let shell = marked(&processes, "bash").own_session().under(&screen);
        let claude = marked(&processes, "claude").under(&shell);
        let tool = marked(&processes, "node").args(["/srv/tool.js"]).under(&orphan);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        ended(&ran, &tool);
        left_alone(&ran, &screen, "is never touched");
        assert!(shell.is_alive() && claude.is_alive());
        let again = act(&processes).run().expect_code(0);
        spared(&again, &screen, "marker", "REAPER_MANAGED is not in its environment");
        assert!(shell.is_alive() && claude.is_alive());
    });
}

#[test]
fn w03_a_real_tmux_and_its_panes_survive() {
    let tmux = Path::new("/usr/bin/tmux");
    if !tmux.exists() {
        return skip(test_name!(), "no tmux here");
    }
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let socket = processes.directory().join("tmux");
        let command = crate::common::program(&processes, "claude");
        let client = marked(&processes, "tmux").foreign(tmux).env("HOME", "/").env("SHELL", "/bin/sh");
        let client = client.args(["-f".as_ref(), "/dev/null".as_ref(), "-S".as_ref(), socket.as_os_str()]);
        drop(client.args(["new-session", "-d", command.to_str().unwrap()]).child());
        let mut pane = None;
        until("the pane is there", || {
            pane =
                processes_named("claude").into_iter().find(|p| p.environ().is_ok_and(|e| contains(&e, MARK)));
            pane.is_some()
        });
        let pane = pane.unwrap();
        let shell = ProcessRef::open(pane.ppid()).unwrap();
        let server = if shell.comm() == "sh" { ProcessRef::open(shell.ppid()).unwrap() } else { shell };
        assert_eq!((server.ppid(), server.comm()), (1, "tmux: server".into()));
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        assert!(server.is_alive() && pane.is_alive(), "{}", ran.stdout);
        let judged = explain(&processes, &server);
        assert_eq!(finding(&judged, "unprotected").unwrap()["answer"], "no", "{judged:#}");
        decided(&explain(&processes, &pane), "spare", "orphan", "is alive");
    });
}

fn contains(block: &[u8], word: &str) -> bool {
    block.windows(word.len()).any(|part| part == word.as_bytes())
}

fn processes_named(comm: &str) -> Vec<ProcessRef> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| ProcessRef::open(pid).ok()).filter(|one| one.comm() == comm).collect()
}

#[test]
fn w05_no_terminal_is_no_sign_of_an_orphan() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        // Started by an editor, by a script, and in a session of its own: none has a terminal.
        let editor = processes.spec("code").own_session().orphan_double_fork();
        let in_an_editor = marked(&processes, "claude").under(&editor);
        let script = processes.spec("zsh").args(["nightly.sh"]).own_session().orphan_double_fork();
        let in_a_script = marked(&processes, "codex").own_session().under(&script);
        let shell = processes.spec("bash").args(["nightly.sh"]).own_session().orphan_double_fork();
        let in_a_shell = marked(&processes, "goose").under(&shell);
        let nohup = processes.spec("claude").own_session().orphan_in_session();
        let ran = act(&processes).run().expect_code(0);
        for alive in [&in_an_editor, &in_a_script, &in_a_shell, &nohup] {
            assert_eq!(alive.stat(7).as_deref(), Some("0"), "no terminal");
        }
        ended(&ran, &orphan);
        spared(&ran, &nohup, "marker", "in its environment");
        for (alive, parent) in [(&in_an_editor, "`code`"), (&in_a_script, "`zsh`"), (&in_a_shell, "`bash`")] {
            assert!(alive.is_alive());
            decided(&explain(&processes, alive), "spare", "orphan", &format!("its parent {parent}"));
            only(&processes, alive, "orphan");
        }
    });
}

#[test]
fn w13_a_process_that_asks_to_be_kept_is_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let kept = ["1", "yes", "because", "true"]
            .map(|value| marked(&processes, "goose").env("REAPER_KEEP", value).orphan_of_dead_leader());
        let twice = marked(&processes, "goose").env("REAPER_KEEP", "0").env_raw("REAPER_KEEP=1");
        let twice = twice.orphan_of_dead_leader();
        let orphan = orphan(&processes);
        let server = marked(&processes, "vite").env("REAPER_KEEP", "1").own_session().under(&orphan);
        let worker = marked(&processes, "esbuild").under(&server);
        let ran = act(&processes).run().expect_code(0);
        for one in kept.iter().chain([&twice]) {
            spared(&ran, one, "unprotected", "REAPER_KEEP is set: it asked to be kept");
            only(&processes, one, "unprotected");
        }
        ended(&ran, &orphan);
        left_alone(&ran, &server, "REAPER_KEEP is set: it asked to be kept");
        assert!(worker.is_alive(), "what hangs below it is its own\n{}", ran.stdout);
    });
}

#[test]
fn w13_daemons_that_agents_start_on_purpose_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let daemon = |name: &str, args: &[&str]| {
            marked(&processes, name).args(args.iter().copied()).orphan_double_fork()
        };
        let daemons = [
            daemon("claude", &["daemon", "run", "--origin", "transient"]),
            daemon("claude", &["--bg-pty-host", "/tmp/x"]),
            daemon("claude", &["--bg-spare"]),
            daemon("codex", &["app-server", "--listen", "unix:///run/x", "--managed-daemon"]),
            daemon("codex", &["app-server", "--listen=unix:///run/x"]),
            daemon("codex", &["app-server", "daemon", "pid-update-loop"]),
            daemon("cline", &["--cline-hub-daemon"]),
            marked(&processes, "cline").env("CLINE_RUN_AS_HUB_DAEMON", "1").orphan_double_fork(),
        ];
        let orphan = orphan(&processes);
        let below = marked(&processes, "claude").args(["daemon", "run"]).own_session().under(&orphan);
        let ran = act(&processes).run().expect_code(0);
        for one in &daemons {
            spared(&ran, one, "unsupervised", "a daemon that was started on purpose");
            only(&processes, one, "unsupervised");
        }
        ended(&ran, &orphan);
        left_alone(&ran, &below, "a daemon that was started on purpose");
    });
}

#[test]
fn w13_daemons_are_recognised_by_the_arguments_in_their_profile() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let config = processes.directory().join("keep.toml");
        let text = "[[profile]]\nname = \"mine\"\nmarkers = [\"MY_AGENT_RUN\"]\nprograms = [\"my-agent\"]\n\
                    keep-args = [\"--daemon\"]\n";
        std::fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        let agent = processes.spec("my-agent").env("MY_AGENT_RUN", "1");
        let daemon = agent.clone().args(["--daemon"]).orphan_double_fork();
        let plain = agent.args(["serve"]).orphan_double_fork();
        let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
        let ran = Reaper::new(&home(&processes), args).run().expect_code(0);
        spared(&ran, &daemon, "unsupervised", "`--daemon` among its arguments");
        ended(&ran, &plain);
    });
}
