//! Validation of names and markers, with the errors for those that are refused.
//!
//! The rules protect users from typing errors: a marker or a program name that is too common would make every process a
//! candidate.

use super::diagnostics::Diagnostic;
use super::generic::{COMMON_NAMES, GENERIC_BEGINNINGS, GENERIC_VARIABLES, LAUNCHERS, SHELLS};
use reaper_lease::KEEP;
use reaper_policy::profile::Marker;
use reaper_policy::program;
use reaper_policy::protected::PROTECTED;

/// Shortest prefix before `*`, in characters; a shorter one is shared by unrelated programs.
const SHORTEST_STEM: usize = 4;

/// Checks the shape of any program name: a base name, not a path or a pattern.
pub(super) fn shape(name: &str) -> Result<(), Diagnostic> {
    let shown = name.escape_debug();
    if name.trim().is_empty() {
        Err(Diagnostic::new("a program name cannot be empty", "remove it, or write the program's name"))
    } else if name.contains(['*', '?', '[']) {
        Err(Diagnostic::new(
            format!("`{shown}` is a pattern, and program names are compared as they are"),
            "a protected name also covers itself followed by `-`, `_` or `.`: `goose` covers `goose-acp`",
        ))
    } else if name.contains('/') {
        let base = name.rsplit('/').next().unwrap_or_default();
        Err(Diagnostic::new(
            format!("`{shown}` is a path"),
            format!("write the base name, `{}`", base.escape_debug()),
        ))
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(Diagnostic::new(format!("`{shown}` holds blanks"), "write one program name a string"))
    } else if name.chars().count() < 2 || name.len() > 255 {
        Err(Diagnostic::new(
            format!("`{shown}` is too short or too long for a program name"),
            "write it in full",
        ))
    } else {
        Ok(())
    }
}

/// Checks the shape of a program that may be ended, and returns it without a trailing `*`, which matches any ending and
/// is allowed after a separator only: `my-agent-*` is a family of programs, `my*` could be anything.
fn stem(name: &str) -> Result<&str, Diagnostic> {
    let stem = name.strip_suffix('*').and_then(|stem| stem.strip_suffix(['-', '_', '.'])).unwrap_or(name);
    if stem.contains(['*', '?', '[']) {
        return Err(Diagnostic::new(
            format!("`{}` is a pattern, and program names are compared as they are", name.escape_debug()),
            "a name also covers itself with a version or a target behind it: `goose` covers `goose-1.9.0`; to cover \
             whatever begins so, write `my-agent-*`",
        ));
    }
    shape(stem)?;
    if stem.len() < name.len() && stem.len() < SHORTEST_STEM {
        return Err(Diagnostic::new(
            format!("`{}` would cover whatever begins so", name.escape_debug()),
            format!("write at least {SHORTEST_STEM} letters of the name before the `-*`"),
        ));
    }
    Ok(stem)
}

/// Checks a program that a profile would end.
pub(super) fn program<'a>(
    name: &str,
    with_arg: Option<&str>,
    protect: impl IntoIterator<Item = &'a str>,
) -> Result<(), Diagnostic> {
    let stem = stem(name)?;
    interpreter(stem)?;
    if let Some((protected, reason)) = built_in_protection(stem) {
        return Err(protected_program(name, protected, Some(reason)));
    }
    if let Some(protected) =
        protect.into_iter().find(|protected| program::names_widely(protected, stem.as_bytes()))
    {
        return Err(protected_program(name, protected, None));
    }
    let common = SHELLS.contains(&stem) || COMMON_NAMES.contains(&stem);
    if common && with_arg.is_none_or(|arg| arg.len() < 4) {
        return Err(Diagnostic::new(
            format!("`{name}` tells no program from another"),
            format!("say which one by an argument: {{ name = \"{name}\", with-arg = \"/my-agent/\" }}"),
        ));
    }
    if with_arg.is_some_and(str::is_empty) {
        return Err(Diagnostic::new(
            "`with-arg` cannot be empty",
            "remove it, or write a piece of an argument",
        ));
    }
    Ok(())
}

