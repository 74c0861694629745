//! Installs the service with the user's service manager: which file goes where, and which commands follow.
//!
//! Pure planning: facts go in, steps come out, for either service manager on either system. `cli/service.rs` carries
//! them out.

pub mod launchd;
pub mod ownership;
pub mod request;
pub mod status;
pub mod systemd;

use std::path::{Path, PathBuf};

use ownership::Found;
use request::{Call, Refusal, Wish};

/// The service manager that runs the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The user's `systemd --user`.
    Systemd,
    /// launchd, as an agent of the user.
    Launchd,
}

impl Manager {
    /// The service manager of the system that this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }
}

/// One step of an installation or removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file as a whole.
    Write {
        /// Its path.
        path: PathBuf,
        /// Its text.
        text: String,
    },
    /// Remove a file.
    Remove(PathBuf),
    /// Run a command.
    Run(Call),
    /// Nothing to do, and why.
    Say(String),
}

/// What is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// At the path of our file.
    pub file: Found,
    /// A unit of a package that runs this very program; systemd only.
    pub packaged: Option<PathBuf>,
}

/// The path of our file.
#[must_use]
pub fn place(manager: Manager, wish: &Wish) -> PathBuf {
    match manager {
        Manager::Systemd => systemd::place(wish),
        Manager::Launchd => launchd::place(wish),
    }
}

/// The text of our file.
///
/// # Errors
/// When the program's or the config's path cannot be written in it.
pub fn text(manager: Manager, wish: &Wish) -> Result<String, Refusal> {
    match manager {
        Manager::Systemd => Ok(ownership::seal(&systemd::text(wish)?, ownership::Comment::Hash)),
        Manager::Launchd => Ok(ownership::seal(&launchd::text(wish)?, ownership::Comment::Xml)),
    }
}

/// The steps that install the service and start it, now and at each login. Idempotent.
///
/// # Errors
/// When a file that reaper did not write, or that was edited since, is in the way.
pub fn install(manager: Manager, wish: &Wish, present: &Present) -> Result<Vec<Step>, Refusal> {
    let path = place(manager, wish);
    let mut steps = Vec::new();
    let text = text(manager, wish)?;
    match (&present.file, &present.packaged) {
        // A file of our own would shadow it, and miss the changes of the package's next version.
        (Found::Nothing, Some(packaged)) if wish.config.is_none() => {
            steps.push(Step::Say(format!("the unit is there: {}", packaged.display())));
        }
        (Found::Own(there), _) if *there == text => {
            steps.push(Step::Say(format!("the file is there: {}", path.display())));
        }
        (Found::Nothing | Found::Own(_), _) => steps.push(Step::Write { path: path.clone(), text }),
        (found, _) => return Err(foreign(found, &path, "overwrite")),
    }
    let calls = match manager {
        Manager::Systemd => systemd::enable(),
        Manager::Launchd => launchd::enable(wish.uid, &path),
    };
    steps.extend(calls.into_iter().map(Step::Run));
    Ok(steps)
}

/// The steps that stop and remove the service. Its state and settings stay.
///
/// # Errors
/// When the file is not, or not any more, what `install` wrote.
pub fn uninstall(manager: Manager, wish: &Wish, present: &Present) -> Result<Vec<Step>, Refusal> {
    let path = place(manager, wish);
    let remove = match (&present.file, &present.packaged) {
        (Found::Nothing, None) => {
            return Ok(vec![Step::Say(format!("nothing to remove: there is no {}", path.display()))]);
        }
        (Found::Nothing, Some(packaged)) => {
            Step::Say(format!("the unit belongs to a package, and stays: {}", packaged.display()))
        }
        (Found::Own(_), _) => Step::Remove(path.clone()),
        (found, _) => return Err(foreign(found, &path, "remove")),
    };
    let (before, after) = match manager {
        Manager::Systemd => systemd::disable(),
        Manager::Launchd => launchd::disable(wish.uid),
    };
    let before = before.into_iter().map(Step::Run);
    Ok(before.chain([remove]).chain(after.into_iter().map(Step::Run)).collect())
}

fn foreign(found: &Found, path: &Path, verb: &str) -> Refusal {
    let path = path.display();
    match found {
        Found::Changed => Refusal::new(
            format!("will not {verb} `{path}`: it was changed after `reaper service install` wrote it"),
            format!(
                "move it away, then run this again; your changes are better kept beside it, in a drop-in \
                 (systemctl --user edit), where no update touches them: mv '{path}' '{path}.mine'"
            ),
        ),
        Found::Link(target) => Refusal::new(
            format!("will not {verb} `{path}`: it is a symbolic link to `{}`", target.display()),
            if target == Path::new("/dev/null") {
                "it is masked, so that it cannot be started. `systemctl --user unmask reaper.service` \
                 undoes that"
                    .to_owned()
            } else {
                format!(
                    "reaper did not make this link, and leaves the service to the tool that did; to let reaper manage it: rm '{path}'"
                )
            },
        ),
        _ => Refusal::new(
            format!("will not {verb} `{path}`: `reaper service install` did not write it"),
            format!("if you do not want it any more: mv '{path}' '{path}.mine', then run this again"),
        ),
    }
}

#[cfg(test)]
mod tests;
