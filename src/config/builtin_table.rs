//! Writes the table of built-in profiles, `crates/policy/src/builtin_profiles.rs`, from the TOML files in
//! `crates/policy/profiles`, and checks that the program ships what its sources contain.
//!
//! The sources are TOML so that they can be reviewed without reading Rust. They are checked by the same rules as
//! profiles in a config file. The table is Rust so that they need not be parsed at each start.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use reaper_policy::builtin_profiles::{AGENTS, BUILT_IN, KEEP_ARGS, KEEP_ENV};
use reaper_policy::profile::{KeepArgs, List, Marker, Profile, ProfileOrigin, ProgramRule, Programs, Text};
use reaper_policy::program;

use super::document::{self, Fault, Fields};
use super::{profile_file, validate};

/// The profiles, in order of matching and display.
const PROFILES: [&str; 12] = [
    "sprout",
    "buzz",
    "own",
    "claude-children",
    "codex-children",
    "gemini-children",
    "qwen-children",
    "copilot-children",
    "pi-children",
    "opencode-children",
    "goose-children",
    "browsers",
];
/// Lists that profiles share.
const LISTS: [&str; 3] = ["agents", "helpers", "keep"];

fn policy_crate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/policy")
}

/// Parses a source and passes its keys to `take`.
fn read<T>(name: &str, keys: &[&str], take: impl FnOnce(&Fields<'_, '_>) -> Result<T, Fault>) -> T {
    let path = policy_crate().join("profiles").join(name).with_extension("toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let taken =
        document::parse(&text).and_then(|table| take(&Fields::of(&table).only(keys.iter().copied())?));
    taken.unwrap_or_else(|Fault { span, diagnostic }| {
        panic!("{} at byte {}: {}", path.display(), span.start, diagnostic.why)
    })
}

/// One of the lists of programs.
fn programs(list: &str, is_helper: bool) -> Vec<ProgramRule> {
    let rules = read(list, &["programs"], |file| profile_file::programs(file.required("programs")?, &[]));
    rules.iter().map(|rule| ProgramRule { is_helper, ..rule.clone() }).collect()
}

fn keep() -> (List<KeepArgs>, List<Marker>) {
    read("keep", &["keep-args", "keep-env"], |file| {
        Ok((
            profile_file::keep_args(file.required("keep-args")?)?,
            profile_file::markers(file.required("keep-env")?, false)?,
        ))
    })
}

/// A profile as its source describes it.
struct Source {
    default: bool,
    why: String,
    profile: Profile,
}

fn source(name: &str) -> Source {
    let keys = ["default", "why", "helpers", "include", "profile"];
    let source = read(name, &keys, |file| {
        // Its own programs are agents unless the source sets otherwise.
        let helpers = file.get("helpers").map_or(Ok(false), document::boolean)?;
        let mut profile = profile_file::read(file.required("profile")?, ProfileOrigin::BuiltIn, &[])?;
        if let Programs::Named(rules) = &mut profile.programs {
            let rules = rules.to_mut();
            for rule in &mut *rules {
                rule.is_helper = helpers || program::has_word_mcp(rule.name.as_bytes());
            }
            for list in file.get("include").map_or(Ok(&[][..]), document::list)? {
                let list = document::text(list)?;
                rules.extend(programs(list, list == "helpers"));
            }
        }
        Ok(Source {
            default: document::boolean(file.required("default")?)?,
            why: document::text(file.required("why")?)?.to_owned(),
            profile,
        })
    });
    assert_eq!(source.profile.name, name, "the file is called like the profile");
    source
}

/// The table as Rust.
fn generate() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("/// Every built-in profile, in the order in which they are asked.\n#[rustfmt::skip]\n");
    out.push_str("pub static BUILT_IN: &[BuiltIn] = &[\n");
    for name in PROFILES {
        out.push_str(&profile_lines(&source(name)));
    }
    out.push_str("];\n\n/// Agents and adapters that launchers start.\n");
    let agents = programs("agents", false);
    let _ = writeln!(
        out,
        "#[rustfmt::skip]\npub static AGENTS: &[ProgramRule] = &{};\n",
        lines(&agents, 0, rule)
    );
    let (args, env) = keep();
    out.push_str("/// Arguments of daemons that agents start on purpose.\n#[rustfmt::skip]\n");
    let _ = writeln!(out, "pub static KEEP_ARGS: &[KeepArgs] = &{};\n", lines(&args, 0, keep_args));
    out.push_str("/// Variables of daemons that agents start on purpose.\n#[rustfmt::skip]\n");
    let _ = writeln!(out, "pub static KEEP_ENV: &[Marker] = &{};", lines(&env, 0, marker));
    out + TAIL
}

