//! `reaper profiles`: which agents are known, by which marker, and why each family is on or off.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config::Overrides;
use reaper_policy::builtin_profiles::BUILT_IN;
use reaper_policy::policy::Policy;
use reaper_policy::profile::{Marker, Profile, ProfileOrigin, Programs, Text};
use reaper_policy::protected::{BROWSERS, DAEMON_ARGS, DAEMON_SCRIPTS, PROTECTED_IN_ANY};

pub fn run(invocation: &Invocation, out: &mut Output) -> Result<Exit, CommandError> {
    let policy = invocation.settings(&Overrides::default(), out)?.policy();
    let mut text = String::new();
    for built_in in BUILT_IN {
        let on = policy.profiles.iter().any(|p| p.name == built_in.profile.name);
        describe(&mut text, &built_in.profile, on, built_in.why, invocation.verbose);
    }
    for profile in &policy.profiles {
        if let ProfileOrigin::File(path) = &profile.origin {
            let why = format!("it stands in {}", path.display());
            describe(&mut text, profile, true, &why, invocation.verbose);
        }
    }
    general(&mut text, &policy, invocation.verbose);
    out.data(text);
    Ok(Exit::Done)
}

fn describe(text: &mut String, profile: &Profile, on: bool, why: &str, verbose: bool) {
    let bold = Style::new().bold();
    let (word, colour) = if on { ("on ", AnsiColor::Green) } else { ("off", AnsiColor::Yellow) };
    let style = Style::new().fg_color(Some(colour.into()));
    let _ = writeln!(text, "{style}{word}{style:#} {bold}{}{bold:#}: {}", profile.name, profile.about);
    let _ = writeln!(text, "    why        {why}");
    list(text, "marker", profile.markers.iter().map(|m| (m.to_string(), &m.evidence)), verbose);
    list(text, "and", profile.require.iter().map(|m| (m.to_string(), &m.evidence)), verbose);
    match &profile.programs {
        Programs::Any => {
            let _ = writeln!(text, "    programs   any, once the owner is proven dead");
        }
        Programs::Named(rules) => {
            let words = rules.iter().map(|r| {
                let with = r.with_arg.as_ref().map(|a| format!(" with an argument containing `{a}`"));
                let without = r.without_arg.as_ref().map(|a| format!(" and none starting with `{a}`"));
                let name = format!("{}{}{}", r.name, with.unwrap_or_default(), without.unwrap_or_default());
                (name, &r.evidence)
            });
            list(text, "programs", words, verbose);
        }
    }
    for (key, value) in [("owner-env", &profile.owner_env), ("owner-pid", &profile.owner_pid_env)] {
        if let Some(value) = value {
            let _ = writeln!(text, "    {key:<10} {value}");
        }
    }
    list(text, "keep-args", profile.keep_args.iter().map(|k| (k.to_string(), &k.evidence)), verbose);
    text.push('\n');
}

/// With `-v` each entry has a line with its evidence, else the entries share a line.
fn list<'a>(
    text: &mut String,
    key: &str,
    entries: impl Iterator<Item = (String, &'a Option<Text>)>,
    verbose: bool,
) {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return;
    }
    if verbose {
        for (entry, evidence) in entries {
            let evidence = evidence.as_deref().unwrap_or("yours");
            let _ = writeln!(text, "    {key:<10} {entry}  ({evidence})");
        }
    } else {
        let names: Vec<String> = entries.into_iter().map(|(entry, _)| entry).collect();
        let _ = writeln!(text, "    {key:<10} {}", names.join(", "));
    }
}

fn general(text: &mut String, policy: &Policy, verbose: bool) {
    let bold = Style::new().bold();
    let _ = writeln!(text, "{bold}For every profile{bold:#}: daemons that agents start on purpose are kept");
    let args = policy.keep_args.iter().map(|k| {
        let program = k.program.as_deref().map(|p| format!("{p} ")).unwrap_or_default();
        (format!("{program}{k}"), &k.evidence)
    });
    list(text, "arguments", args, verbose);
    list(text, "variables", policy.keep_env.iter().map(|m: &Marker| (m.to_string(), &m.evidence)), verbose);
    let protected: Vec<&str> = policy.protect.iter().map(String::as_str).collect();
    let _ = writeln!(text, "    protected  {}", protected.join(", "));
    let _ = writeln!(
        text,
        "\n{bold}For profiles of any program{bold:#}: what agents start or open for a person is kept, too"
    );
    let _ = writeln!(text, "    arguments  {}, …{}", DAEMON_ARGS.join(", "), DAEMON_SCRIPTS.join(", …"));
    if verbose {
        for (name, why) in PROTECTED_IN_ANY {
            let _ = writeln!(text, "    protected  {name}  ({why})");
        }
        for name in BROWSERS {
            let _ = writeln!(
                text,
                "    protected  {name}  (unless it is headless or its profile is thrown away)"
            );
        }
    } else {
        let names: Vec<&str> = PROTECTED_IN_ANY.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(text, "    protected  {}", names.join(", "));
        let _ = writeln!(
            text,
            "    browsers   {}, unless headless or with a profile that is thrown away",
            BROWSERS.join(", ")
        );
    }
    if !verbose {
        let _ = writeln!(text, "\nWith -v each line shows the evidence that it rests on.");
    }
}
