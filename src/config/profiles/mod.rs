//! The agent families this program knows, each a TOML file with the evidence for every line.
//!
//! Data, not code: what a profile claims can be read and disputed without reading Rust. The lists of agents that
//! several launchers start, and of agents' deliberate daemons, are shared.

use super::error::{Complaint, ConfigError};
use super::file::{self, KeepTable, MarkerTable, ProfileTable, ProgramTable, TextOr};
use super::{build, vet};
use reaper_policy::profile::{KeepArgs, Marker, Profile, ProfileOrigin, ProgramRule, Programs};
use reaper_policy::program;
use serde::Deserialize;
use std::ops::Range;
use std::sync::OnceLock;
use toml::Spanned;

/// Profiles in force unless `use` says otherwise.
pub const DEFAULT: [&str; 3] = ["sprout", "buzz", "own"];

const FILES: [(&str, &str); 12] = [
    ("sprout", include_str!("sprout.toml")),
    ("buzz", include_str!("buzz.toml")),
    ("own", include_str!("own.toml")),
    ("claude-children", include_str!("claude-children.toml")),
    ("codex-children", include_str!("codex-children.toml")),
    ("gemini-children", include_str!("gemini-children.toml")),
    ("qwen-children", include_str!("qwen-children.toml")),
    ("copilot-children", include_str!("copilot-children.toml")),
    ("pi-children", include_str!("pi-children.toml")),
    ("opencode-children", include_str!("opencode-children.toml")),
    ("goose-children", include_str!("goose-children.toml")),
    ("browsers", include_str!("browsers.toml")),
];
const AGENTS: &str = include_str!("agents.toml");
const HELPERS: &str = include_str!("helpers.toml");
const KEEP: &str = include_str!("keep.toml");

/// A profile that came with the program, with what `reaper profiles` says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// The profile.
    pub profile: Profile,
    /// Whether it is in force unless `use` says otherwise.
    pub default: bool,
    /// Why it is on or off.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BuiltInFile {
    default: bool,
    why: String,
    /// Whether its own programs are helpers of agents, and not agents.
    #[serde(default)]
    helpers: bool,
    #[serde(default)]
    include: Vec<String>,
    profile: ProfileTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramsFile {
    programs: Vec<Spanned<TextOr<ProgramTable>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KeepFile {
    keep_args: Vec<Spanned<TextOr<KeepTable>>>,
    keep_env: Vec<Spanned<TextOr<MarkerTable>>>,
}

/// How agents mark the daemons they start on purpose.
pub(super) struct Keep {
    pub(super) args: Vec<KeepArgs>,
    pub(super) env: Vec<Marker>,
}

/// Names of the built-in profiles.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    FILES.iter().map(|(name, _)| *name)
}

/// Whether a built-in profile has this name.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Every built-in profile.
///
/// # Errors
/// Only if one of them does not hold, which is a bug.
pub fn all() -> Result<Vec<BuiltIn>, ConfigError> {
    FILES.iter().map(|(name, text)| parse(name, text)).collect()
}

/// One built-in profile by name.
///
/// # Errors
/// Only if it does not hold, which is a bug.
pub fn built_in(name: &str) -> Result<Option<BuiltIn>, ConfigError> {
    FILES.iter().find(|(known, _)| *known == name).map(|(name, text)| parse(name, text)).transpose()
}

fn bug(name: &str) -> impl Fn(Range<usize>, Complaint) -> ConfigError {
    let name = name.to_owned();
    move |span, complaint| ConfigError::BuiltIn {
        name: name.clone(),
        why: format!("{} at byte {}", complaint.why, span.start),
    }
}

fn parse(name: &str, text: &str) -> Result<BuiltIn, ConfigError> {
    let at = bug(name);
    let file: BuiltInFile = file::parse(text).map_err(|(span, complaint)| at(span, complaint))?;
    let mut profile = build::profile(&file.profile, ProfileOrigin::BuiltIn, &[], &at)?;
    if let Programs::Named(rules) = &mut profile.programs {
        for rule in rules {
            rule.is_helper = file.helpers || program::has_word_mcp(rule.name.as_bytes());
        }
    }
    if profile.name != name {
        return Err(at(0..0, Complaint { why: format!("calls itself `{}`", profile.name), hint: None }));
    }
    for list in &file.include {
        let shared = match list.as_str() {
            "agents" => agents()?,
            "helpers" => &programs("helpers", HELPERS)?
                .into_iter()
                .map(|rule| ProgramRule { is_helper: true, ..rule })
                .collect::<Vec<_>>(),
            _ => return Err(at(0..0, Complaint { why: format!("unknown list `{list}`"), hint: None })),
        };
        if let Programs::Named(rules) = &mut profile.programs {
            rules.extend_from_slice(shared);
        }
    }
    Ok(BuiltIn { profile, default: file.default, why: file.why })
}