/// The built-in protection that covers a name.
pub(super) fn built_in_protection(name: &str) -> Option<(&'static str, &'static str)> {
    PROTECTED.iter().find(|(protected, _)| program::names_widely(protected, name.as_bytes())).copied()
}

fn protected_program(name: &str, protected: &str, reason: Option<&str>) -> Diagnostic {
    let rule = if name == protected { String::new() } else { format!(" (by `{protected}`)") };
    let because = reason.map(|reason| format!(": it {reason}")).unwrap_or_default();
    Diagnostic::new(
        format!("`{name}` is a protected program{rule}{because}"),
        "a protected program is never ended; remove it here",
    )
}

fn interpreter(name: &str) -> Result<(), Diagnostic> {
    if program::is_interpreter(name.as_bytes()) {
        return Err(Diagnostic::new(
            format!("`{name}` is an interpreter, which says nothing about what it runs"),
            "write the name of the script, module or package it runs",
        ));
    }
    Ok(())
}

/// Checks a program whose children count as orphans.
pub(super) fn adopter(name: &str) -> Result<(), Diagnostic> {
    shape(name)?;
    interpreter(name)?;
    if SHELLS.contains(&name) || LAUNCHERS.contains(&name) {
        return Err(Diagnostic::new(
            format!("`{name}` starts what runs beneath it, so a child of it is no orphan"),
            "name a program that adopts processes it did not start, such as `conmon`",
        ));
    }
    Ok(())
}

/// Checks a program that only starts another.
pub(super) fn wrapper(name: &str) -> Result<(), Diagnostic> {
    shape(name)?;
    if !matches!(name, "bun" | "bunx" | "deno") {
        interpreter(name)?;
    }
    match built_in_protection(name) {
        Some((protected, reason)) => Err(protected_program(name, protected, Some(reason))),
        None => Ok(()),
    }
}

/// Checks the name of a variable that identifies the launcher of a process.
pub(super) fn variable(name: &str) -> Result<(), Diagnostic> {
    let shown = name.escape_debug();
    if name.is_empty() {
        Err(Diagnostic::new("a variable needs a name", "write NAME or NAME=VALUE"))
    } else if name.contains('=') {
        Err(Diagnostic::new(format!("`{shown}` holds `=`"), "write the variable's name only"))
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(Diagnostic::new(format!("`{shown}` is not a variable's name"), "write NAME or NAME=VALUE"))
    } else if GENERIC_VARIABLES.contains(&name)
        || GENERIC_BEGINNINGS.iter().any(|head| name.starts_with(head))
    {
        Err(Diagnostic::new(
            format!("`{name}` proves nothing: people, shells or several tools set it"),
            "use a variable that only your launcher sets",
        ))
    } else if name == KEEP {
        Err(Diagnostic::new(format!("`{name}` keeps a process from being touched"), "use another variable"))
    } else {
        Ok(())
    }
}

/// Parses `NAME` or `NAME=VALUE`. A required variable only narrows the match, so that a common one is allowed there.
pub(super) fn marker(text: &str, narrows: bool) -> Result<Marker, Diagnostic> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match variable(name) {
        Err(_) if narrows && GENERIC_VARIABLES.contains(&name) && value.is_some() => {}
        other => other?,
    }
    if value.is_some_and(|value| value.is_empty() || value.contains('\0')) {
        return Err(Diagnostic::new(
            format!("`{}` asks for a value that cannot be distinguished from none", text.escape_debug()),
            format!("write `{name}` for any value, or `{name}=VALUE`"),
        ));
    }
    let value = value.map(|value| value.as_bytes().to_vec().into());
    Ok(Marker { name: name.to_owned().into(), value, evidence: None })
}
