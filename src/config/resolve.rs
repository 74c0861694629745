//! Merges the layers into the settings in force: later layers win, protections are only ever added, and doubtful values
//! are refused.

use std::collections::HashSet;

use reaper_policy::builtin_profiles::BUILT_IN;
use reaper_policy::profile::{Profile, ProfileOrigin};
use toml::Spanned;
use toml::de::DeTable;

use super::diagnostics::{ConfigError, Diagnostic};
use super::document::{self, Fault, Fields};
use super::given::{Given, Source};
use super::keys::{KEYS, Key, TABLES, Table, keys_of};
use super::setting::{Origin, Setting, Settings};
use super::sources::{FileText, Layers, Overrides};
use super::{profile_file, warnings};

/// The key of profiles in a config file.
const PROFILE: &str = "profile";

/// A parsed config file.
struct Document<'t> {
    file: &'t FileText,
    table: Spanned<DeTable<'t>>,
}

impl Document<'_> {
    fn fields(&self) -> Fields<'_, '_> {
        Fields::of(&self.table)
    }

    fn origin(&self) -> Origin {
        Origin::File(self.file.path.clone())
    }
}

/// Merges the layers and checks the result.
pub(super) fn resolve(layers: &Layers, overrides: &Overrides) -> Result<Settings, ConfigError> {
    let mut documents = Vec::new();
    for file in &layers.files {
        let table = document::parse(&file.text).map_err(|fault| file.invalid(fault))?;
        documents.push(Document { file, table });
    }
    let mut settings = Settings::default();
    for document in &documents {
        apply_file(&mut settings, document).map_err(|fault| document.file.invalid(fault))?;
        settings.files.push(document.file.path.clone());
    }
    for key in KEYS {
        if let Some(text) = layers.variables.get(key.variable) {
            apply(&mut settings, key, Source::Variable(text), Origin::Env(key.variable))
                .map_err(|fault| fault.diagnostic.about(key.variable))?;
        }
    }
    if let Some(grace) = overrides.grace {
        settings.policy_mut().grace = grace;
        settings.origins.insert("REAPER_GRACE", Origin::Flag("--grace"));
    }
    let own = file_profiles(&settings, &documents)?;
    select(&mut settings, own, &documents, overrides)?;
    settings.warnings.extend(layers.warnings.iter().cloned());
    settings.warnings.extend(warnings::of(&settings));
    Ok(settings)
}

fn apply(settings: &mut Settings, key: &Key, source: Source<'_>, origin: Origin) -> Result<(), Fault> {
    (key.read)(settings, &Given { source, origin: &origin, name: key.name, show: key.show })?;
    settings.origins.insert(key.variable, origin);
    Ok(())
}

/// Applies the settings of a file; its profiles are read when all files are.
fn apply_file(settings: &mut Settings, document: &Document<'_>) -> Result<(), Fault> {
    let tables = TABLES.iter().map(|table| table.name);
    let known = keys_of(None).map(|key| key.name).chain(tables).chain([PROFILE]);
    for (name, value) in document.fields().in_order() {
        if let Some(key) = keys_of(None).find(|key| key.name == *name.get_ref()) {
            apply(settings, key, Source::File(value), document.origin())?;
        } else if let Some(table) = TABLES.iter().find(|table| table.name == *name.get_ref()) {
            apply_table(settings, document, table, &document::table(value)?)?;
        } else if *name.get_ref() != PROFILE {
            return Err(Fault::unknown_key(name, known));
        }
    }
    Ok(())
}

fn apply_table(
    settings: &mut Settings,
    document: &Document<'_>,
    table: &Table,
    fields: &Fields<'_, '_>,
) -> Result<(), Fault> {
    for (name, value) in fields.in_order() {
        let mut keys = keys_of(Some(table.name));
        let known = keys.clone().map(|key| key.name);
        let key = keys.find(|key| key.name == *name.get_ref());
        let key = key.ok_or_else(|| Fault::unknown_key(name, known))?;
        apply(settings, key, Source::File(value), document.origin())?;
    }
    Ok(())
}

/// The profiles of the files; one in a later file replaces one of the same name in an earlier file.
fn file_profiles(settings: &Settings, documents: &[Document<'_>]) -> Result<Vec<Profile>, ConfigError> {
    let mut all: Vec<Profile> = Vec::new();
    for document in documents {
        // A protection from another layer is no error in this file; it wins, with a warning.
        let origin = document.origin();
        let same_origin = |entry: &&Setting<String>| entry.origin == origin;
        let protect: Vec<_> =
            settings.protected.iter().filter(same_origin).map(|entry| entry.value.as_str()).collect();
        profiles_of(document, &protect, &mut all).map_err(|fault| document.file.invalid(fault))?;
    }
    Ok(all)
}

fn profiles_of(document: &Document<'_>, protect: &[&str], all: &mut Vec<Profile>) -> Result<(), Fault> {
    let Some(list) = document.fields().get(PROFILE) else { return Ok(()) };
    let mut names = HashSet::new();
    for value in document::list(list)? {
        let origin = ProfileOrigin::File(document.file.path.clone());
        let profile = profile_file::read(value, origin, protect)?;
        let wrong = |why: String, hint: &str| {
            let name = document::table(value)?.required("name")?;
            Err(Fault::new(name.span(), Diagnostic::new(why, hint)))
        };
        if is_built_in(&profile.name) {
            let why = format!("`{}` is the name of a built-in profile", profile.name);
            return wrong(why, "choose another name; to leave a built-in profile out, change `use`");
        }
        if !names.insert(profile.name.clone()) {
            let why = format!("profile `{}` is defined twice", profile.name);
            return wrong(why, "rename or remove one of them");
        }
        match all.iter_mut().find(|other| other.name == profile.name) {
            Some(other) => *other = profile,
            None => all.push(profile),
        }
    }
    Ok(())
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|built_in| built_in.profile.name == name)
}

/// Chooses the profiles in force: those of `use` and every one of the files, or only those of `--profile`.
fn select(
    settings: &mut Settings,
    own: Vec<Profile>,
    documents: &[Document<'_>],
    overrides: &Overrides,
) -> Result<(), ConfigError> {
    let known = || BUILT_IN.iter().map(|built_in| &built_in.profile).chain(&own);
    let find = |name: &str| {
        known()
            .find(|profile| profile.name == name)
            .ok_or_else(|| Diagnostic::unknown("profile", name, known().map(|profile| &*profile.name)))
    };
    // The `use` of every file is checked, also one that a later layer replaces.
    for document in documents {
        let names = document.fields().get("use").map(document::list);
        for item in names.into_iter().flatten().flatten() {
            let checked = document::text(item)
                .and_then(|name| find(name).map_err(|diagnostic| Fault::new(item.span(), diagnostic)));
            checked.map_err(|fault| document.file.invalid(fault))?;
        }
    }
    let mut chosen: Vec<Profile> = Vec::new();
    let mut choose = |profile: &Profile| {
        if !chosen.iter().any(|other| other.name == profile.name) {
            chosen.push(profile.clone());
        }
    };
    if overrides.profiles.is_empty() {
        for name in &settings.selected {
            choose(find(name).map_err(|diagnostic| diagnostic.about("REAPER_USE"))?);
        }
        own.iter().for_each(choose);
    } else {
        for name in &overrides.profiles {
            choose(find(name).map_err(|diagnostic| ConfigError::Flag { flag: "--profile", diagnostic })?);
        }
        settings.selected.clone_from(&overrides.profiles);
        settings.origins.insert("REAPER_USE", Origin::Flag("--profile"));
    }
    settings.policy_mut().profiles = chosen;
    Ok(())
}
