//! A config that cannot be used ends nothing: there are no broad defaults to fall back to.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use reaper_testkit::{Alive, Stage, Troupe, here, play};

use crate::common::{Ran, Reaper, set_mode};
use crate::support::{ACT, act, ended, home, marked, orphan, untouched};

/// Acts with this config, which must be refused in words that say what and where.
fn refused(troupe: &Troupe, config: &Path, words: &str, alive: &Alive) {
    let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
    check(Reaper::new(&home(troupe), args).run(), words, alive);
}

fn check(ran: Ran, words: &str, alive: &Alive) {
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
fn w16_a_config_that_cannot_be_understood_ends_nothing() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let config = troupe.directory().join("config.toml");
        for (text, words) in BROKEN {
            fs::write(&config, text).unwrap();
            set_mode(&config, 0o600);
            refused(&troupe, &config, words, &orphan);
        }
        fs::write(&config, b"grace = \"\xff\"").unwrap();
        refused(&troupe, &config, "UTF-8", &orphan);
        // The same command ends it as soon as nothing is wrong any more.
        fs::write(&config, "").unwrap();
        let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
        ended(&Reaper::new(&home(&troupe), args).run().expect_code(0), &orphan);
    });
}

#[test]
fn w16_the_users_own_config_is_not_passed_over() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let config = home(&troupe).join(".config/reaper/config.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(&config, "grace = 30").unwrap();
        set_mode(&config, 0o600);
        check(act(&troupe).run(), "config.toml", &orphan);
        fs::remove_file(&config).unwrap();
        for (variable, value) in [
            ("REAPER_GRACE", "30"),
            ("REAPER_USE", "spruot"),
            ("REAPER_TERM_TIMEOUT", "soon"),
            ("REAPER_MAX_TARGETS", "0"),
            ("REAPER_PROTECT", "a b"),
            ("REAPER_CONFIG", "/nowhere/config.toml"),
        ] {
            check(act(&troupe).env(variable, value).run(), value.trim_matches('"'), &orphan);
        }
        ended(&act(&troupe).run().expect_code(0), &orphan);
    });
}

#[test]
fn w16_a_config_that_cannot_be_trusted_ends_nothing() {
    play(&Stage::new().systemd().several_users(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let config = troupe.directory().join("config.toml");
        refused(&troupe, &config, "config.toml", &orphan);
        fs::create_dir(&config).unwrap();
        refused(&troupe, &config, "config.toml", &orphan);
        fs::remove_dir(&config).unwrap();
        fs::write(&config, "grace = \"1s\"\n").unwrap();
        for mode in [0o666, 0o602] {
            set_mode(&config, mode);
            refused(&troupe, &config, "write", &orphan);
        }
        set_mode(&config, 0o600);
        chown(&config, Some(1000), Some(1000)).unwrap();
        refused(&troupe, &config, "1000", &orphan);
        let link = troupe.directory().join("link.toml");
        symlink(&config, &link).unwrap();
        refused(&troupe, &link, "1000", &orphan);
    });
}

#[test]
fn w16_no_config_is_no_license() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        // Without a word of config: neither unmarked agents nor unnamed programs.
        let unmarked = troupe.actor("claude").orphan_of_dead_leader();
        let unnamed = marked(&troupe, "postgres").orphan_of_dead_leader();
        // And a config that takes all profiles away takes all targets away.
        let none = act(&troupe).env("REAPER_USE", "").run().expect_code(0);
        assert!(orphan.is_alive() && none.json()["actions"].as_array().unwrap().is_empty());
        let ran = act(&troupe).run().expect_code(0);
        ended(&ran, &orphan);
        untouched(&ran, &unmarked);
        untouched(&ran, &unnamed);
    });
}
