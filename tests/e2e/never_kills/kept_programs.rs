//! Programs that agents start for the user stay after their launcher's death, whatever wrappers are above them.

use std::fs;
use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, skip, test_name};

use super::real_programs::{
    Dead, IDLE, SERVER, USER, act_with, below, file, find, folder, installed, node, npm_package,
    postgres_bin, says_the_truth_of_what_it_left, sprout, title, wait_for,
};
use super::systemd_units::Units;
use crate::common::{
    ACT, Ran, Reaper, act, decided, ended, explain, home, left_alone, marked, program, spared, untouched,
};

/// The acting command of the ordinary user.
fn act_as_user(processes: &ProcessSet) -> Reaper {
    Reaper::new(&home(processes), ACT).uid(USER)
}

/// Fails unless all of these live, and nothing was done to any of them.
#[track_caller]
fn all_live(ran: &Ran, all: &[ProcessRef]) {
    assert!(!all.is_empty());
    all.iter().for_each(|one| untouched(ran, one));
    says_the_truth_of_what_it_left(ran);
}

/// Another stand-in that the launcher left: it is ended.
fn leftover(processes: &ProcessSet, dead: &Dead, uid: u32) -> ProcessRef {
    dead.spec(processes, "anything").uid(uid).orphan_of_dead_leader()
}

/// A folder of the user's with a new database cluster.
fn cluster(processes: &ProcessSet, bin: &Path) -> PathBuf {
    let data = folder(processes, "pg", USER);
    let made = processes.spec("initdb").foreign(bin.join("initdb")).uid(USER);
    let made = made.args(["-A", "trust", "-N", "-D"]).args([data.join("data")]).child();
    assert!(made.wait_exit(crate::common::LONG) && data.join("data/PG_VERSION").exists(), "initdb fails");
    data
}

/// Waits for a server of postgres and the processes that it starts for itself.
fn cluster_is_up(data: &Path) -> ProcessRef {
    let server = data.join("data");
    let pid = || fs::read_to_string(server.join("postmaster.pid")).ok()?.lines().next()?.parse().ok();
    let is_it = |one: &ProcessRef| pid() == Some(one.pid) && below(one).len() >= 4;
    let server = find("postgres", is_it);
    find("the checkpointer", |one| {
        title(one).starts_with("postgres: checkpointer") && one.ppid() == server.pid
    });
    server
}

#[test]
fn b03_a_real_postgres_that_pg_ctl_started_is_spared() {
    let Some(bin) = postgres_bin() else { return skip(test_name!(), "no postgres here") };
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let data = cluster(&processes, &bin);
        // The agent's shell runs it as in the project's README, and exits.
        let start = format!(
            "{0}/pg_ctl -D {1}/data -o '-c listen_addresses= -k {1}' -l {1}/log start >/dev/null",
            bin.display(),
            data.display()
        );
        let shell = dead.stamp(processes.spec("sh").foreign("/bin/sh")).uid(USER).args(["-c", &start]);
        let shell = shell.own_session().child();
        let server = cluster_is_up(&data);
        assert!(shell.wait_reaped(crate::common::LONG));
        assert_eq!((server.ppid(), server.sid()), (1, server.pid), "pg_ctl makes it a session");
        let rest = leftover(&processes, &dead, USER);
        let ran = act_as_user(&processes).run().expect_code(0);
        spared(&ran, &server, "unprotected", "`postgres` by its executable, is never touched");
        all_live(&ran, &below(&server));
        ended(&ran, &rest);
    });
}

#[test]
fn b03_a_real_pm2_and_the_app_it_runs_are_spared() {
    let (Some(_), Some(pm2)) = (installed("node"), npm_package("pm2")) else {
        return skip(test_name!(), "no pm2 from npm here");
    };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        // One that listens is protected by that. This one does not, like a bot or a queue's worker.
        let app = file(&processes, "app/worker.js", IDLE);
        let client = dead.stamp(node(&processes, &pm2.join("bin/pm2"))).args(["start"]).args([&app]);
        let client =
            client.env("HOME", processes.directory()).env("PM2_HOME", processes.directory().join(".pm2"));
        let client = client.own_session().child();
        let god = find("the God Daemon", |one| title(one).contains("God Daemon"));
        let kept = find("the app", |one| one.ppid() == god.pid && title(one).contains("worker.js"));
        assert!(client.wait_reaped(crate::common::LONG));
        assert_eq!((god.ppid(), god.sid(), kept.sid()), (1, god.pid, kept.pid));
        let rest = leftover(&processes, &dead, 0);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &god, "unprotected", "is never touched");
        untouched(&ran, &kept);
        decided(&explain(&processes, &kept), "spare", "orphan", "is alive");
        ended(&ran, &rest);
    });
}

