//! The sources of settings, in increasing precedence: the system's file, the user's file, the environment, the flags.
//!
//! A file that was named explicitly replaces both files, and must exist; the usual ones may be missing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reaper_engine::failure::Failure;
use reaper_engine::trusted_file::{self, Distrust, NotOpened, Writers};
use reaper_lease::{KEEP, MANAGED, OWNER};
use reaper_platform::{Gid, Uid};

use super::diagnostics::{ConfigError, Diagnostic, Location, Warning, nearest};
use super::document::Fault;
use super::keys::KEYS;

/// The variable that names a config file to read instead of the usual ones, as `--config`.
pub(crate) const CONFIG: &str = "REAPER_CONFIG";
/// Variables that begin like settings but mark processes.
pub(crate) const MARKERS: [&str; 3] = [MANAGED, OWNER, KEEP];

/// The system's config file.
pub const SYSTEM: &str = "/etc/reaper/config.toml";
/// Largest config file, in bytes; a larger one is a mistake.
const LARGEST: u64 = 1024 * 1024;
const CANNOT_READ: &str = "could not read config file";

/// All inputs from outside the program that determine its settings.
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
    /// The uid of the user who may have written the files, besides root.
    pub uid: u32,
    /// The primary gid of that user.
    pub primary_gid: u32,
}

impl Sources {
    /// The files to read, in increasing precedence.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match self.named() {
            Some(path) => vec![path],
            None => {
                let mut files: Vec<_> =
                    [Some(self.system.clone()), self.user.clone()].into_iter().flatten().collect();
                // For a system service, which has no home directory, both are the same.
                files.dedup();
                files
            }
        }
    }

    fn named(&self) -> Option<PathBuf> {
        self.explicit.clone().or_else(|| {
            let (_, value) = self.env.iter().find(|(name, _)| name == CONFIG)?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        })
    }
}

/// Settings from the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--grace`.
    pub grace: Option<Duration>,
    /// `--profile`: only these profiles; empty for those the config has in force.
    pub profiles: Vec<String>,
}

/// One file as read.
#[derive(Debug)]
pub(super) struct FileText {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl FileText {
    /// The error for a fault in this file.
    pub(super) fn invalid(&self, fault: Fault) -> ConfigError {
        let location = Location::new(&self.path, &self.text, fault.span, fault.diagnostic);
        ConfigError::Invalid(Box::new(location))
    }
}

/// The layers that were read. Flags are passed separately.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// In increasing precedence.
    pub(super) files: Vec<FileText>,
    /// The values of variables that set a key, by name.
    pub(super) variables: BTreeMap<&'static str, String>,
    pub(super) warnings: Vec<Warning>,
}

/// Reads the files and the variables.
pub(super) fn read(sources: &Sources) -> Result<Layers, ConfigError> {
    let mut layers = Layers::default();
    read_variables(&sources.env, &mut layers)?;
    let writers = Writers::UserAndRoot(Uid(sources.uid), Gid(sources.primary_gid));
    let must_exist = sources.named().is_some();
    for path in sources.files() {
        match read_text(&path, writers)? {
            Some(text) => layers.files.push(FileText { path, text }),
            None if must_exist => {
                let hint = "`reaper config example` writes one to start from";
                let missing = Failure::new(CANNOT_READ).at(path).because("there is no such file");
                return Err(ConfigError::Read(missing.hint(hint)));
            }
            None => {}
        }
    }
    Ok(layers)
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

/// Selects our variables from an environment. Of duplicates the first counts, as for `getenv`.
fn read_variables(env: &[(OsString, OsString)], layers: &mut Layers) -> Result<(), ConfigError> {
    let known = || std::iter::once(CONFIG).chain(KEYS.iter().map(|key| key.variable));
    for (name, value) in env {
        let Some(name) = name.to_str().filter(|name| name.starts_with("REAPER_")) else { continue };
        match known().find(|known| *known == name) {
            Some(known) => {
                let value = value.to_str().ok_or_else(|| {
                    Diagnostic::new("not valid UTF-8", "set it to plain text, or unset it").about(known)
                })?;
                layers.variables.entry(known).or_insert_with(|| value.to_owned());
            }
            None if MARKERS.contains(&name) => {}
            None => {
                let message = format!("environment variable `{}` sets nothing", name.escape_debug());
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
                };
                layers.warnings.push(Warning::new(message, hint));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn a_file_that_is_system_and_user_file_is_read_once() {
        let sources = Sources { system: SYSTEM.into(), user: Some(SYSTEM.into()), ..Sources::default() };
        assert_eq!(sources.files(), [PathBuf::from(SYSTEM)]);
        let two = Sources { user: Some("/home/alice/.config/reaper/config.toml".into()), ..sources };
        assert_eq!(two.files().len(), 2);
    }

    fn vars(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn read_vars(env: Vec<(OsString, OsString)>) -> Result<Layers, ConfigError> {
        read(&Sources { env, ..Sources::default() })
    }

    #[test]
    fn settings_are_read_markers_ignored_and_unknown_names_warned_about() {
        let layers = read_vars(vars(&[
            ("REAPER_GRACE", "5s"),
            ("REAPER_OWNER", "1:2:3"),
            ("REAPER_GRCE", "9s"),
            ("HOME", "/root"),
        ]))
        .unwrap();
        assert_eq!(layers.variables, BTreeMap::from([("REAPER_GRACE", "5s".to_owned())]));
        let warnings: Vec<_> = layers.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            ["environment variable `REAPER_GRCE` sets nothing\nhint: did you mean `REAPER_GRACE`?"]
        );
    }

    #[test]
    fn invalid_utf8_is_refused_only_in_our_variables() {
        let raw = OsString::from_vec(vec![0xff]);
        assert!(read_vars(vec![("PATH".into(), raw.clone())]).is_ok());
        let error = read_vars(vec![("REAPER_USE".into(), raw)]).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable `REAPER_USE`: not valid UTF-8\nhint: set it to plain text, or unset it"
        );
    }
}
