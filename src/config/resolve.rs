//! From layers to one policy: later layers win, protections only ever grow, and nothing doubtful passes.

use super::env;
use super::error::{Complaint, ConfigError, Warning};
use super::file::DurationText;
use super::layers::{FileLayer, Layers, Overrides};
use super::outputs::Outputs;
use super::policy::{Origin, Setting, Settings};
use super::{build, profiles, vet};
use reaper_policy::policy::Reach;
use reaper_policy::profile::{Profile, ProfileOrigin, Programs};
use reaper_policy::program;
use reaper_policy::{duration, protected as rules};
use std::num::NonZeroUsize;
use std::time::Duration;
use toml::Spanned;

const MAX_TARGETS: NonZeroUsize = match NonZeroUsize::new(256) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

fn default<T>(value: T) -> Setting<T> {
    Setting { value, origin: Origin::Default }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The policy of no file, no variable and no flag; its profiles are not chosen yet.
fn defaults() -> Result<Settings, ConfigError> {
    let keep = profiles::keep()?;
    Ok(Settings {
        interval: default(Duration::from_secs(30)),
        grace: default(Duration::from_secs(30)),
        term_timeout: default(Duration::from_secs(10)),
        kill_timeout: default(Duration::from_secs(5)),
        reach: default(Reach::Tree),
        max_targets: default(MAX_TARGETS),
        keep_listeners: default(true),
        selected: default(owned(&profiles::DEFAULT)),
        profiles: Vec::new(),
        protect: rules::PROTECTED.iter().map(|(name, _)| default((*name).to_owned())).collect(),
        adopters: default(Vec::new()),
        wrappers: default(owned(&rules::WRAPPERS)),
        outputs: Outputs::default(),
        agents: profiles::agents()?.to_vec(),
        keep_args: keep.args,
        keep_env: keep.env,
        files: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Merges the layers and checks the result.
pub(super) fn resolve(layers: &Layers, overrides: &Overrides) -> Result<Settings, ConfigError> {
    let mut policy = defaults()?;
    for file in &layers.files {
        apply_file(&mut policy, file)?;
    }
    apply_env(&mut policy, layers)?;
    if let Some(grace) = overrides.grace {
        policy.grace = Setting { value: grace, origin: Origin::Flag("--grace") };
    }
    let own = file_profiles(&policy, layers)?;
    policy.profiles = select(&mut policy, own, layers, overrides)?;
    policy.warnings.extend(layers.env.warnings.iter().cloned());
    warn(&mut policy);
    Ok(policy)
}

fn apply_file(policy: &mut Settings, file: &FileLayer) -> Result<(), ConfigError> {
    let config = &file.config;
    let origin = || Origin::File(file.path.clone());
    let duration = |key, slot: &mut Setting<Duration>, value: Option<&Spanned<DurationText>>| {
        let Some(text) = value else { return Ok(()) };
        let DurationText(value) = *text.get_ref();
        let value = vet::duration(key, value).map_err(|complaint| file.invalid(text.span(), complaint))?;
        *slot = Setting { value, origin: origin() };
        Ok(())
    };
    duration("interval", &mut policy.interval, config.interval.as_ref())?;
    duration("grace", &mut policy.grace, config.grace.as_ref())?;
    duration("term-timeout", &mut policy.term_timeout, config.term_timeout.as_ref())?;
    duration("kill-timeout", &mut policy.kill_timeout, config.kill_timeout.as_ref())?;
    if let Some(value) = config.reach {
        policy.reach = Setting { value: value.into(), origin: origin() };
    }
    if let Some(count) = &config.max_targets {
        let value =
            vet::max_targets(*count.get_ref()).map_err(|complaint| file.invalid(count.span(), complaint))?;
        policy.max_targets = Setting { value, origin: origin() };
    }
    if let Some(value) = config.keep_listeners {
        policy.keep_listeners = Setting { value, origin: origin() };
    }
    let list = |value: Option<&Vec<Spanned<String>>>, check: Check| {
        let Some(items) = value else { return Ok(None) };
        for item in items {
            check(item.get_ref()).map_err(|complaint| file.invalid(item.span(), complaint))?;
        }
        Ok(Some(items.iter().map(|item| item.get_ref().clone()).collect::<Vec<_>>()))
    };
    if let Some(value) = list(config.r#use.as_ref(), |_| Ok(()))? {
        policy.selected = Setting { value, origin: origin() };
    }
    if let Some(value) = list(config.adopters.as_ref(), vet::adopter)? {
        policy.adopters = Setting { value, origin: origin() };
    }
    if let Some(value) = list(config.wrappers.as_ref(), vet::wrapper)? {
        policy.wrappers = Setting { value, origin: origin() };
    }
    if let Some(names) = list(config.protect.as_ref(), vet::shape)? {
        protect(policy, names, &origin());
    }
    policy.outputs.apply_file(file)?;
    policy.files.push(file.path.clone());
    Ok(())
}

type Check = fn(&str) -> Result<(), Complaint>;

/// Protections are a union: no layer can take one away.
fn protect(policy: &mut Settings, names: Vec<String>, origin: &Origin) {
    for name in names {
        if !policy.protect.iter().any(|entry| entry.value == name) {
            policy.protect.push(Setting { value: name, origin: origin.clone() });
        }
    }
}

fn apply_env(policy: &mut Settings, layers: &Layers) -> Result<(), ConfigError> {
    let env = &layers.env;
    let about = |variable: &'static str| move |complaint: Complaint| complaint.about(variable);
    for (variable, key, slot) in [
        (env::INTERVAL, "interval", &mut policy.interval),
        (env::GRACE, "grace", &mut policy.grace),
        (env::TERM_TIMEOUT, "term-timeout", &mut policy.term_timeout),
        (env::KILL_TIMEOUT, "kill-timeout", &mut policy.kill_timeout),
    ] {
        if let Some(text) = env.get(variable) {
            let value = duration::parse(text).map_err(|error| Complaint::from(error).about(variable))?;
            let value = vet::duration(key, value).map_err(about(variable))?;
            *slot = Setting { value, origin: Origin::Env(variable) };
        }
    }
    if let Some(text) = env.get(env::REACH) {
        let value = match text {
            "process" => Reach::Process,
            "tree" => Reach::Tree,
            other => return Err(about(env::REACH)(Complaint::unknown("value", other, ["process", "tree"]))),
        };
        policy.reach = Setting { value, origin: Origin::Env(env::REACH) };
    }
    if let Some(text) = env.get(env::MAX_TARGETS) {
        let count = text.parse::<i64>().unwrap_or(-1);
        let value = vet::max_targets(count).map_err(about(env::MAX_TARGETS))?;
        policy.max_targets = Setting { value, origin: Origin::Env(env::MAX_TARGETS) };
    }
    if let Some(text) = env.get(env::KEEP_LISTENERS) {
        let value = match text {
            "true" => true,
            "false" => false,
            other => {
                let complaint = Complaint::unknown("value", other, ["true", "false"]);
                return Err(about(env::KEEP_LISTENERS)(complaint));
            }
        };
        policy.keep_listeners = Setting { value, origin: Origin::Env(env::KEEP_LISTENERS) };
    }
    let list = |variable: &'static str, check: Check| {
        let Some(text) = env.get(variable) else { return Ok(None) };
        let items: Vec<_> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        items.iter().try_for_each(|item| check(item)).map_err(about(variable))?;
        Ok(Some(Setting { value: owned(&items), origin: Origin::Env(variable) }))
    };
    if let Some(setting) = list(env::USE, |_| Ok(()))? {
        policy.selected = setting;
    }
    if let Some(setting) = list(env::ADOPTERS, vet::adopter)? {
        policy.adopters = setting;
    }
    if let Some(setting) = list(env::WRAPPERS, vet::wrapper)? {
        policy.wrappers = setting;
    }
    if let Some(setting) = list(env::PROTECT, vet::shape)? {
        protect(policy, setting.value, &setting.origin);
    }
    policy.outputs.apply_env(env)
}

/// The users' own profiles, a later file's replacing an earlier one of the same name.
fn file_profiles(policy: &Settings, layers: &Layers) -> Result<Vec<Profile>, ConfigError> {
    let mut all: Vec<Profile> = Vec::new();
    for file in &layers.files {
        let origin = ProfileOrigin::File(file.path.clone());
        // A protection of another layer is no mistake of this file; it wins, with a warning.
        let here =
            |entry: &&Setting<String>| matches!(&entry.origin, Origin::File(path) if *path == file.path);
        let protect: Vec<_> = policy.protect.iter().filter(here).map(|entry| entry.value.as_str()).collect();

        let at = |span, complaint| file.invalid(span, complaint);

        for table in &file.config.profile {
            let profile = build::profile(table, origin.clone(), &protect, &at)?;
            if profiles::is_built_in(&profile.name) {
                let complaint = Complaint::new(
                    format!("`{}` is the name of a built-in profile", profile.name),
                    "choose another name; to leave a built-in profile out, change `use`",
                );
                return Err(at(table.name.span(), complaint));
            }
            match all.iter_mut().find(|other| other.name == profile.name) {
                Some(other) if other.origin == origin => {
                    let complaint = Complaint::new(
                        format!("profile `{}` stands here twice", profile.name),
                        "rename or remove one of them",
                    );
                    return Err(at(table.name.span(), complaint));
                }
                Some(other) => *other = profile,
                None => all.push(profile),
            }
        }
    }
    Ok(all)
}

/// Chooses the profiles in force: those of `use` and every one of the files, or only those of `--profile`.
fn select(
    policy: &mut Settings,
    own: Vec<Profile>,
    layers: &Layers,
    overrides: &Overrides,
) -> Result<Vec<Profile>, ConfigError> {
    let known = |name: &str| profiles::is_built_in(name) || own.iter().any(|profile| profile.name == name);
    let unknown = |name: &str| {
        let mut all: Vec<&str> = profiles::names().collect();
        all.extend(own.iter().map(|profile| profile.name.as_str()));
        Complaint::unknown("profile", name, all)
    };
    // Every file's `use` must hold, also one that a later layer replaces.
    for file in &layers.files {
        for item in file.config.r#use.iter().flatten() {
            if !known(item.get_ref()) {
                return Err(file.invalid(item.span(), unknown(item.get_ref())));
            }
        }
    }
    let wanted = if overrides.profiles.is_empty() {
        if let Some(name) = policy.selected.value.iter().find(|name| !known(name)) {
            return Err(unknown(name).about(env::USE));
        }
        policy.selected.value.iter().chain(own.iter().map(|profile| &profile.name)).cloned().collect()
    } else {
        if let Some(name) = overrides.profiles.iter().find(|name| !known(name)) {
            return Err(ConfigError::Flag { flag: "--profile", complaint: unknown(name) });
        }
        policy.selected = Setting { value: overrides.profiles.clone(), origin: Origin::Flag("--profile") };
        overrides.profiles.clone()
    };
    let mut chosen: Vec<Profile> = Vec::new();
    for name in &wanted {
        if chosen.iter().any(|profile| profile.name == *name) {
            continue;
        }
        match own.iter().find(|profile| profile.name == *name) {
            Some(profile) => chosen.push(profile.clone()),
            None => chosen.extend(profiles::built_in(name)?.map(|built_in| built_in.profile)),
        }
    }
    Ok(chosen)
}

fn warn(policy: &mut Settings) {
    let mut warnings = Vec::new();
    if policy.grace.value.is_zero() {
        warnings.push(Warning::new(
            format!(
                "`grace` is 0s (from {}): an agent is ended the moment it is seen orphaned",
                policy.grace.origin
            ),
            "a few seconds let launchers restart and pick their agents up again",
        ));
    }
    if policy.term_timeout.value < Duration::from_secs(1) {
        let given = duration::format(policy.term_timeout.value);
        warnings.push(Warning::new(
            format!(
                "`term-timeout` is {given} (from {}): agents cannot stop their own workers",
                policy.term_timeout.origin
            ),
            "agents were seen to need up to 14 s; the default is \"10s\"",
        ));
    }
    if policy.profiles.is_empty() {
        warnings.push(Warning::new("no profile is in force, so nothing will be found", "name one in `use`"));
    }
    for profile in &policy.profiles {
        let Programs::Named(rules) = &profile.programs else { continue };
        let protected = |name: &str| {
            policy
                .protect
                .iter()
                .map(|entry| entry.value.as_str())
                .find(|entry| program::names_widely(entry, name.as_bytes()))
        };
        for (rule, entry) in rules.iter().filter_map(|rule| Some((rule, protected(&rule.name)?))) {
            if profile.origin != ProfileOrigin::BuiltIn {
                warnings.push(Warning::new(
                    format!(
                        "`{}` of profile `{}` is protected by `{entry}` and never ended",
                        rule.name, profile.name
                    ),
                    "remove it from the profile, or from `protect`",
                ));
            }
        }
        for rule in
            rules.iter().filter(|rule| rule.with_arg.is_none() && policy.wrappers.value.contains(&rule.name))
        {
            warnings.push(Warning::new(
                format!("`{}` is a wrapper, and a program of profile `{}`", rule.name, profile.name),
                "name what it starts instead, or say which one by `with-arg`",
            ));
        }
    }
    warnings.extend(policy.outputs.warnings());
    policy.warnings.extend(warnings);
}
