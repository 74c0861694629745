//! The launchd agent: its file, and the commands of `launchctl`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::request::{Call, Refusal, Wish};

/// The agent as the packages ship it.
const AGENT: &str = include_str!("../../packaging/launchd/reaper.plist");
/// Its label.
pub const LABEL: &str = "reaper";
/// Placeholders in the template for this program and for the user's home.
const PROGRAM: &str = "@REAPER@";
const HOME: &str = "@HOME@";
/// How long loading is retried: `launchctl bootout` returns before the agent has ended, and until then it cannot be
/// loaded again. The service stops within seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The path of our file.
pub(super) fn place(wish: &Wish) -> PathBuf {
    wish.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
}

/// The text of our file.
pub(super) fn text(wish: &Wish) -> Result<String, Refusal> {
    let program = escaped(&wish.program)?;
    let arguments = match &wish.config {
        // Each argument is a string of its own, at the same indentation as the first.
        Some(config) => {
            let string = |text: &str| format!("</string>\n        <string>{text}");
            format!("{program}{}{}", string("--config"), string(&escaped(config)?))
        }
        None => program,
    };
    let home = escaped(&wish.home)?;
    Ok(without_instructions(AGENT).replace(PROGRAM, &arguments).replace(HOME, &home))
}

/// The template without its comment on how to fill it in, since not every path may stand in an XML comment.
fn without_instructions(text: &str) -> String {
    match (text.find("<!--"), text.find("<plist")) {
        (Some(comment), Some(body)) if comment < body => {
            let (head, rest) = text.split_at(comment);
            head.to_owned() + rest.get(body - comment..).unwrap_or_default()
        }
        _ => text.to_owned(),
    }
}

fn escaped(path: &Path) -> Result<String, Refusal> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
        Refusal::new(
            format!("the path `{}` cannot be written in a property list", path.display()),
            "move it to a path of plain text",
        )
    })?;
    Ok(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

fn launchctl<const N: usize>(args: [&str; N]) -> Call {
    Call::new("launchctl", args)
}

/// The agent's service target: agents belong to the user's login on the desktop (domain `gui`).
fn target(uid: u32) -> String {
    format!("gui/{uid}/{LABEL}")
}

/// The commands that load the agent. A loaded one is unloaded first: launchd reads a file only when it loads it.
pub(super) fn enable(uid: u32, path: &Path) -> Vec<Call> {
    let target = target(uid);
    vec![
        launchctl(["bootout", &target]).may_fail(),
        launchctl(["enable", &target]),
        launchctl(["bootstrap", &format!("gui/{uid}"), &path.to_string_lossy()]).patient(PATIENCE),
    ]
}

/// The commands before the file is removed, and after.
pub(super) fn disable(uid: u32) -> (Vec<Call>, Vec<Call>) {
    (vec![launchctl(["bootout", &target(uid)]).may_fail()], Vec::new())
}

/// The command whose output [`super::status`] reads.
#[must_use]
pub fn ask(uid: u32) -> Call {
    launchctl(["print", &target(uid)])
}
