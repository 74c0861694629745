//! What a run must not do beside its work: write in a dry run, reveal values, count threads, end its own ancestors.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use super::support::{MARK, act, agent, home, look, reaper};
use crate::common::{set_mode, state_dir};

/// Every file below a folder: its content, mode and times.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        let content = if meta.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        all.insert(path.clone(), (content, meta.mode(), meta.mtime_nsec(), meta.ctime_nsec()));
        if meta.is_dir() {
            all.extend(snapshot(&path));
        }
    }
    all
}

#[test]
fn r05_a_dry_run_writes_nothing_and_signals_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").orphan_of_dead_leader();
        for format in ["table", "json"] {
            reaper(&processes, &["scan", "--dry-run", "--format", format]).run().expect_code(0);
        }
        reaper(&processes, &["explain", &goose.pid.to_string()]).run().expect_code(0);
        reaper(&processes, &["profiles"]).run().expect_code(0);
        assert_eq!(snapshot(&home(&processes)), BTreeMap::new(), "the home was empty");
        // With state that could be touched, a damaged file among it.
        act(&processes).run().expect_code(0);
        fs::write(state_dir(&home(&processes)).join("sightings.json"), b"{").unwrap();
        let codex = agent(&processes, "codex").orphan_of_dead_leader();
        let before = snapshot(&home(&processes));
        let ran = look(&processes).run().expect_code(0);
        assert_eq!(ran.verdict(codex.pid).0, "reap");
        assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
        reaper(&processes, &["scan", "-n"]).run().expect_code(0);
        reaper(&processes, &["scan", "-n", "--exit-code"]).run().expect_code(1);
        assert_eq!(snapshot(&home(&processes)), before);
        assert!(codex.is_alive());
    });
}

#[test]
fn r07_no_value_of_an_environment_variable_is_printed_or_stored() {
    const CANARY: &str = "hunter2-canary";
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        reaper(&processes, &["config", "path"]).run();
        let config = home(&processes).join("config.toml");
        let text = format!(
            "[[profile]]\nname = \"mine\"\nmarkers = [\"MINE={CANARY}\", \"OTHER\"]\nprograms = [\"my-agent\"]\n\
             owner-env = \"RUN\"\n"
        );
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        let secretive = |name: &str| {
            let spec = agent(&processes, name).env(MARK, CANARY).env("API_KEY", CANARY).env("RUN", CANARY);
            let spec = spec.env("BUZZ_MANAGED_AGENT_START_NONCE", CANARY).env("SYSTEMD_EXEC_PID", CANARY);
            spec.env("CLINE_RUN_AS_HUB_DAEMON_X", CANARY).env_raw(CANARY).env("DATABASE_URL", CANARY)
        };
        // A process with the same owner value and without this marker would be its owner.
        let mine = secretive("my-agent").env_remove(MARK).env("MINE", CANARY);
        let mine = mine.env("RUN", format!("{CANARY}-of-mine")).orphan_of_dead_leader();
        let goose = secretive("goose").orphan_of_dead_leader();
        let odd = secretive("claude").env("REAPER_OWNER", CANARY).env("REAPER_KEEP", CANARY);
        let odd = odd.env("OPENCODE_PID", CANARY).orphan_of_dead_leader();
        let twice = secretive("codex").env_raw(format!("{MARK}=other-{CANARY}")).orphan_of_dead_leader();
        let wiped = secretive("qwen").behave("wipe-environ").orphan_of_dead_leader();
        let unowned = processes.spec("x").env("REAPER_MANAGED", CANARY).env("REAPER_OWNER", CANARY);
        let unowned = unowned.orphan_of_dead_leader();
        let left = secretive("tmux").under(&goose);
        let all = [&mine, &goose, &odd, &twice, &wiped, &unowned, &left]
            .map(|one: &ProcessRef| one.pid.to_string());
        let config = config.to_str().unwrap();

        let mut commands: Vec<Vec<&str>> =
            vec![vec!["profiles"], vec!["config", "check"], vec!["config", "path"]];
        for format in ["table", "json"] {
            commands.push(vec!["scan", "-n", "--all", "-v", "--format", format]);
            commands.push(vec!["scan", "-n", "--grace", "0s", "--format", format]);
            commands.extend(all.iter().map(|pid| vec!["explain", pid.as_str(), "--format", format]));
        }
        commands.push(vec!["scan", "--yes", "--all", "-v", "--grace", "0s"]);
        commands.push(vec!["scan", "--yes", "--all", "-v", "--grace", "0s", "--format", "json"]);
        for command in commands {
            if command.contains(&"--yes") {
                // An agent whose environment cannot be trusted may be the owner that is looked for.
                wiped.kill();
            }
            let args = [&["--config", config][..], &command].concat();
            let ran = reaper(&processes, &args).env("REAPER_TERM_TIMEOUT", "1s").run();
            assert!(matches!(ran.code, 0 | 4), "{command:?}: {}", ran.stderr);
            // The value that a marker must have is the config's own, and shown where the config is.
            let shown = if command == ["profiles"] { ran.stderr } else { ran.stdout + &ran.stderr };
            assert!(!shown.contains("canary"), "{command:?}: {shown}");
        }
        assert!(!mine.is_alive() && !goose.is_alive() && odd.is_alive());
        for (path, (content, ..)) in snapshot(&state_dir(&home(&processes))) {
            assert!(!String::from_utf8_lossy(&content).contains("canary"), "{}", path.display());
        }
    });
}

