//! Where settings come from, weakest first: the system's file, the user's file, the environment, the flags.
//!
//! A file that was named explicitly stands for both files, and must exist; the usual ones may be missing.

use super::env::{self, EnvLayer};
use super::error::{Complaint, ConfigError, Place};
use super::file::{self, FileConfig};
use reaper_engine::failure::Failure;
use reaper_engine::trusted_file::{self, Distrust, NotOpened, Writers};
use reaper_platform::{Gid, Uid};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The system's config file.
pub const SYSTEM: &str = "/etc/reaper/config.toml";
/// No config is longer; a larger file is a mistake.
const LARGEST: u64 = 1024 * 1024;
const CANNOT_READ: &str = "could not read config file";

/// Everything outside the program that has a say in its settings.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The system's file, usually [`SYSTEM`]; may be missing.
    pub system: PathBuf,
    /// The user's file; may be missing.
    pub user: Option<PathBuf>,
    /// The file of `--config`, which replaces both; must exist. `REAPER_CONFIG` stands in for it.
    pub explicit: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// The user who may have written the files, besides root.
    pub uid: u32,
    /// That user's primary group.
    pub primary_gid: u32,
}

impl Sources {
    /// The files that are looked for, weakest first.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match self.named() {
            Some(path) => vec![path],
            None => {
                let mut files: Vec<_> =
                    [Some(self.system.clone()), self.user.clone()].into_iter().flatten().collect();
                // For a system service, which has no home, they are one.
                files.dedup();
                files
            }
        }
    }

    fn named(&self) -> Option<PathBuf> {
        self.explicit.clone().or_else(|| {
            let (_, value) = self.env.iter().find(|(name, _)| name == env::CONFIG)?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        })
    }
}

/// What the command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--grace`.
    pub grace: Option<Duration>,
    /// `--profile`: only these profiles; empty for those the config has in force.
    pub profiles: Vec<String>,
}

/// One file as read.
#[derive(Debug)]
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) config: FileConfig,
}

impl FileLayer {
    /// Reads a text as if it stood in a file.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        match file::parse(&text) {
            Ok(config) => Ok(Self { path: path.to_owned(), text, config }),
            Err((span, complaint)) => Err(invalid(path, &text, span, complaint)),
        }
    }

    /// The error for something wrong in this file.
    pub(super) fn invalid(&self, span: Range<usize>, complaint: Complaint) -> ConfigError {
        invalid(&self.path, &self.text, span, complaint)
    }
}

fn invalid(path: &Path, text: &str, span: Range<usize>, complaint: Complaint) -> ConfigError {
    ConfigError::Invalid(Box::new(Place::new(path, text, span, complaint)))
}

/// All layers but the flags.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) files: Vec<FileLayer>,
    pub(super) env: EnvLayer,
}

/// Reads every layer.
pub(super) fn read(sources: &Sources) -> Result<Layers, ConfigError> {
    let env = EnvLayer::from_vars(&sources.env)?;
    let writers = Writers::UserAndRoot(Uid(sources.uid), Gid(sources.primary_gid));
    let must_exist = sources.named().is_some();
    let mut files = Vec::new();
    for path in sources.files() {
        match read_text(&path, writers)? {
            Some(text) => files.push(FileLayer::parse(&path, text)?),
            None if must_exist => {
                let hint = "`reaper config example` writes one to start from";
                let missing = Failure::new(CANNOT_READ).at(path).because("there is no such file");
                return Err(ConfigError::Read(missing.hint(hint)));
            }
            None => {}
        }
    }
    Ok(Layers { files, env })
}

/// Reads a file that only `writers` could have written; `None` when there is no such file.
fn read_text(path: &Path, writers: Writers) -> Result<Option<String>, ConfigError> {
    let refused = |why: String, hint: String| {
        ConfigError::Refused(Failure::new("refused config file").at(path).because(why).hint(hint))
    };
    let bytes = match trusted_file::read_settings(path, writers, LARGEST) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => bytes,
        Err(NotOpened::Failed(e)) => {
            return Err(ConfigError::Read(Failure::new(CANNOT_READ).at(path).because(e)));
        }
        Err(NotOpened::Distrusted(why)) => return Err(refused(why.to_string(), remedy(&why, path))),
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(format!("not valid UTF-8 at byte {at}"), "save the file as UTF-8".to_owned())
    })
}

fn remedy(why: &Distrust, path: &Path) -> String {
    match why {
        Distrust::NotAFile | Distrust::Link | Distrust::Names => "name a TOML file".to_owned(),
        Distrust::Owner { .. } => "copy it, then check it".to_owned(),
        Distrust::Anyone(_) => format!("run `chmod o-w '{}'`", path.display()),
        Distrust::Group(..) => format!("run `chmod g-w '{}'`", path.display()),
        Distrust::Directory(..) => {
            "move the file to a folder that only you can write; in a pod, mount the file alone (`subPath`)"
                .to_owned()
        }
        Distrust::LargerThan(_) => "name a config file; `reaper config example` shows one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_both_is_read_once() {
        let sources = Sources { system: SYSTEM.into(), user: Some(SYSTEM.into()), ..Sources::default() };
        assert_eq!(sources.files(), [PathBuf::from(SYSTEM)]);
        let two = Sources { user: Some("/home/alice/.config/reaper/config.toml".into()), ..sources };
        assert_eq!(two.files().len(), 2);
    }
}
