//! Config, state and runtime directories, derived from the environment by the rules of each system.

use super::diagnostics::{ConfigError, Diagnostic};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directories of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Holds `config.toml`.
    pub config: PathBuf,
    /// Holds sightings and history; survives a reboot.
    pub state: PathBuf,
    /// Holds the lock and the socket; removed at the end of the session.
    pub runtime: PathBuf,
}

/// The system whose rules for directories apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// The XDG base directories.
    Xdg,
    /// `~/Library`.
    MacOs,
}

impl System {
    /// The system this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") { Self::MacOs } else { Self::Xdg }
    }
}

impl Paths {
    /// Derives the directories from an environment. Relative paths are ignored, as the XDG specification demands.
    ///
    /// # Errors
    /// When neither the specific variable nor `HOME` is set.
    pub fn from_env(env: &[(OsString, OsString)], uid: u32, system: System) -> Result<Self, ConfigError> {
        let get = |name: &str| {
            let (_, value) = env.iter().find(|(known, _)| known == name)?;
            Some(PathBuf::from(value)).filter(|path| path.is_absolute())
        };
        let home = |variable: &str, below: &str| match get("HOME") {
            Some(home) => Ok(home.join(below)),
            None => Err(Diagnostic::new(
                format!("neither `{variable}` nor `HOME` holds an absolute path"),
                format!("set {variable} (in a container: to a volume that this user can write), or HOME"),
            )
            .about(variable)),
        };
        match system {
            System::Xdg => {
                let config = match get("XDG_CONFIG_HOME") {
                    Some(path) => path.join("reaper"),
                    // A system service of root has no home directory, nor has a user in a container image of one file.
                    None => {
                        home("XDG_CONFIG_HOME", ".config/reaper").unwrap_or_else(|_| "/etc/reaper".into())
                    }
                };
                let state = match get("XDG_STATE_HOME") {
                    Some(path) => path.join("reaper"),
                    None if uid == 0 && get("HOME").is_none() => PathBuf::from("/var/lib/reaper"),
                    None => home("XDG_STATE_HOME", ".local/state/reaper")?,
                };
                let runtime = match get("XDG_RUNTIME_DIR") {
                    Some(path) => path.join("reaper"),
                    None if uid == 0 => PathBuf::from("/run/reaper"),
                    None => state.join("run"),
                };
                Ok(Self { config, state, runtime })
            }
            System::MacOs => {
                let support = home("HOME", "Library/Application Support/reaper")?;
                // Not below `$TMPDIR`: macOS removes files there that were not used for three days (dirhelper(8)), and
                // without the lock file a second service could take the lock.
                let runtime = support.join("run");
                Ok(Self { config: support.clone(), state: support, runtime })
            }
        }
    }

    /// The directories of the service for all users, which has no home. They differ from those of root's logins.
    #[must_use]
    pub fn of_all_users() -> Self {
        Self {
            config: PathBuf::from("/etc/reaper"),
            state: PathBuf::from("/var/lib/reaper"),
            runtime: PathBuf::from("/run/reaper"),
        }
    }

    /// The user's config file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The control socket of the service.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// A file in the state directory.
    #[must_use]
    pub fn state_file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.state.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Paths, System};
    use std::ffi::OsString;

    fn paths(env: &[(&str, &str)], uid: u32, system: System) -> Result<[String; 3], String> {
        let env: Vec<(OsString, OsString)> = env.iter().map(|(k, v)| (k.into(), v.into())).collect();
        Paths::from_env(&env, uid, system)
            .map(|p| [p.config, p.state, p.runtime].map(|path| path.display().to_string()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn directories_follow_the_rules_of_the_system() {
        let home = ("HOME", "/h");
        let xdg = System::Xdg;
        type Row<'a> = (&'a [(&'a str, &'a str)], u32, System, [&'a str; 3]);
        let rows: &[Row<'_>] = &[
            (
                &[home],
                1000,
                xdg,
                ["/h/.config/reaper", "/h/.local/state/reaper", "/h/.local/state/reaper/run"],
            ),
            (
                &[home, ("XDG_CONFIG_HOME", "/c"), ("XDG_RUNTIME_DIR", "/run/user/1")],
                1,
                xdg,
                ["/c/reaper", "/h/.local/state/reaper", "/run/user/1/reaper"],
            ),
            (
                &[home, ("XDG_CONFIG_HOME", "relative")],
                0,
                xdg,
                ["/h/.config/reaper", "/h/.local/state/reaper", "/run/reaper"],
            ),
            (&[], 0, xdg, ["/etc/reaper", "/var/lib/reaper", "/run/reaper"]),
            (
                &[home, ("TMPDIR", "/t")],
                501,
                System::MacOs,
                [
                    "/h/Library/Application Support/reaper",
                    "/h/Library/Application Support/reaper",
                    "/h/Library/Application Support/reaper/run",
                ],
            ),
        ];
        for (env, uid, system, expected) in rows {
            assert_eq!(paths(env, *uid, *system).unwrap(), *expected, "{env:?}");
        }
    }

    #[test]
    fn a_system_service_is_where_root_looks_for_it() {
        assert_eq!(Paths::from_env(&[], 0, System::Xdg).unwrap(), Paths::of_all_users());
    }

    #[test]
    fn without_a_home_the_missing_variable_is_named() {
        let error = paths(&[], 1000, System::Xdg).unwrap_err();
        assert!(error.contains("neither `XDG_STATE_HOME` nor `HOME` holds an absolute path"), "{error}");
    }

    #[test]
    fn an_image_without_homes_needs_two_variables_only() {
        let image = [("XDG_STATE_HOME", "/state"), ("XDG_RUNTIME_DIR", "/run")];
        let expected = ["/etc/reaper", "/state/reaper", "/run/reaper"];
        assert_eq!(paths(&image, 1000, System::Xdg).unwrap(), expected);
    }
}
