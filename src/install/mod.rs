//! Making the service start by itself: which file goes where, and which commands of the system's own tool follow.
//!
//! Nothing here touches anything: what is found goes in, steps come out, for either service manager on either system.
//! The thin part that carries them out is `cli/service.rs`.

pub mod launchd;
pub mod own;
pub mod request;
pub mod status;
pub mod systemd;

use std::path::{Path, PathBuf};

use own::Found;
use request::{Call, Refusal, Wish};

/// Who is to run the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The user's `systemd --user`.
    Systemd,
    /// launchd, as an agent of the user.
    Launchd,
}

impl Manager {
    /// That of the system this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file as a whole.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Remove a file.
    Remove(PathBuf),
    /// Run a command.
    Run(Call),
    /// Nothing: say why.
    Say(String),
}

/// What is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// At the place where our file goes.
    pub file: Found,
    /// A unit of a package that runs this very program; systemd only.
    pub packaged: Option<PathBuf>,
}

/// Where our file goes.
#[must_use]
pub fn place(manager: Manager, wish: &Wish) -> PathBuf {
    match manager {
        Manager::Systemd => systemd::place(wish),
        Manager::Launchd => launchd::place(wish),
    }
}

/// Our file.
///
/// # Errors
/// When the program's or the config's path cannot be written in it.
pub fn text(manager: Manager, wish: &Wish) -> Result<String, Refusal> {
    match manager {
        Manager::Systemd => Ok(own::seal(&systemd::text(wish)?, own::Comment::Hash)),
        Manager::Launchd => Ok(own::seal(&launchd::text(wish)?, own::Comment::Xml)),
    }
}

/// How the service is made to start by itself, now and from now on. Done twice it comes to the same.
///
/// # Errors
/// When something of somebody else's is in the way.
pub fn install(manager: Manager, wish: &Wish, present: &Present) -> Result<Vec<Step>, Refusal> {
    let path = place(manager, wish);
    let mut steps = Vec::new();
    let text = text(manager, wish)?;
    match (&present.file, &present.packaged) {
        // A file of our own would only shadow it, and miss what the next version of the package brings.
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

/// How the service is stopped and taken away. What it remembers stays, and so do its settings.
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
                "it is masked: somebody wants no such service here. `systemctl --user unmask reaper.service` \
                 takes that back"
                    .to_owned()
            } else {
                format!("whoever made it manages the service; to let reaper do it: rm '{path}'")
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
