//! Where settings come from, weakest first: the system's file, the user's file, the environment, the flags.
//!
//! A file that was named explicitly stands for both files, and must exist; the usual ones may be missing.

use super::env::{self, EnvLayer};
use super::error::{Complaint, ConfigError, Place};
use super::file::{self, FileConfig};
use super::guard::{self, Trust};
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The system's config file.
pub const SYSTEM: &str = "/etc/reaper/config.toml";

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
    let trust = Trust { uid: sources.uid, gid: sources.primary_gid };
    let must_exist = sources.named().is_some();
    let mut files = Vec::new();
    for path in sources.files() {
        match guard::read(&path, trust)? {
            Some(text) => files.push(FileLayer::parse(&path, text)?),
            None if must_exist => {
                let hint = "`reaper config example` writes one to start from".to_owned();
                let source = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
                return Err(ConfigError::Read { path, source, hint: Some(hint) });
            }
            None => {}
        }
    }
    Ok(Layers { files, env })
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
