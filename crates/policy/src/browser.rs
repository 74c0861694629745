//! Browsers that no person is using: headless ones, and those with a temporary profile.

use crate::program::{self, Identity, Names};
use crate::protected as rules;

/// Whether a process is a headless browser or one with a temporary profile.
#[must_use]
pub fn is_throw_away_browser(identity: &Identity<'_>, argv: &[Vec<u8>]) -> bool {
    let names = Names::of(identity);
    if program::find(&names, rules::HEADLESS_PROGRAMS).is_some() {
        return true;
    }
    if program::find(&names, rules::BROWSERS).is_none() {
        return false;
    }
    let args = argv.get(1..).unwrap_or_default();
    let is_headless = |arg: &Vec<u8>| rules::HEADLESS.iter().any(|option| option_of(arg, option).is_some());
    args.iter().any(is_headless) || profile_folders(args).any(is_thrown_away)
}

/// The value after `=` if the argument is this option; empty where it has none.
fn option_of<'a>(arg: &'a [u8], option: &str) -> Option<&'a [u8]> {
    let rest = arg.strip_prefix(option.as_bytes())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"=") }
}

/// The profile folders given by options. All other arguments are pages, whatever they look like.
fn profile_folders(args: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    args.iter().enumerate().filter_map(|(at, arg)| {
        let value = rules::PROFILE_OPTIONS.iter().find_map(|option| option_of(arg, option))?;
        if value.is_empty() { args.get(at + 1).map(Vec::as_slice) } else { Some(value) }
    })
}

fn is_thrown_away(folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    let name = folder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    rules::THROW_AWAY_PROFILES.iter().any(|beginning| name.starts_with(beginning.as_bytes()))
}