#[test]
fn b03_a_node_server_that_others_can_reach_is_spared_unless_the_config_says_otherwise() {
    if installed("node").is_none() {
        return skip(test_name!(), "no node here");
    }
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let server = |path: &str, text: &str, socket: &Path| {
            let ready = processes.directory().join(format!("{}.ready", path.replace('/', "-")));
            let script = file(&processes, path, text);
            let server = dead.stamp(node(&processes, &script)).env("READY", &ready).args([socket]);
            let server = server.orphan_double_fork();
            wait_for(&ready);
            server
        };
        let dev = server("app/server.js", SERVER, Path::new("-"));
        // A code index that other sessions are connected to.
        let at_home = folder(&processes, "home/.cache", rustix::process::geteuid().as_raw());
        let index =
            server("node_modules/@acme/index/dist/index.js", UNIX_SERVER, &at_home.join("index.sock"));
        let rest = leftover(&processes, &dead, 0);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &dev, "unprotected", "it accepts connections on TCP port");
        spared(&ran, &index, "unprotected", "it accepts connections on a socket in the file system");
        ended(&ran, &rest);
        says_the_truth_of_what_it_left(&ran);
        let ran = act_with(&processes, "keep-listeners = false\n").run().expect_code(0);
        ended(&ran, &dev);
        ended(&ran, &index);
    });
}

/// As puma does: Ruby writes its title over its arguments, so that only its behaviour distinguishes them.
const RUBY_SERVER: &str = "require 'socket'\n$0 = 'puma 6.4 (tcp://127.0.0.1)'\n\
                           server = TCPServer.new('127.0.0.1', 0)\nFile.write(ENV['READY'], 'listening')\nsleep\n";
const RUBY_WATCHER: &str = "$0 = 'watch'\nFile.write(ENV['READY'], 'watching')\nsleep\n";

#[test]
fn b03_a_ruby_server_is_spared_and_a_script_beside_it_ends() {
    let Some(ruby) = installed("ruby") else { return skip(test_name!(), "no ruby here") };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let start = |path: &str, text: &str| {
            let ready = processes.directory().join(format!("{}.ready", path.replace('/', "-")));
            let script = file(&processes, path, text);
            let spec = dead.stamp(processes.spec("ruby").foreign(&ruby)).args([script]).env("READY", &ready);
            let one = spec.orphan_double_fork();
            wait_for(&ready);
            one
        };
        let server = start("shop/config.rb", RUBY_SERVER);
        let watcher = start("shop/watch.rb", RUBY_WATCHER);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &server, "unprotected", "it accepts connections on TCP port");
        ended(&ran, &watcher);
        says_the_truth_of_what_it_left(&ran);
    });
}

/// Accepts on the socket that its first argument names.
const UNIX_SERVER: &str = "require('net').createServer(() => {}).listen(process.argv[2], () => \
                           require('fs').writeFileSync(process.env.READY, 'listening'));";

#[test]
fn b03_models_windows_editors_and_deliberate_daemons_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let left = |name: &str, directory: &str, args: &[&str]| {
            let spec = dead.spec(&processes, name).exe_dir(processes.directory().join(directory)).args(args);
            spec.orphan_double_fork()
        };
        let profile = "--user-data-dir=/home/u/.config/google-chrome";
        let protected = [
            left("ollama", "usr/bin", &["serve"]),
            // `xdg-open` of a login page, and of the page that is being built.
            left("firefox", "usr/lib/firefox", &["https://login.example"]),
            left("chrome", "opt/google/chrome", &["http://localhost:3000"]),
            left("chrome", "opt/google/chrome", &[profile, "--remote-debugging-port=9222"]),
            // The browser of a tool, but with a window: the user logged in there.
            left(
                "chrome",
                "opt/google/chrome",
                &["--user-data-dir=/home/u/.cache/ms-playwright/mcp-chrome-9f8e7d6"],
            ),
            left("code", "usr/share/code", &["."]),
        ];
        let told = [
            left("worker", "bin", &["--daemon"]),
            left("relay", "bin", &["--detached", "--grace-time", "0"]),
        ];
        let rest = leftover(&processes, &dead, 0);
        let ran = act(&processes).run().expect_code(0);
        for one in &protected {
            spared(&ran, one, "unprotected", "is never touched");
        }
        for one in &told {
            spared(&ran, one, "unsupervised", "a daemon that was started on purpose");
        }
        ended(&ran, &rest);
    });
}