const HEAD: &str = "\
//! The agent families that this program knows. Written from `crates/policy/profiles/*.toml`, where each line has its
//! evidence; after a change there, `UPDATE_EXPECTED=1 cargo test --lib builtin_table` writes it anew.

use std::borrow::Cow::Borrowed;

use crate::profile::{BuiltIn, KeepArgs, Marker, Profile, ProgramRule, Programs, Text};

";

const TAIL: &str = "
const fn marker(name: &'static str, evidence: &'static str) -> Marker {
    Marker { name: Borrowed(name), value: None, evidence: Some(Borrowed(evidence)) }
}

const fn marker_with(name: &'static str, value: &'static [u8], evidence: &'static str) -> Marker {
    Marker { name: Borrowed(name), value: Some(Borrowed(value)), evidence: Some(Borrowed(evidence)) }
}

const fn agent(name: &'static str, evidence: &'static str) -> ProgramRule {
    program(name, None, None, false, evidence)
}

const fn helper(name: &'static str, evidence: &'static str) -> ProgramRule {
    program(name, None, None, true, evidence)
}

const fn program(
    name: &'static str,
    with_arg: Option<Text>,
    without_arg: Option<Text>,
    is_helper: bool,
    evidence: &'static str,
) -> ProgramRule {
    ProgramRule { name: Borrowed(name), with_arg, without_arg, is_helper, evidence: Some(Borrowed(evidence)) }
}

const fn keep(program: Option<Text>, args: &'static [Text], evidence: &'static str) -> KeepArgs {
    KeepArgs { program, args: Borrowed(args), evidence: Some(Borrowed(evidence)) }
}
";

fn profile_lines(source: &Source) -> String {
    let (profile, mut out) = (&source.profile, String::new());
    let mut field = |text: String| {
        let _ = writeln!(out, "            {text},");
    };
    let text = |text: &str| format!("Borrowed({text:?})");
    field(format!("name: {}", text(&profile.name)));
    field(format!("about: {}", text(&profile.about)));
    for (name, list) in [("markers", &profile.markers), ("require", &profile.require)] {
        if !list.is_empty() {
            field(format!("{name}: Borrowed(&{})", lines(list, 12, marker)));
        }
    }
    field(match &profile.programs {
        Programs::Any => "programs: Programs::Any".to_owned(),
        Programs::Named(rules) => {
            format!("programs: Programs::Named(Borrowed(&{}))", lines(rules, 12, rule))
        }
    });
    for (name, value) in [("owner_env", &profile.owner_env), ("owner_pid_env", &profile.owner_pid_env)] {
        if let Some(value) = value {
            field(format!("{name}: Some({})", text(value)));
        }
    }
    if profile.keep_listeners.is_some() {
        field(format!("keep_listeners: {:?}", profile.keep_listeners));
    }
    if !profile.keep_args.is_empty() {
        field(format!("keep_args: Borrowed(&{})", lines(&profile.keep_args, 12, keep_args)));
    }
    format!(
        "    BuiltIn {{\n        default: {},\n        why: {:?},\n        profile: Profile {{\n{out}            \
         ..Profile::EMPTY\n        }},\n    }},\n",
        source.default, source.why
    )
}

/// A Rust list, one line for each item.
fn lines<T>(items: &[T], indent: usize, one: fn(&T) -> String) -> String {
    let indent = " ".repeat(indent);
    let all: String = items.iter().map(|item| format!("{indent}    {},\n", one(item))).collect();
    if all.is_empty() { "[]".to_owned() } else { format!("[\n{all}{indent}]") }
}

fn rule(rule: &ProgramRule) -> String {
    let ProgramRule { name, with_arg, without_arg, is_helper, evidence } = rule;
    let evidence = evidence.as_deref().unwrap_or_default();
    match (with_arg, without_arg) {
        (None, None) => {
            let kind = if *is_helper { "helper" } else { "agent" };
            format!("{kind}({name:?}, {evidence:?})")
        }
        (with, without) => {
            format!("program({name:?}, {}, {}, {is_helper}, {evidence:?})", option(with), option(without))
        }
    }
}

