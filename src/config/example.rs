//! The example config, written from the defaults themselves so that it cannot tell a lie.
//!
//! Every key stands there commented out at its default: deleting the file, or removing every `#` before a key,
//! changes nothing.

use super::error::ConfigError;
use super::reference;

const HEAD: &str = "\
# Settings of reaper. Every key is shown at its default; remove the `#` before one to change it.
# Read from /etc/reaper/config.toml, then from $XDG_CONFIG_HOME/reaper/config.toml, then from REAPER_* variables
# (REAPER_GRACE=45s), then from flags; later wins. `reaper config check` checks, `reaper config show` explains.
";

/// Writes the example.
///
/// # Errors
/// Only if the defaults themselves do not hold, which is a bug.
pub fn render() -> Result<String, ConfigError> {
    let mut out = String::from(HEAD);
    let mut table = None;
    for key in reference::keys()? {
        if let (Some(name), true) = (key.table, key.table != table) {
            out.push_str(&format!("\n# {}\n#[{name}]\n", reference::METRICS));
        }
        table = key.table;
        out.push('\n');
        for line in key.text.lines() {
            out.push_str(&format!("# {line}\n"));
        }
        out.push_str(&format!("#{} = {}\n", key.name, key.default));
    }
    out.push_str(&format!("\n# {}\n#\n{}", reference::PROFILE, own_profile()));
    Ok(out)
}

/// A profile of the reader's own, doubly commented out: one `#` less, and it is a profile with its explanations.
fn own_profile() -> String {
    let mut out = String::from("# [[profile]]\n");
    for key in reference::PROFILE_KEYS {
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
    use crate::config::layers::{FileLayer, Layers, Overrides};
    use crate::config::policy::Origin;
    use crate::config::policy::Settings;
    use crate::config::resolve::resolve;
    use crate::config::show;
    use std::path::Path;

    fn policy(text: Option<String>) -> Settings {
        let files = text.map(|text| FileLayer::parse(Path::new("c"), text).unwrap()).into_iter().collect();
        let layers = Layers { files, ..Layers::default() };
        resolve(&layers, &Overrides::default()).unwrap()
    }

    #[test]
    fn the_committed_example_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        let generated = render().unwrap();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == generated, "run `reaper config example >config.example.toml`");
    }

    #[test]
    fn uncommented_it_changes_nothing() {
        let uncommented: Vec<_> = render()
            .unwrap()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let read = policy(Some(uncommented.join("\n")));
        let plain = policy(None);
        assert_eq!(read.interval.origin, Origin::File("c".into()));
        let mut same = read.clone();
        same.files.clear();
        for origin in [
            &mut same.interval.origin,
            &mut same.grace.origin,
            &mut same.term_timeout.origin,
            &mut same.kill_timeout.origin,
            &mut same.reach.origin,
            &mut same.max_targets.origin,
            &mut same.selected.origin,
            &mut same.adopters.origin,
            &mut same.wrappers.origin,
            &mut same.outputs.log_level.origin,
            &mut same.outputs.log_format.origin,
            &mut same.outputs.notify.origin,
            &mut same.outputs.textfile.origin,
            &mut same.outputs.listen.origin,
        ] {
            *origin = Origin::Default;
        }
        same.keep_listeners.origin = Origin::Default;
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
        let profile = policy.profiles.last().unwrap();
        assert_eq!((profile.name.as_str(), profile.keep_args.len()), ("mine", 3));
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
        assert_eq!(again.profiles, first.profiles);
        assert_eq!(again.grace.value, first.grace.value);
        let names = |settings: &Settings| settings.policy().protect.clone();
        assert_eq!(names(&again), names(&first));
        let told = |policy: &Settings| {
            let o = policy.outputs();
            (o.log_level().clone(), o.log_format(), o.notify(), o.textfile().map(Path::to_owned), o.listen())
        };
        assert_eq!(told(&again), told(&first));
    }
}