#[test]
fn b03_a_browser_window_whose_page_is_named_like_a_temporary_profile_is_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let chrome = |args: &[&str]| dead.spec(&processes, "chrome").args(args).orphan_of_dead_leader();
        // What was opened in it, and not the folder of its profile.
        let windows = [
            chrome(&["https://github.com/acme/playwright_chromiumdev_profile-docs"]),
            chrome(&["/home/u/puppeteer_dev_chrome_profile-notes.html"]),
        ];
        let thrown_away = chrome(&["--user-data-dir=/tmp/puppeteer_dev_chrome_profile-AbC123"]);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &thrown_away);
        for one in &windows {
            spared(&ran, one, "unprotected", "is never touched");
        }
    });
}

#[test]
fn b04_headless_browsers_and_those_with_a_temporary_profile_end() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let chrome = |args: &[&str]| {
            let directory = processes.directory().join("opt/google/chrome");
            dead.spec(&processes, "chrome").exe_dir(directory).args(args).orphan_of_dead_leader()
        };
        let headless =
            chrome(&["--headless=new", "--user-data-dir=/home/u/.cache/ms-playwright/mcp-chrome-1a2b3c4"]);
        let thrown_away = chrome(&["--user-data-dir=/tmp/puppeteer_dev_chrome_profile-AbC123"]);
        let looked_at = chrome(&["--user-data-dir=/home/u/.config/google-chrome"]);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &headless);
        ended(&ran, &thrown_away);
        spared(&ran, &looked_at, "unprotected", "is never touched");
    });
}

/// Makes a folder for itself, as tools do for the socket by which they talk to their own children, and listens there.
/// The name has letters of both kinds, as nearly all that mkdtemp makes.
const PRIVATE_SERVER: &str = "
const fs = require('fs');
let folder;
for (;;) {
    folder = fs.mkdtempSync('/tmp/tool-');
    if (/-.*[a-z]/.test(folder) && /-.*[A-Z]/.test(folder.slice(9))) break;
    fs.rmdirSync(folder);
}
require('net').createServer(() => {}).listen(folder + '/pipe.sock', () =>
    fs.writeFileSync(process.env.READY, folder));";

#[test]
fn b04_a_stdio_server_and_a_server_only_its_children_can_reach_end() {
    if installed("node").is_none() {
        return skip(test_name!(), "no node here");
    }
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let run = |path: &str, text: &str, ready: &Path| {
            let script = file(&processes, path, text);
            dead.stamp(node(&processes, &script)).env("READY", ready).orphan_of_dead_leader()
        };
        let ready = processes.directory().join("ready");
        let files = run("npx/node_modules/@acme/files-mcp/dist/index.js", IDLE, &ready);
        let tool = run("node_modules/tool/cli.js", PRIVATE_SERVER, &ready);
        wait_for(&ready);
        let ran = act(&processes).run().expect_code(0);
        // It is the machine's own folder for temporary files, and the tool had no time to remove its part.
        fs::remove_dir_all(fs::read_to_string(&ready).unwrap()).unwrap();
        ended(&ran, &files);
        ended(&ran, &tool);
    });
}

/// A folder with a package whose `dev` script starts the server.
fn web_app(processes: &ProcessSet) -> PathBuf {
    let package = r#"{ "name": "web", "scripts": { "dev": "node server.js" } }"#;
    let app = file(processes, "web/package.json", package).parent().unwrap().to_owned();
    file(processes, "web/server.js", SERVER);
    app
}

#[test]
fn b03a_a_server_run_by_real_npm_keeps_npm_and_its_shell() {
    let (Some(_), Some(npm)) = (installed("node"), installed("npm")) else {
        return skip(test_name!(), "no npm here");
    };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let (app, ready) = (web_app(&processes), processes.directory().join("ready"));
        let typed = format!("cd {} && exec {} run dev", app.display(), npm.display());
        let npm = dead.stamp(processes.spec("sh").foreign("/bin/sh")).args(["-c", &typed]);
        let npm = npm.env("HOME", processes.directory()).env("READY", &ready).orphan_of_dead_leader();
        wait_for(&ready);
        let tree = below(&npm);
        let names: Vec<String> = [&npm].into_iter().chain(&tree).map(title).collect();
        assert_eq!(names, ["npm run dev", "sh -c node server.js", "node server.js"]);
        let rest = leftover(&processes, &dead, 0);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &npm, "unprotected", "below it: it accepts connections on TCP port");
        all_live(&ran, &tree);
        ended(&ran, &rest);
        // The same tree, once others cannot reach what listens.
        let ran = act_with(&processes, "keep-listeners = false\n").run().expect_code(0);
        assert!(
            [&npm].into_iter().chain(&tree).all(|one| one.wait_exit(crate::common::LONG)),
            "{}",
            ran.stdout
        );
        says_the_truth_of_what_it_left(&ran);
    });
}