fn marker(marker: &Marker) -> String {
    let Marker { name, value, evidence } = marker;
    let evidence = evidence.as_deref().unwrap_or_default();
    match value {
        None => format!("marker({name:?}, {evidence:?})"),
        Some(value) => format!("marker_with({name:?}, b\"{}\", {evidence:?})", value.escape_ascii()),
    }
}

fn keep_args(keep: &KeepArgs) -> String {
    let KeepArgs { program, args, evidence } = keep;
    let args: Vec<String> = args.iter().map(|arg| format!("Borrowed({arg:?})")).collect();
    let evidence = evidence.as_deref().unwrap_or_default();
    format!("keep({}, &[{}], {evidence:?})", option(program), args.join(", "))
}

fn option(text: &Option<Text>) -> String {
    text.as_ref().map_or("None".to_owned(), |text| format!("Some(Borrowed({text:?}))"))
}

#[test]
fn the_table_is_generated_from_its_sources() {
    let path = policy_crate().join("src/builtin_profiles.rs");
    let generated = generate();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &generated).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == generated, "run `UPDATE_EXPECTED=1 cargo test --lib builtin_table`");
}

/// Compares values, not only text: a wrong table may compile, too.
#[test]
fn the_compiled_profiles_equal_their_sources() {
    let sources = PROFILES.map(source);
    assert_eq!(BUILT_IN.len(), sources.len());
    for (built_in, source) in BUILT_IN.iter().zip(sources) {
        assert_eq!(built_in.profile, source.profile);
        assert_eq!((built_in.default, built_in.why), (source.default, source.why.as_str()));
    }
    assert_eq!(AGENTS, programs("agents", false));
    let (args, env) = keep();
    assert_eq!((KEEP_ARGS, KEEP_ENV), (&*args, &*env));
}

#[test]
fn every_source_is_in_the_table() {
    let files = fs::read_dir(policy_crate().join("profiles")).unwrap();
    let mut files: Vec<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut known: Vec<&str> = PROFILES.into_iter().chain(LISTS).collect();
    files.sort();
    known.sort();
    assert_eq!(files, known);
}

#[test]
fn every_line_of_every_profile_has_its_evidence() {
    let evident = |evidence: &Option<Text>| evidence.as_ref().is_some_and(|text| text.len() > 20);
    let markers = |list: &[Marker]| list.iter().all(|marker| evident(&marker.evidence));
    let args = |list: &[KeepArgs]| list.iter().all(|keep| evident(&keep.evidence));
    for built_in in BUILT_IN {
        let profile = &built_in.profile;
        assert!(!profile.about.is_empty() && built_in.why.len() > 20, "{}", profile.name);
        assert!(markers(&profile.markers) && markers(&profile.require), "{}", profile.name);
        assert!(args(&profile.keep_args), "{}", profile.name);
        if let Programs::Named(rules) = &profile.programs {
            assert!(!rules.is_empty(), "{}", profile.name);
            for rule in rules.iter() {
                assert!(evident(&rule.evidence), "{}: {}", profile.name, rule.name);
            }
        }
    }
    assert!(args(KEEP_ARGS) && markers(KEEP_ENV));
}

#[test]
fn three_profiles_are_on_by_default() {
    let on = BUILT_IN.iter().filter(|built_in| built_in.default);
    assert_eq!(on.map(|built_in| &*built_in.profile.name).collect::<Vec<_>>(), ["sprout", "buzz", "own"]);
}

#[test]
fn no_program_is_protected_or_listed_twice() {
    for built_in in BUILT_IN {
        let Programs::Named(rules) = &built_in.profile.programs else { continue };
        for (index, rule) in rules.iter().enumerate() {
            assert_eq!(validate::built_in_protection(&rule.name), None, "{}", rule.name);
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
    for built_in in BUILT_IN.iter().filter(|built_in| ["sprout", "buzz"].contains(&&*built_in.profile.name)) {
        let Programs::Named(rules) = &built_in.profile.programs else { panic!("named") };
        for agent in
            ["goose", "claude", "codex", "gemini", "opencode", "qwen", "copilot", "cline", "pi", "codex-acp"]
        {
            assert!(rules.iter().any(|rule| rule.name == agent), "{}: {agent}", built_in.profile.name);
        }
    }
}
