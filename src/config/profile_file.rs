//! A `[[profile]]` of a config file: the table of its keys, and how it is read and checked.

use std::borrow::Cow;

use reaper_lease::OWNER;
use reaper_policy::profile::{KeepArgs, List, Marker, Profile, ProfileOrigin, ProgramRule, Programs, Text};
use toml::de::DeValue;

use super::diagnostics::Diagnostic;
use super::document::{self, Fault, Fields, TextOrTable, Value, quoted, quoted_list};
use super::validate;

/// A key of a profile.
pub(crate) struct ProfileKey {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its description, wrapped for the example file.
    pub(crate) text: &'static str,
    /// An example value, as TOML.
    pub(crate) example: &'static str,
    /// Parses, checks and stores a value. The names are the programs that the user protects.
    read: fn(&mut Profile, &Value<'_>, &[&str]) -> Result<(), Fault>,
    /// Formats the value of a profile as TOML; `None` where the key need not be written.
    pub(super) show: fn(&Profile) -> Option<String>,
}

/// What a profile is, for the example file and the man page.
pub(crate) const PROFILE: &str =
    "A profile of your own: what your launcher sets on everything it starts, and which programs it starts.";

/// Every key of a profile, in the order of the example file.
pub(crate) static PROFILE_KEYS: &[ProfileKey] = &[
    ProfileKey {
        name: "name",
        text: "What it is called; not like a built-in one.",
        example: "\"mine\"",
        read: |profile, value, _| name(value).map(|name| profile.name = name),
        show: |profile| Some(quoted(&profile.name)),
    },
    ProfileKey {
        name: "about",
        text: "A few words for `reaper profiles`.",
        example: "\"agents started by my launcher\"",
        read: |profile, value, _| owned(value).map(|text| profile.about = text),
        show: |profile| (!profile.about.is_empty()).then(|| quoted(&profile.about)),
    },
    ProfileKey {
        name: "markers",
        text: "Any one of these variables proves provenance. NAME: any value but 0, false, no and off; NAME=VALUE: exactly that.",
        example: "[\"MY_AGENT_RUN\"]",
        read: |profile, value, _| markers(value, false).map(|markers| profile.markers = markers),
        show: |profile| Some(shown_markers(&profile.markers)),
    },
    ProfileKey {
        name: "require",
        text: "All of these must be there too.",
        example: "[]",
        read: |profile, value, _| markers(value, true).map(|markers| profile.require = markers),
        show: |profile| (!profile.require.is_empty()).then(|| shown_markers(&profile.require)),
    },
    ProfileKey {
        name: "programs",
        text: "\"my-agent\" also covers my-agent-1.2.0, my-agent-linux-x64 and my-agent.real, and nothing else; \"my-agent-*\" covers\nwhatever begins so. A table looks at the arguments too: with-arg is a piece of one, without-arg the beginning of none.",
        example: r#"["my-agent", { name = "chromium", with-arg = "--headless", without-arg = "--type=" }]"#,
        read: |profile, value, protect| any_or_programs(value, protect).map(|all| profile.programs = all),
        show: |profile| Some(shown_programs(&profile.programs)),
    },
    ProfileKey {
        name: "owner-env",
        text: "A variable whose value all processes of one run share: nothing is ended while a live one holds it.",
        example: "\"MY_AGENT_GENERATION\"",
        read: |profile, value, _| variable(value).map(|name| profile.owner_env = Some(name)),
        show: |profile| profile.owner_env.as_deref().map(quoted),
    },
    ProfileKey {
        name: "owner-pid-env",
        text: "A variable that holds the launcher's pid.",
        example: "\"MY_AGENT_PID\"",
        read: |profile, value, _| variable(value).map(|name| profile.owner_pid_env = Some(name)),
        show: |profile| profile.owner_pid_env.as_deref().map(quoted),
    },
    ProfileKey {
        name: "keep-listeners",
        text: "As above, for this profile alone.",
        example: "true",
        read: |profile, value, _| {
            document::boolean(value).map(|is_kept| profile.keep_listeners = Some(is_kept))
        },
        show: |profile| profile.keep_listeners.map(|is_kept| is_kept.to_string()),
    },
    ProfileKey {
        name: "keep-args",
        text: "Arguments that say: started to outlive its launcher. A trailing * stands for any ending.",
        example: r#"["--daemon", "serve --forever", { program = "my-agent", args = ["--listen", "unix://*"] }]"#,
        read: |profile, value, _| keep_args(value).map(|all| profile.keep_args = all),
        show: |profile| (!profile.keep_args.is_empty()).then(|| shown_keep_args(&profile.keep_args)),
    },
];

/// Reads a profile and checks it as a whole. `protect` are the programs that the same origin protects.
pub(super) fn read(value: &Value<'_>, origin: ProfileOrigin, protect: &[&str]) -> Result<Profile, Fault> {
    let fields = document::table(value)?.only(PROFILE_KEYS.iter().map(|key| key.name))?;
    let name = fields.required("name")?;
    let mut profile = Profile { origin, ..Profile::EMPTY };
    for key in PROFILE_KEYS {
        if let Some(value) = fields.get(key.name) {
            (key.read)(&mut profile, value, protect)?;
        }
    }
    let missing = |key: &str, example: &str| {
        let why = format!("profile `{}` has no {key}", profile.name);
        Fault::new(name.span(), Diagnostic::new(why, format!("add {key} = {example}")))
    };
    if profile.markers.is_empty() {
        return Err(missing("markers", "[\"MY_LAUNCHER_RUN\"]"));
    }
    let programs = fields.get("programs").ok_or_else(|| missing("programs", "[\"my-agent\"]"))?;
    let wrong = |why: &str, hint: String| Err(Fault::new(programs.span(), Diagnostic::new(why, hint)));
    match &profile.programs {
        // A built-in profile may take all its programs from a shared list.
        Programs::Named(rules) if rules.is_empty() && profile.origin != ProfileOrigin::BuiltIn => wrong(
            "an empty list of programs matches nothing",
            "name a program, or remove the profile".to_owned(),
        ),
        Programs::Any if !has_owner(&profile) => wrong(
            "`programs = \"any\"` needs an owner that can be proven dead",
            format!("add owner-env, owner-pid-env or require = [\"{OWNER}\"], or name the programs"),
        ),
        _ => Ok(profile),
    }
}

fn has_owner(profile: &Profile) -> bool {
    profile.owner_env.is_some()
        || profile.owner_pid_env.is_some()
        || profile.require.iter().any(|marker| marker.name == OWNER)
}

fn name(value: &Value<'_>) -> Result<Text, Fault> {
    let name = document::text(value)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        let why = format!("`{}` is not a name for a profile", name.escape_debug());
        let hint = "use letters, digits, `-`, `_` and `.`";
        return Err(Fault::new(value.span(), Diagnostic::new(why, hint)));
    }
    Ok(name.to_owned().into())
}