/// The longest list, read once: two profiles that are on by default have it.
pub(super) fn agents() -> Result<&'static [ProgramRule], ConfigError> {
    static READ: OnceLock<Vec<ProgramRule>> = OnceLock::new();
    match READ.get() {
        Some(rules) => Ok(rules),
        None => programs("agents", AGENTS).map(|rules| READ.get_or_init(|| rules).as_slice()),
    }
}

fn programs(list: &str, text: &str) -> Result<Vec<ProgramRule>, ConfigError> {
    let at = bug(list);
    let file: ProgramsFile = file::parse(text).map_err(|(span, complaint)| at(span, complaint))?;
    file.programs.iter().map(|item| build::program(item, &[], &at)).collect()
}

/// The deliberate daemons of agents.
pub(super) fn keep() -> Result<Keep, ConfigError> {
    let at = bug("keep");
    let file: KeepFile = file::parse(KEEP).map_err(|(span, complaint)| at(span, complaint))?;
    let env = file.keep_env.iter().map(|item| {
        let TextOr(table) = item.get_ref();
        let marker = vet::marker(&table.name, false).map_err(|complaint| at(item.span(), complaint))?;
        Ok(Marker { evidence: table.evidence.clone(), ..marker })
    });
    Ok(Keep { args: build::keep_args(&file.keep_args, &at)?, env: env.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, all, keep, names};
    use crate::config::vet;
    use reaper_policy::profile::{KeepArgs, Marker, Programs};

    #[test]
    fn every_line_of_every_profile_has_its_evidence() {
        let evident = |evidence: &Option<String>| evidence.as_ref().is_some_and(|text| text.len() > 20);
        let markers = |list: &[Marker]| list.iter().all(|marker| evident(&marker.evidence));
        let args = |list: &[KeepArgs]| list.iter().all(|keep| evident(&keep.evidence));
        for built_in in all().unwrap() {
            let profile = &built_in.profile;
            assert!(!profile.about.is_empty() && built_in.why.len() > 20, "{}", profile.name);
            assert!(markers(&profile.markers) && markers(&profile.require), "{}", profile.name);
            assert!(args(&profile.keep_args), "{}", profile.name);
            if let Programs::Named(rules) = &profile.programs {
                assert!(!rules.is_empty(), "{}", profile.name);
                for rule in rules {
                    assert!(evident(&rule.evidence), "{}: {}", profile.name, rule.name);
                }
            }
        }
        let keep = keep().unwrap();
        assert!(args(&keep.args) && markers(&keep.env));
    }

    #[test]
    fn the_defaults_are_the_profiles_that_say_so() {
        let on: Vec<_> = all().unwrap().into_iter().filter(|b| b.default).map(|b| b.profile.name).collect();
        assert_eq!(on, DEFAULT);
        assert_eq!(names().count(), 12);
    }

    #[test]
    fn no_program_is_protected_and_none_stands_twice() {
        for built_in in all().unwrap() {
            let Programs::Named(rules) = &built_in.profile.programs else { continue };
            for (index, rule) in rules.iter().enumerate() {
                assert_eq!(vet::built_in_protection(&rule.name), None, "{}", rule.name);
                let twice = rules
                    .iter()
                    .skip(index + 1)
                    .any(|other| (&other.name, &other.with_arg) == (&rule.name, &rule.with_arg));
                assert!(!twice, "{}: {}", built_in.profile.name, rule.name);
            }
        }
    }

    #[test]
    fn launchers_profiles_name_every_agent_they_start() {
        for built_in in
            all().unwrap().into_iter().filter(|b| ["sprout", "buzz"].contains(&b.profile.name.as_str()))
        {
            let Programs::Named(rules) = &built_in.profile.programs else { panic!("named") };
            for agent in [
                "goose",
                "claude",
                "codex",
                "gemini",
                "opencode",
                "qwen",
                "copilot",
                "cline",
                "pi",
                "codex-acp",
            ] {
                assert!(rules.iter().any(|rule| rule.name == agent), "{}: {agent}", built_in.profile.name);
            }
        }
    }
}
