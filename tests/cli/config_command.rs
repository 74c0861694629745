//! `reaper config`: what it prints can be used again.

use std::path::Path;

use crate::common::{Ran, Reaper, scratch, write};

fn config(home: &Path, args: &[&str]) -> Ran {
    Reaper::new(home, ["config"].iter().chain(args)).run()
}

/// The settings of `config show`, without the comments that say where each comes from.
fn settings(shown: &Ran) -> toml::Table {
    shown.stdout.parse().unwrap_or_else(|e| panic!("{e}\n{}", shown.stdout))
}

#[test]
fn the_example_is_a_config_that_changes_nothing() {
    let home = scratch();
    let file = home.path().join("example.toml");
    write(&file, &config(home.path(), &["example"]).expect_code(0).stdout);
    let path = file.to_str().unwrap();
    let checked = config(home.path(), &["check", "--config", path]).expect_code(0);
    assert_eq!(checked.stdout, format!("the config is sound: `{path}`; 0 warnings\n"));
    let with = config(home.path(), &["show", "--config", path]).expect_code(0);
    let without = config(home.path(), &["show"]).expect_code(0);
    assert_eq!(settings(&with), settings(&without));
}

#[test]
fn the_shown_config_can_be_loaded_and_shows_the_same() {
    let home = scratch();
    let user = home.path().join(".config/reaper/config.toml");
    write(
        &user,
        "grace = \"90s\"\nprotect = [\"postgres\"]\nuse = [\"own\"]\n\
         [[profile]]\nname = \"mine\"\nmarkers = [\"MINE=1\"]\nprograms = [\"my-agent\"]\n",
    );
    let shown = config(home.path(), &["show"]).expect_code(0);
    assert_eq!(settings(&shown)["grace"].as_str(), Some("1m30s"));
    assert!(shown.stdout.contains(user.to_str().unwrap()), "{}", shown.stdout);
    let again = home.path().join("again.toml");
    write(&again, &shown.stdout);
    let path = again.to_str().unwrap();
    config(home.path(), &["check", "--config", path]).expect_code(0);
    assert_eq!(settings(&config(home.path(), &["show", "--config", path]).expect_code(0)), settings(&shown));
}

#[test]
fn variables_stand_above_files_and_are_named() {
    let home = scratch();
    write(&home.path().join(".config/reaper/config.toml"), "grace = \"90s\"\n");
    let shown = Reaper::new(home.path(), ["config", "show"]).env("REAPER_GRACE", "2m").run().expect_code(0);
    let line = shown.stdout.lines().find(|l| l.starts_with("grace")).unwrap();
    assert!(line.starts_with("grace = \"2m\"") && line.contains("REAPER_GRACE"), "{line}");
}

#[test]
fn the_files_are_named_in_their_order() {
    let home = scratch();
    let user = home.path().join(".config/reaper/config.toml");
    let lines = |ran: Ran| ran.expect_code(0).stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    let before = lines(config(home.path(), &["path"]));
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(before[0].starts_with("/etc/reaper/config.toml"), "{before:?}");
    assert_eq!(before[1], format!("{}  (not there)", user.display()));
    write(&user, "");
    assert_eq!(lines(config(home.path(), &["path"]))[1], user.to_str().unwrap());
    let named = lines(config(home.path(), &["path", "--config", "/x/y.toml"]));
    assert_eq!(named, ["/x/y.toml  (not there)"]);
}

#[test]
fn profiles_say_what_is_on_and_on_what_evidence() {
    let home = scratch();
    let plain = Reaper::new(home.path(), ["profiles"]).run().expect_code(0).stdout;
    let on: Vec<&str> = plain.lines().filter_map(|l| l.strip_prefix("on  ")?.split(':').next()).collect();
    assert_eq!(on, ["sprout", "buzz", "own"]);
    assert!(plain.contains("off claude-children:") && plain.contains("SPROUT_MANAGED_AGENT"), "{plain}");
    let verbose = Reaper::new(home.path(), ["profiles", "-v"]).run().expect_code(0).stdout;
    assert!(verbose.contains("SPROUT_MANAGED_AGENT  (") && verbose.len() > plain.len(), "{verbose}");
    write(
        &home.path().join(".config/reaper/config.toml"),
        "use = []\n[[profile]]\nname = \"mine\"\nmarkers = [\"MINE\"]\nprograms = [\"my-agent\"]\n",
    );
    let mine = Reaper::new(home.path(), ["profiles"]).run().expect_code(0).stdout;
    let on: Vec<&str> = mine.lines().filter_map(|l| l.strip_prefix("on  ")?.split(':').next()).collect();
    assert_eq!(on, ["mine"], "a profile in a file is always in force");
}