fn owned(value: &Value<'_>) -> Result<Text, Fault> {
    document::text(value).map(|text| text.to_owned().into())
}

fn owned_field(fields: &Fields<'_, '_>, name: &str) -> Result<Option<Text>, Fault> {
    fields.get(name).map(owned).transpose()
}

fn variable(value: &Value<'_>) -> Result<Text, Fault> {
    let name = document::text(value)?;
    validate::variable(name).map_err(|diagnostic| Fault::new(value.span(), diagnostic))?;
    Ok(name.to_owned().into())
}

/// Reads a list of `"NAME"` and `"NAME=VALUE"`, each optionally with its evidence.
pub(super) fn markers(value: &Value<'_>, narrows: bool) -> Result<List<Marker>, Fault> {
    let one = |item: &Value<'_>| {
        let (text, evidence) = match document::text_or_table(item)? {
            TextOrTable::Text(text) => (text, None),
            TextOrTable::Table(fields) => {
                let fields = fields.only(["name", "evidence"])?;
                (document::text(fields.required("name")?)?, owned_field(&fields, "evidence")?)
            }
        };
        let marker =
            validate::marker(text, narrows).map_err(|diagnostic| Fault::new(item.span(), diagnostic))?;
        Ok(Marker { evidence, ..marker })
    };
    document::list(value)?.iter().map(one).collect()
}