#[test]
fn r04_threads_are_not_processes() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = agent(&processes, "goose").behave("threads=20").orphan_of_dead_leader();
        let task = format!("/proc/{}/task", goose.pid);
        let threads = fs::read_dir(&task).unwrap().flatten();
        let thread =
            threads.map(|t| t.file_name().into_string().unwrap()).find(|t| *t != goose.pid.to_string());
        let explain = reaper(&processes, &["explain", &thread.unwrap()]).run().expect_code(4);
        assert!(explain.stderr.contains("hint:"), "{}", explain.stderr);
        // The list and the walk count alike: this test, the agent, and the walk's own reaper and PID 1.
        for (adopters, examined) in [("", 2), ("nobody-at-all", 4)] {
            let ran = look(&processes).env("REAPER_ADOPTERS", adopters).run().expect_code(0);
            let json = ran.json();
            assert_eq!(
                (&json["census"]["examined"], &json["summary"]["reap"]),
                (&examined.into(), &1.into())
            );
        }
        let ran = act(&processes).run().expect_code(0);
        assert_eq!(ran.json()["actions"].as_array().unwrap().len(), 1);
        assert_eq!(ran.outcome(goose.pid), "exited");
    });
}

#[test]
fn r10_a_reaper_below_marked_agents_spares_itself_and_them() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        reaper(&processes, &["config", "path"]).run();
        let out = home.join("out.json");
        let script = format!("\"$0\" scan --yes --grace 0s --all --format json >'{}'; :", out.display());
        let npm = agent(&processes, "npm").orphan_of_dead_leader();
        let claude = agent(&processes, "claude").under(&npm);
        let sibling = agent(&processes, "node").under(&claude);
        let other = agent(&processes, "goose").orphan_of_dead_leader();
        let shell =
            agent(&processes, "sh").foreign("/bin/sh").args(["-c", &script, env!("CARGO_BIN_EXE_reaper")]);
        let shell = shell.env("HOME", &home).own_session().under(&claude);
        assert!(shell.wait_exit(std::time::Duration::from_secs(20)));
        let json: serde_json::Value = serde_json::from_slice(&fs::read(out).unwrap()).unwrap();
        assert!(!other.is_alive(), "{json}");
        assert!(npm.is_alive() && claude.is_alive() && sibling.is_alive(), "{json}");
        let judged =
            json["judgements"].as_array().unwrap().iter().find(|one| one["pid"] == claude.pid).unwrap();
        assert_eq!(
            (&judged["verdict"], &judged["decided_by"]),
            (&"spare".into(), &"unprotected".into()),
            "{judged}"
        );
    });
}
