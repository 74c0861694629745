//! The settings in force as a config file, each with its origin.
//!
//! The output is a valid config: saved to a file and loaded, it gives the same settings.

use super::keys::{Key, TABLES, keys_of};
use super::profile_file::PROFILE_KEYS;
use super::setting::{Setting, Settings};
use reaper_policy::profile::ProfileOrigin;

/// Renders settings as TOML with the origin of each value.
#[must_use]
pub fn render(settings: &Settings) -> String {
    let mut lines = Vec::new();
    if settings.files().is_empty() {
        lines.push("# no config file was found".to_owned());
    }
    for file in settings.files() {
        lines.push(format!("# read {}", file.to_string_lossy().escape_debug()));
    }
    lines.extend(keys_of(None).map(|key| entry(key, settings)));
    // In TOML a table header ends the top-level keys, so tables come last.
    for table in TABLES {
        lines.push(format!("\n[{}]", table.name));
        lines.extend(keys_of(Some(table.name)).map(|key| entry(key, settings)));
    }
    for profile in &settings.policy.profiles {
        if let ProfileOrigin::File(path) = &profile.origin {
            lines.push(format!("\n# {}", path.to_string_lossy().escape_debug()));
            lines.push("[[profile]]".to_owned());
            let keys = PROFILE_KEYS.iter().filter_map(|key| Some((key.name, (key.show)(profile)?)));
            lines.extend(keys.map(|(name, value)| format!("{name} = {value}")));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn entry(key: &Key, settings: &Settings) -> String {
    let origin = match key.added {
        Some(added) => origins(added(settings)),
        None => settings.origin(key.variable).to_string(),
    };
    format!("{:<32} # {origin}", format!("{} = {}", key.name, (key.show)(settings)))
}

fn origins(added: &[Setting<String>]) -> String {
    let mut names: Vec<_> = added.iter().map(|entry| entry.origin.to_string()).collect();
    names.dedup();
    let origins = if names.is_empty() { "default".to_owned() } else { names.join(" and ") };
    format!("{origins}, besides the built-in ones")
}