fn any_or_programs(value: &Value<'_>, protect: &[&str]) -> Result<Programs, Fault> {
    match value.get_ref() {
        DeValue::String(text) if text == "any" => Ok(Programs::Any),
        DeValue::String(text) => {
            let shown = text.escape_debug();
            let why = format!("`programs` is \"any\" or a list, not `{shown}`");
            Err(Fault::new(value.span(), Diagnostic::new(why, format!("write [\"{shown}\"]"))))
        }
        DeValue::Array(_) => programs(value, protect).map(Programs::Named),
        _ => Err(Fault::expected("\"any\" or a list of programs", value)),
    }
}

/// Reads a list of `"name"`, or of tables with conditions on the arguments.
pub(super) fn programs(value: &Value<'_>, protect: &[&str]) -> Result<List<ProgramRule>, Fault> {
    let one = |item: &Value<'_>| {
        let rule = match document::text_or_table(item)? {
            TextOrTable::Text(text) => ProgramRule { name: text.to_owned().into(), ..ProgramRule::default() },
            TextOrTable::Table(fields) => {
                let fields = fields.only(["name", "with-arg", "without-arg", "evidence"])?;
                ProgramRule {
                    name: owned(fields.required("name")?)?,
                    with_arg: owned_field(&fields, "with-arg")?,
                    without_arg: owned_field(&fields, "without-arg")?.filter(|arg| !arg.is_empty()),
                    is_helper: false,
                    evidence: owned_field(&fields, "evidence")?,
                }
            }
        };
        validate::program(&rule.name, rule.with_arg.as_deref(), protect.iter().copied())
            .map_err(|diagnostic| Fault::new(item.span(), diagnostic))?;
        Ok(rule)
    };
    document::list(value)?.iter().map(one).collect()
}

/// Reads a list of `"--daemon"` and `"app-server daemon"`, or of tables that also name the program.
pub(super) fn keep_args(value: &Value<'_>) -> Result<List<KeepArgs>, Fault> {
    let one = |item: &Value<'_>| {
        let keep = match document::text_or_table(item)? {
            TextOrTable::Text(text) => {
                let args = text.split_whitespace().map(|word| Cow::Owned(word.to_owned())).collect();
                KeepArgs { args, ..KeepArgs::default() }
            }
            TextOrTable::Table(fields) => {
                let fields = fields.only(["args", "program", "evidence"])?;
                let args = document::list(fields.required("args")?)?.iter().map(owned);
                KeepArgs {
                    args: args.collect::<Result<_, _>>()?,
                    program: owned_field(&fields, "program")?,
                    evidence: owned_field(&fields, "evidence")?,
                }
            }
        };
        let wrong = |diagnostic| Fault::new(item.span(), diagnostic);
        if keep.args.is_empty() || keep.args.iter().any(|arg| arg.is_empty()) {
            let hint = "write an argument such as \"--daemon\"";
            return Err(wrong(Diagnostic::new("an empty argument keeps nothing", hint)));
        }
        keep.program.as_deref().map_or(Ok(()), validate::shape).map_err(wrong)?;
        Ok(keep)
    };
    document::list(value)?.iter().map(one).collect()
}

fn shown_markers(markers: &[Marker]) -> String {
    quoted_list(markers.iter().map(|marker| match &marker.value {
        Some(value) => format!("{}={}", marker.name, String::from_utf8_lossy(value)),
        None => marker.name.to_string(),
    }))
}

fn shown_programs(programs: &Programs) -> String {
    let Programs::Named(rules) = programs else { return quoted("any") };
    let one = |rule: &ProgramRule| {
        let name = quoted(&rule.name);
        let args = [("with-arg", &rule.with_arg), ("without-arg", &rule.without_arg)];
        let args = args.map(|(key, arg)| arg.as_ref().map(|arg| format!(", {key} = {}", quoted(arg))));
        let args = args.into_iter().flatten().collect::<String>();
        if args.is_empty() { name } else { format!("{{ name = {name}{args} }}") }
    };
    format!("[{}]", rules.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn shown_keep_args(all: &[KeepArgs]) -> String {
    let one = |keep: &KeepArgs| {
        let program = keep.program.as_ref().map(|name| format!("program = {}, ", quoted(name)));
        format!("{{ {}args = {} }}", program.unwrap_or_default(), quoted_list(keep.args.iter()))
    };
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(", "))
}
