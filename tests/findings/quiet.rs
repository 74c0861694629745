//! What a run must not do beside its work: write in a dry run, tell secrets, count threads, touch its own forebears.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reaper_testkit::{Alive, Stage, Troupe, here, play};

use crate::common::{set_mode, state_dir};
use crate::help::{MARK, act, agent, home, look, reaper};

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
fn r05_a_dry_run_leaves_no_trace() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let goose = agent(&troupe, "goose").orphan_of_dead_leader();
        for format in ["table", "json"] {
            reaper(&troupe, &["scan", "--dry-run", "--format", format]).run().expect_code(0);
        }
        reaper(&troupe, &["explain", &goose.pid.to_string()]).run().expect_code(0);
        reaper(&troupe, &["profiles"]).run().expect_code(0);
        assert_eq!(snapshot(&home(&troupe)), BTreeMap::new(), "the home was empty");
        // With state that could be touched, a damaged file among it.
        act(&troupe).run().expect_code(0);
        fs::write(state_dir(&home(&troupe)).join("sightings.json"), b"{").unwrap();
        let codex = agent(&troupe, "codex").orphan_of_dead_leader();
        let before = snapshot(&home(&troupe));
        let ran = look(&troupe).run().expect_code(0);
        assert_eq!(ran.verdict(codex.pid).0, "reap");
        assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
        reaper(&troupe, &["scan", "-n"]).run().expect_code(0);
        reaper(&troupe, &["scan", "-n", "--exit-code"]).run().expect_code(1);
        assert_eq!(snapshot(&home(&troupe)), before);
        assert!(codex.is_alive());
    });
}

#[test]
fn r07_no_value_of_any_environment_is_ever_told() {
    const CANARY: &str = "hunter2-canary";
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        reaper(&troupe, &["config", "path"]).run();
        let config = home(&troupe).join("config.toml");
        let text = format!(
            "[[profile]]\nname = \"mine\"\nmarkers = [\"MINE={CANARY}\", \"OTHER\"]\nprograms = [\"my-agent\"]\n\
             owner-env = \"RUN\"\n"
        );
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        let secretive = |name: &str| {
            let actor = agent(&troupe, name).env(MARK, CANARY).env("API_KEY", CANARY).env("RUN", CANARY);
            let actor = actor.env("BUZZ_MANAGED_AGENT_START_NONCE", CANARY).env("SYSTEMD_EXEC_PID", CANARY);
            actor.env("CLINE_RUN_AS_HUB_DAEMON_X", CANARY).env_raw(CANARY).env("DATABASE_URL", CANARY)
        };
        // Whoever holds the same owner value and not this marker would be its owner.
        let mine = secretive("my-agent").env_remove(MARK).env("MINE", CANARY);
        let mine = mine.env("RUN", format!("{CANARY}-of-mine")).orphan_of_dead_leader();
        let goose = secretive("goose").orphan_of_dead_leader();
        let odd = secretive("claude").env("REAPER_OWNER", CANARY).env("REAPER_KEEP", CANARY);
        let odd = odd.env("OPENCODE_PID", CANARY).orphan_of_dead_leader();
        let twice = secretive("codex").env_raw(format!("{MARK}=other-{CANARY}")).orphan_of_dead_leader();
        let wiped = secretive("qwen").behave("wipe-environ").orphan_of_dead_leader();
        let unowned = troupe.actor("x").env("REAPER_MANAGED", CANARY).env("REAPER_OWNER", CANARY);
        let unowned = unowned.orphan_of_dead_leader();
        let left = secretive("tmux").under(&goose);
        let all =
            [&mine, &goose, &odd, &twice, &wiped, &unowned, &left].map(|one: &Alive| one.pid.to_string());
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
            let ran = reaper(&troupe, &args).env("REAPER_TERM_TIMEOUT", "1s").run();
            assert!(matches!(ran.code, 0 | 4), "{command:?}: {}", ran.stderr);
            // The value that a marker must have is the config's own, and shown where the config is.
            let shown = if command == ["profiles"] { ran.stderr } else { ran.stdout + &ran.stderr };
            assert!(!shown.contains("canary"), "{command:?}: {shown}");
        }
        assert!(!mine.is_alive() && !goose.is_alive() && odd.is_alive());
        for (path, (content, ..)) in snapshot(&state_dir(&home(&troupe))) {
            assert!(!String::from_utf8_lossy(&content).contains("canary"), "{}", path.display());
        }
    });
}

#[test]
fn r04_threads_are_not_processes() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let goose = agent(&troupe, "goose").behave("threads=20").orphan_of_dead_leader();
        let task = format!("/proc/{}/task", goose.pid);
        let threads = fs::read_dir(&task).unwrap().flatten();
        let thread =
            threads.map(|t| t.file_name().into_string().unwrap()).find(|t| *t != goose.pid.to_string());
        let explain = reaper(&troupe, &["explain", &thread.unwrap()]).run().expect_code(4);
        assert!(explain.stderr.contains("hint:"), "{}", explain.stderr);
        // The list and the walk count alike: this scene, the agent, and the walk's own reaper and PID 1.
        for (adopters, examined) in [("", 2), ("nobody-at-all", 4)] {
            let ran = look(&troupe).env("REAPER_ADOPTERS", adopters).run().expect_code(0);
            let json = ran.json();
            assert_eq!(
                (&json["census"]["examined"], &json["summary"]["reap"]),
                (&examined.into(), &1.into())
            );
        }
        let ran = act(&troupe).run().expect_code(0);
        assert_eq!(ran.json()["actions"].as_array().unwrap().len(), 1);
        assert_eq!(ran.outcome(goose.pid), "exited");
    });
}

#[test]
fn r10_a_reaper_below_marked_agents_spares_itself_and_them() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let home = home(&troupe);
        reaper(&troupe, &["config", "path"]).run();
        let out = home.join("out.json");
        let script = format!("\"$0\" scan --yes --grace 0s --all --format json >'{}'; :", out.display());
        let npm = agent(&troupe, "npm").orphan_of_dead_leader();
        let claude = agent(&troupe, "claude").under(&npm);
        let sibling = agent(&troupe, "node").under(&claude);
        let other = agent(&troupe, "goose").orphan_of_dead_leader();
        let shell =
            agent(&troupe, "sh").foreign("/bin/sh").args(["-c", &script, env!("CARGO_BIN_EXE_reaper")]);
        let shell = shell.env("HOME", &home).own_session().under(&claude);
        assert!(shell.wait_gone(std::time::Duration::from_secs(20)));
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