#[test]
fn b03a_a_real_tmux_keeps_the_timeout_above_it() {
    let (Some(tmux), Some(timeout)) = (installed("tmux"), installed("timeout")) else {
        return skip(test_name!(), "no tmux here");
    };
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let sockets = folder(&processes, "sockets", rustix::process::geteuid().as_raw());
        let root = dead.stamp(processes.spec("timeout").foreign(timeout)).args(["1000"]).args([&tmux]);
        let root = root.args(["-D", "-f", "/dev/null"]).env("TMUX_TMPDIR", &sockets).orphan_of_dead_leader();
        let server = find("the server", |one| one.ppid() == root.pid && one.comm() == "tmux: server");
        let rest = leftover(&processes, &dead, 0);
        let ran = act(&processes).run().expect_code(0);
        spared(&ran, &root, "unprotected", "below it is never touched (`tmux` by its executable)");
        all_live(&ran, &[server]);
        ended(&ran, &rest);
    });
}

#[test]
fn b03a_a_real_postgres_keeps_the_shell_above_it() {
    let Some(bin) = postgres_bin() else { return skip(test_name!(), "no postgres here") };
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = Dead::new(&processes);
        let data = cluster(&processes, &bin);
        // What follows the command keeps the shell there.
        let run = format!(
            "{0}/postgres -D {1}/data -c listen_addresses= -k {1} 2>{1}/log; exit $?",
            bin.display(),
            data.display()
        );
        let shell = dead.stamp(processes.spec("sh").foreign("/bin/sh")).uid(USER).args(["-c", &run]);
        let shell = shell.orphan_of_dead_leader();
        let server = cluster_is_up(&data);
        assert_eq!((server.ppid(), shell.ppid()), (shell.pid, 1));
        let rest = leftover(&processes, &dead, USER);
        let ran = act_as_user(&processes).run().expect_code(0);
        spared(&ran, &shell, "unprotected", "below it is never touched (`postgres` by its executable)");
        all_live(&ran, &below(&shell));
        ended(&ran, &rest);
    });
}

/// A stand-in that a real shell starts: not started by the set, so it gets the path of its requests.
fn started_by_a_shell(shell: ProcessSpec) -> ProcessSpec {
    shell.env("STAND_IN", "request-dir=/run/testkit/requests;ready=/run/testkit/requests/is-ready")
}

#[test]
fn b03a_an_agent_ends_and_the_server_it_started_stays() {
    if installed("node").is_none() {
        return skip(test_name!(), "no node here");
    }
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let run = format!("{} acp; exit $?", program(&processes, "goose").display());
        let shell = started_by_a_shell(sprout(processes.spec("sh").foreign("/bin/sh"))).args(["-c", &run]);
        let shell = shell.orphan_of_dead_leader();
        wait_for(Path::new("/run/testkit/requests/is-ready"));
        let goose = find("goose", |one| one.ppid() == shell.pid);
        let ready = processes.directory().join("ready");
        let server =
            sprout(node(&processes, &file(&processes, "web/server.js", SERVER))).env("READY", &ready);
        let server = server.own_session().under(&goose);
        wait_for(&ready);
        let tool = marked(&processes, "esbuild").args(["--watch"]).under(&goose);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &goose);
        ended(&ran, &tool);
        left_alone(&ran, &server, "it accepts connections on TCP port");
        assert!(shell.wait_exit(crate::common::LONG), "it ends with what it waits for");
        says_the_truth_of_what_it_left(&ran);
    });
}

#[test]
fn b04a_a_desktop_scope_protects_only_the_window_it_was_made_for() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let units = match Units::new(&processes) {
            Ok(units) => units,
            Err(reason) => return skip(test_name!(), &reason),
        };
        let dead = Dead::new(&processes);
        let in_scope = |alive: &ProcessRef, number: i32| {
            let app = "user.slice/user-0.slice/user@0.service/app.slice";
            units.enter(&format!("{app}/app-gnome-viewer-{number}.scope"), alive);
        };
        let left = || dead.spec(&processes, "viewer").orphan_of_dead_leader();
        let (window, typed, late) = (left(), left(), left());
        let part = dead.spec(&processes, "renderer").under(&window);
        let terminal = processes.spec("foot").own_session().child();
        in_scope(&window, window.pid);
        in_scope(&part, window.pid);
        for one in [&terminal, &typed] {
            in_scope(one, terminal.pid);
        }
        // The terminal has gone since.
        in_scope(&late, 30_000);
        let ran = units.act(&processes).run().expect_code(0);
        spared(&ran, &window, "unprotected", "the desktop made app-gnome-viewer-");
        all_live(&ran, &[part, terminal]);
        ended(&ran, &typed);
        ended(&ran, &late);
    });
}
