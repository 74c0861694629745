//! The settings in force as a config file, each with where it came from.
//!
//! What is shown can be used: saved to a file and loaded, it gives the same settings.

use super::policy::{Origin, Setting, Settings};
use reaper_policy::duration::format as duration;
use reaper_policy::profile::{KeepArgs, Marker, Profile, ProfileOrigin, Programs};
use std::fmt::Write as _;

/// Renders a policy as TOML with the origin of each value.
#[must_use]
pub fn render(policy: &Settings) -> String {
    let mut out = String::new();
    if policy.files().is_empty() {
        line(&mut out, "# no config file was found");
    }
    for file in policy.files() {
        line(&mut out, &format!("# read {}", file.to_string_lossy().escape_debug()));
    }
    let mut entry = |key: &str, value: String, origin: &dyn std::fmt::Display| {
        line(&mut out, &format!("{:<32} # {origin}", format!("{key} = {value}")));
    };
    for (key, setting) in [
        ("interval", &policy.interval),
        ("grace", &policy.grace),
        ("term-timeout", &policy.term_timeout),
        ("kill-timeout", &policy.kill_timeout),
    ] {
        entry(key, quoted(&duration(setting.value)), &setting.origin);
    }
    entry("reach", quoted(&policy.reach.value.to_string()), &policy.reach.origin);
    entry("max-targets", policy.max_targets.value.to_string(), &policy.max_targets.origin);
    entry("keep-listeners", policy.keep_listeners.value.to_string(), &policy.keep_listeners.origin);
    entry("use", list(&policy.selected.value), &policy.selected.origin);
    let added: Vec<_> = policy.protect.iter().filter(|entry| entry.origin != Origin::Default).collect();
    entry("protect", list(added.iter().map(|entry| &entry.value)), &origins(&added));
    entry("adopters", list(&policy.adopters.value), &policy.adopters.origin);
    entry("wrappers", list(&policy.wrappers.value), &policy.wrappers.origin);
    let outputs = &policy.outputs;
    entry("log-level", quoted(&outputs.log_level.value.to_string()), &outputs.log_level.origin);
    entry("log-format", quoted(&outputs.log_format.value.to_string()), &outputs.log_format.origin);
    entry("notify", outputs.notify.value.to_string(), &outputs.notify.origin);
    // A table ends the keys above it, so it stands below all of them.
    line(&mut out, "\n[metrics]");
    let mut entry = |key: &str, value: String, origin: &Origin| {
        line(&mut out, &format!("{:<32} # {origin}", format!("{key} = {}", quoted(&value))));
    };
    let textfile = outputs.textfile().map(|path| path.to_string_lossy().into_owned());
    entry("textfile", textfile.unwrap_or_default(), &outputs.textfile.origin);
    let listen = outputs.listen().map(|address| address.to_string());
    entry("listen", listen.unwrap_or_default(), &outputs.listen.origin);
    for profile in &policy.profiles {
        if let ProfileOrigin::File(path) = &profile.origin {
            line(&mut out, &format!("\n# {}", path.to_string_lossy().escape_debug()));
            render_profile(&mut out, profile);
        }
    }
    out
}

fn origins(added: &[&Setting<String>]) -> String {
    let mut names: Vec<_> = added.iter().map(|entry| entry.origin.to_string()).collect();
    names.dedup();
    let built_in = "besides the built-in ones";
    if names.is_empty() {
        format!("default, {built_in}")
    } else {
        format!("{}, {built_in}", names.join(" and "))
    }
}

fn render_profile(out: &mut String, profile: &Profile) {
    line(out, "[[profile]]");
    line(out, &format!("name = {}", quoted(&profile.name)));
    if !profile.about.is_empty() {
        line(out, &format!("about = {}", quoted(&profile.about)));
    }
    line(out, &format!("markers = {}", markers(&profile.markers)));
    if !profile.require.is_empty() {
        line(out, &format!("require = {}", markers(&profile.require)));
    }
    match &profile.programs {
        Programs::Any => line(out, "programs = \"any\""),
        Programs::Named(rules) => {
            let tables = rules.iter().map(|rule| {
                let with = rule.with_arg.as_ref().map(|arg| format!(", with-arg = {}", quoted(arg)));
                let without = rule.without_arg.as_ref().map(|arg| format!(", without-arg = {}", quoted(arg)));
                if with.is_none() && without.is_none() {
                    return quoted(&rule.name);
                }
                let rest = with.unwrap_or_default() + &without.unwrap_or_default();
                format!("{{ name = {}{rest} }}", quoted(&rule.name))
            });
            line(out, &format!("programs = [{}]", tables.collect::<Vec<_>>().join(", ")));
        }
    }
    for (key, value) in [("owner-env", &profile.owner_env), ("owner-pid-env", &profile.owner_pid_env)] {
        if let Some(value) = value {
            line(out, &format!("{key} = {}", quoted(value)));
        }
    }
    if let Some(value) = profile.keep_listeners {
        line(out, &format!("keep-listeners = {value}"));
    }
    if !profile.keep_args.is_empty() {
        let tables: Vec<_> = profile.keep_args.iter().map(keep).collect();
        line(out, &format!("keep-args = [{}]", tables.join(", ")));
    }
}

fn keep(keep: &KeepArgs) -> String {
    let program =
        keep.program.as_ref().map(|name| format!("program = {}, ", quoted(name))).unwrap_or_default();
    format!("{{ {program}args = {} }}", list(&keep.args))
}

fn markers(list: &[Marker]) -> String {
    let texts = list.iter().map(|marker| match &marker.value {
        Some(value) => quoted(&format!("{}={}", marker.name, String::from_utf8_lossy(value))),
        None => quoted(&marker.name),
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// A list of strings as TOML.
pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    format!("[{}]", items.into_iter().map(|item| quoted(item.as_ref())).collect::<Vec<_>>().join(", "))
}

/// A string as TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
