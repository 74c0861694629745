//! From a `[[profile]]` as written to a profile that holds.

use super::env;
use super::error::{Complaint, ConfigError};
use super::file::{KeepTable, MarkerTable, ProfileTable, ProgramTable, ProgramsValue, TextOr};
use super::vet;
use reaper_policy::profile::{KeepArgs, Marker, Profile, ProfileOrigin, ProgramRule, Programs};
use std::ops::Range;
use toml::Spanned;

/// Makes the error for a place in whatever text the profile stands in.
pub(super) type At<'a> = &'a dyn Fn(Range<usize>, Complaint) -> ConfigError;

/// Checks a profile and takes it over. `protect` are the user's own protected programs.
pub(super) fn profile(
    table: &ProfileTable,
    origin: ProfileOrigin,
    protect: &[&str],
    at: At<'_>,
) -> Result<Profile, ConfigError> {
    let name = table.name.get_ref();
    if name.is_empty()
        || name.len() > 64
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    {
        let complaint = Complaint::new(
            format!("`{}` is not a name for a profile", name.escape_debug()),
            "use letters, digits, `-`, `_` and `.`",
        );
        return Err(at(table.name.span(), complaint));
    }
    let missing = |key: &str, example: &str| {
        at(
            table.name.span(),
            Complaint::new(format!("profile `{name}` has no {key}"), format!("add {key} = {example}")),
        )
    };
    if table.markers.is_empty() {
        return Err(missing("markers", "[\"MY_LAUNCHER_RUN\"]"));
    }
    let programs = table.programs.as_ref().ok_or_else(|| missing("programs", "[\"my-agent\"]"))?;
    // A built-in profile may take all its programs from a shared list.
    if origin != ProfileOrigin::BuiltIn
        && matches!(programs.get_ref(), ProgramsValue::List(list) if list.is_empty())
    {
        let why = "an empty list of programs matches nothing";
        return Err(at(programs.span(), Complaint::new(why, "name a program, or remove the profile")));
    }
    let profile = Profile {
        name: name.clone(),
        about: table.about.clone(),
        origin,
        markers: markers(&table.markers, false, at)?,
        require: markers(&table.require, true, at)?,
        programs: self::programs(programs, protect, at)?,
        owner_env: variable(table.owner_env.as_ref(), at)?,
        owner_pid_env: variable(table.owner_pid_env.as_ref(), at)?,
        keep_listeners: table.keep_listeners,
        keep_args: keep_args(&table.keep_args, at)?,
    };
    let owned = profile.owner_env.is_some()
        || profile.owner_pid_env.is_some()
        || profile.require.iter().any(|marker| marker.name == env::OWNER);
    if profile.programs == Programs::Any && !owned {
        let complaint = Complaint::new(
            "`programs = \"any\"` needs an owner that can be proven dead",
            format!("add owner-env, owner-pid-env or require = [\"{}\"], or name the programs", env::OWNER),
        );
        return Err(at(programs.span(), complaint));
    }
    Ok(profile)
}

fn markers(
    list: &[Spanned<TextOr<MarkerTable>>],
    narrows: bool,
    at: At<'_>,
) -> Result<Vec<Marker>, ConfigError> {
    let one = |item: &Spanned<TextOr<MarkerTable>>| {
        let TextOr(table) = item.get_ref();
        let marker = vet::marker(&table.name, narrows).map_err(|complaint| at(item.span(), complaint))?;
        Ok(Marker { evidence: table.evidence.clone(), ..marker })
    };
    list.iter().map(one).collect()
}

fn variable(name: Option<&Spanned<String>>, at: At<'_>) -> Result<Option<String>, ConfigError> {
    let Some(name) = name else { return Ok(None) };
    vet::variable(name.get_ref()).map_err(|complaint| at(name.span(), complaint))?;
    Ok(Some(name.get_ref().clone()))
}

fn programs(value: &Spanned<ProgramsValue>, protect: &[&str], at: At<'_>) -> Result<Programs, ConfigError> {
    match value.get_ref() {
        ProgramsValue::Any => Ok(Programs::Any),
        ProgramsValue::List(list) => {
            list.iter().map(|item| program(item, protect, at)).collect::<Result<_, _>>().map(Programs::Named)
        }
    }
}

/// Checks one line of a list of programs and takes it over.
pub(super) fn program(
    item: &Spanned<TextOr<ProgramTable>>,
    protect: &[&str],
    at: At<'_>,
) -> Result<ProgramRule, ConfigError> {
    let TextOr(table) = item.get_ref();
    vet::program(&table.name, table.with_arg.as_deref(), protect.iter().copied())
        .map_err(|complaint| at(item.span(), complaint))?;
    Ok(ProgramRule {
        name: table.name.clone(),
        with_arg: table.with_arg.clone(),
        without_arg: table.without_arg.clone().filter(|arg| !arg.is_empty()),
        is_helper: false,
        evidence: table.evidence.clone(),
    })
}

/// Checks lines of arguments and takes them over.
pub(super) fn keep_args(
    list: &[Spanned<TextOr<KeepTable>>],
    at: At<'_>,
) -> Result<Vec<KeepArgs>, ConfigError> {
    let one = |item: &Spanned<TextOr<KeepTable>>| {
        let TextOr(table) = item.get_ref();
        if table.args.is_empty() || table.args.iter().any(String::is_empty) {
            let complaint =
                Complaint::new("an empty argument keeps nothing", "write an argument such as \"--daemon\"");
            return Err(at(item.span(), complaint));
        }
        if let Some(Err(complaint)) = table.program.as_deref().map(vet::shape) {
            return Err(at(item.span(), complaint));
        }
        Ok(KeepArgs {
            program: table.program.clone(),
            args: table.args.clone(),
            evidence: table.evidence.clone(),
        })
    };
    list.iter().map(one).collect()
}
