//! With a config that cannot be used nothing is ended: there are no broad defaults to fall back to.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use crate::common::{ACT, Ran, Reaper, act, ended, home, marked, orphan, set_mode, untouched};

/// Acts with this config, which must be refused with a message that names the error and its position.
fn refused(processes: &ProcessSet, config: &Path, words: &str, alive: &ProcessRef) {
    let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
    check(Reaper::new(&home(processes), args).run(), words, alive);
}

fn check(ran: Ran, words: &str, alive: &ProcessRef) {
    let ran = ran.expect_code(3);
    assert!(ran.stderr.contains(words), "`{words}` is not in\n{}", ran.stderr);
    assert!(ran.stdout.is_empty() && alive.is_alive(), "{}", ran.stdout);
}

const BROKEN: [(&str, &str); 14] = [
    ("grace = 30", "grace"),
    ("grace = \"-1s\"", "grace"),
    ("gracee = \"30s\"", "gracee"),
    ("use = [\"spruot\"]", "spruot"),
    ("use = \"sprout\"", "use"),
    ("protect = [\"*\"]", "pattern"),
    ("[[profile]\nname = \"x\"", "expected"),
    ("[[profile]]\nname = \"x\"\nprograms = [\"goose\"]", "markers"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"X_RUN\"]", "programs"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"X_RUN\"]\nprograms = [\".*\"]", ".*"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"X_RUN\"]\nprograms = [\"node\"]", "interpreter"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"X_RUN\"]\nprograms = [\"tmux\"]", "protected"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"HOME\"]\nprograms = [\"goose\"]", "HOME"),
    ("[[profile]]\nname = \"x\"\nmarkers = [\"X_RUN\"]\nprograms = \"any\"", "owner"),
];

#[test]
fn w16_with_a_broken_config_nothing_is_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let config = processes.directory().join("config.toml");
        for (text, words) in BROKEN {
            fs::write(&config, text).unwrap();
            set_mode(&config, 0o600);
            refused(&processes, &config, words, &orphan);
        }
        fs::write(&config, b"grace = \"\xff\"").unwrap();
        refused(&processes, &config, "UTF-8", &orphan);
        // The same command ends it as soon as nothing is wrong any more.
        fs::write(&config, "").unwrap();
        let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
        ended(&Reaper::new(&home(&processes), args).run().expect_code(0), &orphan);
    });
}

#[test]
fn w16_a_broken_user_config_is_not_skipped() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let config = home(&processes).join(".config/reaper/config.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(&config, "grace = 30").unwrap();
        set_mode(&config, 0o600);
        check(act(&processes).run(), "config.toml", &orphan);
        fs::remove_file(&config).unwrap();
        for (variable, value) in [
            ("REAPER_GRACE", "30"),
            ("REAPER_USE", "spruot"),
            ("REAPER_TERM_TIMEOUT", "soon"),
            ("REAPER_MAX_TARGETS", "0"),
            ("REAPER_PROTECT", "a b"),
            ("REAPER_CONFIG", "/nowhere/config.toml"),
        ] {
            check(act(&processes).env(variable, value).run(), value.trim_matches('"'), &orphan);
        }
        ended(&act(&processes).run().expect_code(0), &orphan);
    });
}

#[test]
fn w16_with_an_untrusted_config_nothing_is_ended() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let config = processes.directory().join("config.toml");
        refused(&processes, &config, "config.toml", &orphan);
        fs::create_dir(&config).unwrap();
        refused(&processes, &config, "config.toml", &orphan);
        fs::remove_dir(&config).unwrap();
        fs::write(&config, "grace = \"1s\"\n").unwrap();
        for mode in [0o666, 0o602] {
            set_mode(&config, mode);
            refused(&processes, &config, "write", &orphan);
        }
        set_mode(&config, 0o600);
        chown(&config, Some(1000), Some(1000)).unwrap();
        refused(&processes, &config, "1000", &orphan);
        let link = processes.directory().join("link.toml");
        symlink(&config, &link).unwrap();
        refused(&processes, &link, "1000", &orphan);
    });
}

#[test]
fn w16_without_a_config_only_the_defaults_are_ended() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        // Without a config: neither unmarked agents nor unnamed programs.
        let unmarked = processes.spec("claude").orphan_of_dead_leader();
        let unnamed = marked(&processes, "postgres").orphan_of_dead_leader();
        // And a config that takes all profiles away takes all targets away.
        let none = act(&processes).env("REAPER_USE", "").run().expect_code(0);
        assert!(orphan.is_alive() && none.json()["actions"].as_array().unwrap().is_empty());
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        untouched(&ran, &unmarked);
        untouched(&ran, &unnamed);
    });
}
