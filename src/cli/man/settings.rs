//! reaper.toml(5): the config file, from the reference that also makes the example file.

use super::page::Page;
use super::roff::Source;
use super::words;
use crate::config::keys::{KEYS, Key, TABLES, keys_of};
use crate::config::paths::System;
use crate::config::profile_file::{PROFILE, PROFILE_KEYS};
use crate::config::sources::CONFIG;

const VALUES: [(&str, &str); 5] = [
    (
        "duration",
        "A string with a unit: \"500ms\", \"45s\", \"5m\", \"1h30m\". A number without a unit is refused.",
    ),
    ("number", "A whole number, at least 1."),
    ("list", "Strings in brackets. In a variable: separated by commas."),
    ("yes or no", "true or false."),
    (
        "marker",
        "\"NAME\" or \"NAME=VALUE\", the name of an environment variable, never a generic one such as AGENT.",
    ),
];

pub fn page(date: &str, system: System) -> Page {
    let mut page = Source::new("reaper.toml", 5, date, "File Formats");
    page.section("NAME");
    page.line("reaper.toml - the settings of reaper");
    page.section("SYNOPSIS");
    page.lines(
        words::files(system).iter().filter(|(path, _)| path.ends_with(".toml")).map(|(path, _)| *path),
    );
    page.section("DESCRIPTION");
    page.line("Settings in TOML. None is needed: without a file, the defaults below hold.");
    page.paragraph(
        "The system's file is read first, then the user's, then variables, then flags; later wins. Only `protect` \
         and profiles add up. `--config` and `REAPER_CONFIG` name one file to be read instead of both.",
    );
    page.paragraph(
        "A key that is not known is an error, with the place where it stands and the nearest known one. So is a \
         value that makes no sense. A file that is owned by another user but root, or that others can write, is \
         refused. Where the config cannot be used, nothing is ended and the exit status is 3; a running service that \
         is asked to reload such a config keeps the one that it has.",
    );
    page.section("VALUES");
    for (name, text) in VALUES {
        page.entry(name, text);
    }
    page.section("KEYS");
    keys_of(None).for_each(|key| describe(&mut page, key));
    for table in TABLES {
        page.section(&format!("THE TABLE [{}]", table.name));
        page.line(table.text);
        keys_of(Some(table.name)).for_each(|key| describe(&mut page, key));
    }
    page.section("PROFILES");
    page.line(&format!("Each table [[profile]] is one. {PROFILE}"));
    for key in PROFILE_KEYS {
        page.entry(key.name, key.text);
        page.more(&format!("For example: {}", key.example));
    }
    page.section("EXAMPLES");
    page.line("A file with every key at its default, and an explanation for each:");
    page.code("reaper config example");
    page.paragraph("More patience, another family of profiles, and an agent of one's own:");
    page.code(EXAMPLE);
    page.paragraph("Is it sound? Then, what is in force, and where does each value come from?");
    page.code("reaper config check --config reaper.toml\nreaper config show");
    page.section("FILES");
    for (path, text) in words::files(system).iter().filter(|(path, _)| path.ends_with(".toml")) {
        page.entry(path, text);
    }
    page.section("ENVIRONMENT");
    page.entry(CONFIG, "A file to read instead of the usual ones.");
    for key in KEYS {
        let table = key.table.map(|table| format!(" of [{}]", table.name)).unwrap_or_default();
        page.entry(key.variable, &format!("As {}{table}.", key.name));
    }
    page.section("SEE ALSO");
    page.line("`reaper`(1), `reaper-config`(1), `reaper-profiles`(1)");
    Page { path: "man5/reaper.toml.5".into(), text: page.finish() }
}

/// An example file; a test checks that it is valid.
const EXAMPLE: &str = r#"grace = "2m"
use = ["sprout", "buzz", "own", "claude-children"]

[[profile]]
name = "mine"
markers = ["MY_AGENT_RUN"]
programs = ["my-agent"]
"#;

fn describe(page: &mut Source, key: &Key) {
    page.entry(key.name, &key.text());
    page.more(&format!("Default: {}", key.default()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Sources, load};

    #[test]
    fn its_example_is_a_valid_config_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reaper.toml");
        std::fs::write(&file, EXAMPLE).unwrap();
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&file).unwrap());
        let sources = Sources {
            system: "/nonexistent".into(),
            user: None,
            explicit: Some(file),
            env: Vec::new(),
            uid,
            primary_gid: 0,
        };
        let policy = load(&sources, &Overrides::default()).unwrap();
        assert_eq!(policy.policy().grace.as_secs(), 120);
        assert_eq!(policy.warnings(), []);
    }
}
