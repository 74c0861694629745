//! The README's settings, examples, tables and links, each used as it stands there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{Reaper, readme, write};

#[test]
fn the_config_is_a_config() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/reaper/config.toml");
    write(&file, &readme::block("toml", "[[profile]]"));
    let ran = Reaper::new(home.path(), ["config", "check"]).run().expect_code(0);
    assert!(ran.stdout.contains("0 warnings"), "{}{}", ran.stdout, ran.stderr);
    let shown = Reaper::new(home.path(), ["config", "show"]).run().expect_code(0).stdout;
    assert!(shown.contains("name = \"mine\"") && shown.contains("MY_AGENT_GENERATION"), "{shown}");
}

#[test]
fn the_json_has_every_field_and_no_other() {
    let example: Value = serde_json::from_str(&readme::block("json", "reaper.scan/1")).unwrap();
    let read: reaper::report::types::Scan = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), example);
}

#[test]
fn the_profiles_that_are_on_and_off_are_those() {
    let text = readme::text();
    let home = tempfile::tempdir().unwrap();
    let profiles = Reaper::new(home.path(), ["profiles"]).run().expect_code(0).stdout;
    for line in profiles.lines().filter(|l| l.starts_with("on  ") || l.starts_with("off ")) {
        let (state, name) = line.split_at(4);
        let name = name.split(':').next().unwrap();
        let row = text.lines().find(|l| l.starts_with(&format!("| `{name}`")));
        match row {
            Some(row) => assert!(row.ends_with(&format!("| {} |", state.trim())), "{row}"),
            None => assert!(state == "off " && name.ends_with("-children"), "{name} is not in the README"),
        }
    }
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let home = tempfile::tempdir().unwrap();
    let help = Reaper::new(home.path(), ["--help"]).run().expect_code(0).stdout;
    let (_, codes) = help.split_once("Exit status:\n").unwrap();
    let text = readme::text().replace('`', "");
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(text.contains(&row), "the README lacks {row}");
    }
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            assert!(file.starts_with("https://") || root.join(file).exists(), "{name}: {link}");
        }
    }
}

/// What a launcher must write is defined in one place, and copied from there.
#[test]
fn the_lease_is_described_with_the_text_of_its_parser() {
    let plain = |text: &str| text.replace("\n> ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = readme::text();
    assert!(plain(&readme).contains(&plain(reaper_lease::TEXT)), "README.md lacks:\n{}", reaper_lease::TEXT);
}
