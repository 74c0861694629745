//! Which files may tell us what to end: nobody but the user and root may have written them.
//!
//! Checked on the opened file, so that what was judged is what is read, and on its folder, because whoever owns
//! that can put another file in its place.

use super::diagnostics::ConfigError;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// No config is longer; a larger file is a mistake.
const LARGEST: u64 = 1024 * 1024;
const STICKY: u32 = 0o1000;

/// Whom we trust: root, and this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Reads a file that only `trust` could have written; `None` when there is no such file.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source, hint: None };
    let refused = |why: String, hint: &str| ConfigError::Refused {
        path: path.to_owned(),
        why,
        hint: hint.replace("{}", &path.to_string_lossy()),
    };
    // Asked before opening, because opening a pipe waits for a writer.
    match fs::metadata(path) {
        Ok(facts) if !facts.is_file() => {
            return Err(refused("not a regular file".to_owned(), "name a TOML file"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(refused("not a regular file".to_owned(), "name a TOML file"));
    }
    if let Some((why, hint)) = distrust(&facts, trust) {
        return Err(refused(why, hint));
    }
    // Both the folder of the name and that of the file behind a link can be used to swap it.
    let real = fs::canonicalize(path).map_err(failed)?;
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let facts = fs::metadata(folder).map_err(failed)?;
        if let Some(why) = distrust_folder(&facts, trust) {
            return Err(refused(
                format!("its folder `{}` {why}", folder.display()),
                "move the file to a folder that only you can write; in a pod, mount the file alone (`subPath`)",
            ));
        }
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(refused(
            "larger than 1 MiB".to_owned(),
            "name a config file; `reaper config example` shows one",
        ));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(format!("not valid UTF-8 at byte {at}"), "save the file as UTF-8")
    })
}

fn distrust(facts: &Metadata, trust: Trust) -> Option<(String, &'static str)> {
    let (owner, mode) = (facts.uid(), facts.mode());
    if owner != trust.uid && owner != 0 {
        Some((
            format!("owned by uid {owner}, neither you (uid {}) nor root", trust.uid),
            "copy it, then check it",
        ))
    } else if mode & 0o002 != 0 {
        Some((format!("anyone can write it (mode {:04o})", mode & 0o7777), "run `chmod o-w '{}'`"))
    } else if mode & 0o020 != 0 && facts.gid() != trust.gid {
        let why = format!(
            "group {} can write it (mode {:04o}), not your primary group",
            facts.gid(),
            mode & 0o7777
        );
        Some((why, "run `chmod g-w '{}'`"))
    } else {
        None
    }
}

fn distrust_folder(facts: &Metadata, trust: Trust) -> Option<String> {
    let (owner, mode) = (facts.uid(), facts.mode());
    if owner != trust.uid && owner != 0 {
        Some(format!("is owned by uid {owner}, neither you (uid {}) nor root", trust.uid))
    } else if mode & 0o002 != 0 && mode & STICKY == 0 {
        Some(format!("can be written by anyone (mode {:04o})", mode & 0o7777))
    } else if mode & 0o020 != 0 && mode & STICKY == 0 && facts.gid() != trust.gid {
        Some(format!("can be written by group {} (mode {:04o})", facts.gid(), mode & 0o7777))
    } else {
        None
    }
}
