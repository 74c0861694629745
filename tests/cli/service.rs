//! `reaper service` where nothing may be installed: what it prints, and what it refuses. With a manager it is tested in
//! a booted system (`ci/systemd`), and for launchd by unit tests (`src/install`).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, in_namespace, test_name};

use crate::common::{Ran, Reaper, scratch, write};

fn service(home: &Path, args: &[&str]) -> Ran {
    Reaper::new(home, ["service"].iter().chain(args)).run()
}

fn unit(home: &Path) -> PathBuf {
    home.join(".config/systemd/user/reaper.service")
}

#[test]
fn print_shows_the_file_and_the_commands_and_writes_nothing() {
    let home = scratch();
    let ran = service(home.path(), &["install", "--print"]).expect_code(0);
    let program = env!("CARGO_BIN_EXE_reaper");
    for line in [
        format!("# write {}", unit(home.path()).display()),
        format!("ExecStart={program} run"),
        format!("ExecReload={program} reload"),
        "Type=notify".to_owned(),
        "systemctl --user daemon-reload".to_owned(),
        "systemctl --user enable reaper.service".to_owned(),
        "systemctl --user restart reaper.service".to_owned(),
    ] {
        assert!(ran.stdout.lines().any(|l| l == line), "{line}\n{}", ran.stdout);
    }
    assert!(ran.stderr.contains("lies where programs are built"), "{}", ran.stderr);
    assert_eq!(service(home.path(), &["install", "--print", "-q"]).expect_code(0).stderr, "");
    let asked = service(home.path(), &["status", "--print"]).expect_code(0).stdout;
    assert!(asked.starts_with("systemctl --user show ") && asked.lines().count() == 1, "{asked}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn what_print_shows_is_known_again_until_it_is_changed() {
    let home = scratch();
    let shown = service(home.path(), &["install", "--print", "-q"]).expect_code(0).stdout;
    let text = shown.split_once('\n').unwrap().1.split_once("\n\nsystemctl").unwrap().0.to_owned() + "\n";
    write(&unit(home.path()), &text);
    let again = service(home.path(), &["install", "--print"]).expect_code(0).stdout;
    assert!(again.starts_with("# the file is there: "), "{again}");
    let removed = service(home.path(), &["uninstall", "--print"]).expect_code(0).stdout;
    let lines: Vec<&str> = removed.lines().collect();
    assert_eq!(lines.first(), Some(&"systemctl --user disable --now reaper.service"));
    assert!(lines.contains(&format!("# remove {}", unit(home.path()).display()).as_str()), "{removed}");
    assert!(unit(home.path()).exists(), "it was only printed");
    write(&unit(home.path()), &text.replace("WatchdogSec=60s", "WatchdogSec=1h"));
    for what in ["install", "uninstall"] {
        let ran = service(home.path(), &[what]).expect_code(4);
        assert!(
            ran.stderr.contains("it was changed after") && ran.stderr.contains("hint: "),
            "{}",
            ran.stderr
        );
    }
    assert!(fs::read_to_string(unit(home.path())).unwrap().contains("WatchdogSec=1h"));
}

#[test]
fn a_file_not_written_by_reaper_is_kept() {
    let home = scratch();
    write(&unit(home.path()), "[Service]\nExecStart=/bin/true\n");
    for what in ["install", "uninstall"] {
        let ran = service(home.path(), &[what]).expect_code(4);
        assert!(ran.stderr.contains("did not write it"), "{}", ran.stderr);
    }
    fs::remove_file(unit(home.path())).unwrap();
    symlink("/dev/null", unit(home.path())).unwrap();
    let ran = service(home.path(), &["install"]).expect_code(4);
    assert!(ran.stderr.contains("masked"), "{}", ran.stderr);
    assert!(fs::symlink_metadata(unit(home.path())).unwrap().is_symlink());
}

#[test]
fn without_systemd_or_a_manager_nothing_is_written() {
    // Without `/run/systemd/system`, whatever this machine has.
    in_namespace(&PidNamespace::new().several_users(), test_name!(), || {
        let home = scratch();
        let install = || Reaper::new(home.path(), ["service", "install"]);
        let ran = install().run().expect_code(4);
        assert!(ran.stderr.contains("systemd") && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert!(!unit(home.path()).exists(), "{}", ran.stderr);
        let ran = service(home.path(), &["uninstall"]).expect_code(0);
        assert!(ran.stderr.contains("nothing to remove"), "{}", ran.stderr);
    });
}

#[test]
fn a_broken_config_is_not_installed_and_a_named_one_is() {
    let home = scratch();
    let config = home.path().join("my agents.toml");
    write(&config, "grcae = \"1m\"\n");
    let install = |more: &[&str]| {
        let words = ["--config", config.to_str().unwrap(), "service", "install"];
        Reaper::new(home.path(), words.iter().chain(more)).run()
    };
    let ran = install(&[]).expect_code(3);
    assert!(ran.stderr.contains("did you mean `grace`"), "{}", ran.stderr);
    write(&config, "grace = \"1m\"\n");
    let ran = install(&["--print"]).expect_code(0);
    let words = format!("--config \"{}\" run\n", config.canonicalize().unwrap().display());
    assert!(ran.stdout.contains(&words), "{}", ran.stdout);
}

#[test]
fn wrong_arguments_are_2() {
    let home = scratch();
    for words in [&[][..], &["start"], &["install", "--force"]] {
        service(home.path(), words).expect_code(2);
    }
}
