//! Generates the example config from the defaults, so that the two cannot differ.
//!
//! Every key is commented out at its default: deleting the file, or removing every `#` before a key, changes nothing.

use super::keys::{Key, TABLES, keys_of};
use super::profile_file::{PROFILE, PROFILE_KEYS};

const HEAD: &str = "\
# Settings of reaper. Every key is shown at its default; remove the `#` before one to change it.
# Read from /etc/reaper/config.toml, then from $XDG_CONFIG_HOME/reaper/config.toml, then from REAPER_* variables
# (REAPER_GRACE=45s), then from flags; later wins. `reaper config check` checks, `reaper config show` explains.
";

/// Writes the example.
#[must_use]
pub fn render() -> String {
    let mut out = String::from(HEAD);
    out.extend(keys_of(None).map(entry));
    for table in TABLES {
        out.push_str(&format!("\n# {}\n#[{}]\n", table.text, table.name));
        out.extend(keys_of(Some(table.name)).map(entry));
    }
    out.push_str(&format!("\n# {PROFILE}\n#\n{}", own_profile()));
    out
}

fn entry(key: &Key) -> String {
    let text: String = key.text().lines().map(|line| format!("# {line}\n")).collect();
    format!("\n{text}#{} = {}\n", key.name, key.default())
}

/// An example profile, commented out twice: with one `#` removed it is a profile with its explanations.
fn own_profile() -> String {
    let mut out = String::from("# [[profile]]\n");
    for key in PROFILE_KEYS {
        for line in key.text.lines() {
            out.push_str(&format!("# # {line}\n"));
        }
        out.push_str(&format!("# {} = {}\n", key.name, key.example));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{own_profile, render};
    use crate::config::resolve::resolve;
    use crate::config::setting::{Origin, Settings};
    use crate::config::show;
    use crate::config::sources::{FileText, Layers, Overrides};
    use std::path::Path;

    fn policy(text: Option<String>) -> Settings {
        let files = text.map(|text| FileText { path: "c".into(), text }).into_iter().collect();
        let layers = Layers { files, ..Layers::default() };
        resolve(&layers, &Overrides::default()).unwrap()
    }

    #[test]
    fn the_committed_example_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        let generated = render();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == generated, "run `reaper config example >config.example.toml`");
    }

    #[test]
    fn uncommented_it_changes_nothing() {
        let uncommented: Vec<_> = render()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let read = policy(Some(uncommented.join("\n")));
        let plain = policy(None);
        assert_eq!(read.origin("REAPER_INTERVAL"), &Origin::File("c".into()));
        let mut same = read.clone();
        same.files.clear();
        same.origins.clear();
        assert_eq!(same, plain);
        assert_eq!(read.warnings(), []);
    }

    #[test]
    fn its_profile_is_a_profile() {
        let profile = own_profile();
        let text: Vec<_> = profile.lines().map(|line| line.trim_start_matches('#').trim_start()).collect();
        let body: Vec<_> =
            text.into_iter().filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
        let policy = policy(Some(body.join("\n")));
        let profile = policy.policy.profiles.last().unwrap();
        assert_eq!((&*profile.name, profile.keep_args.len()), ("mine", 3));
    }

    #[test]
    fn what_is_shown_can_be_loaded() {
        let text = r#"
            grace = "1m"
            protect = ["postgres"]
            log-level = "warn,reaper=debug"
            notify = true
            [metrics]
            textfile = "/tmp/a \"b\".prom"
            listen = "[::1]:9464"
            [[profile]]
            name = "mine"
            markers = ["MINE=a\"b", "OTHER"]
            programs = ["abc", { name = "bash", with-arg = "/mine/" }]
            keep-args = ["serve --forever"]
        "#;
        let first = policy(Some(text.to_owned()));
        let shown = show::render(&first);
        assert!(shown.contains("# c\n") && shown.contains("# default\n"), "{shown}");
        let again = policy(Some(shown));
        assert_eq!(again.policy.profiles, first.policy.profiles);
        assert_eq!(again.policy.grace, first.policy.grace);
        let names = |settings: &Settings| settings.policy().protect.clone();
        assert_eq!(names(&again), names(&first));
        let values = |policy: &Settings| {
            let o = policy.outputs();
            (o.log_level().clone(), o.log_format(), o.notify(), o.textfile().map(Path::to_owned), o.listen())
        };
        assert_eq!(values(&again), values(&first));
    }
}
