//! The environment variables that set something, each with the key it stands for.
//!
//! `REAPER_MANAGED`, `REAPER_OWNER` and `REAPER_KEEP` are not among them: those mark processes, they set nothing.

use super::error::{ConfigError, Warning, nearest};
use std::ffi::OsString;

/// A config file to read instead of the usual ones, as `--config`.
pub const CONFIG: &str = "REAPER_CONFIG";
/// Time between two sweeps of the service, as `interval`.
pub const INTERVAL: &str = "REAPER_INTERVAL";
/// How long a process must have been seen orphaned, as `grace`.
pub const GRACE: &str = "REAPER_GRACE";
/// Time from SIGTERM to SIGKILL, as `term-timeout`.
pub const TERM_TIMEOUT: &str = "REAPER_TERM_TIMEOUT";
/// Time to wait after SIGKILL, as `kill-timeout`.
pub const KILL_TIMEOUT: &str = "REAPER_KILL_TIMEOUT";
/// `process` or `tree`, as `reach`.
pub const REACH: &str = "REAPER_REACH";
/// Most processes ended in one sweep, as `max-targets`.
pub const MAX_TARGETS: &str = "REAPER_MAX_TARGETS";
/// `true` or `false`, as `keep-listeners`.
pub const KEEP_LISTENERS: &str = "REAPER_KEEP_LISTENERS";
/// Built-in profiles to apply, separated by commas, as `use`.
pub const USE: &str = "REAPER_USE";
/// More protected programs, separated by commas, as `protect`.
pub const PROTECT: &str = "REAPER_PROTECT";
/// More adopters, separated by commas, as `adopters`.
pub const ADOPTERS: &str = "REAPER_ADOPTERS";
/// Wrapper programs, separated by commas, as `wrappers`.
pub const WRAPPERS: &str = "REAPER_WRAPPERS";
/// How much the service logs, as `log-level`. `RUST_LOG` and `-v` win over it.
pub const LOG_LEVEL: &str = "REAPER_LOG_LEVEL";
/// `auto`, `journal`, `text` or `json`, as `log-format`.
pub const LOG_FORMAT: &str = "REAPER_LOG_FORMAT";
/// `true` or `false`, as `notify`.
pub const NOTIFY: &str = "REAPER_NOTIFY";
/// The file that metrics are written to, as `textfile` of `[metrics]`; empty for none.
pub const METRICS_TEXTFILE: &str = "REAPER_METRICS_TEXTFILE";
/// The address that metrics are served on, as `listen` of `[metrics]`; empty for none.
pub const METRICS_LISTEN: &str = "REAPER_METRICS_LISTEN";

/// Marks a process as started by a launcher that uses our own profile.
pub const MANAGED: &str = "REAPER_MANAGED";
/// Names the process that owns this one.
pub const OWNER: &str = "REAPER_OWNER";
/// Keeps a process from being touched.
pub const KEEP: &str = "REAPER_KEEP";

/// Every variable that sets something.
pub const SETTINGS: [&str; 17] = [
    CONFIG,
    INTERVAL,
    GRACE,
    TERM_TIMEOUT,
    KILL_TIMEOUT,
    REACH,
    MAX_TARGETS,
    KEEP_LISTENERS,
    USE,
    PROTECT,
    ADOPTERS,
    WRAPPERS,
    LOG_LEVEL,
    LOG_FORMAT,
    NOTIFY,
    METRICS_TEXTFILE,
    METRICS_LISTEN,
];
/// Every variable that marks a process and sets nothing.
pub const MARKERS: [&str; 3] = [MANAGED, OWNER, KEEP];

/// The settings found in an environment, in the order of [`SETTINGS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvLayer {
    values: Vec<(&'static str, String)>,
    pub(super) warnings: Vec<Warning>,
}

impl EnvLayer {
    /// Picks our variables out of an environment.
    pub(super) fn from_vars(vars: &[(OsString, OsString)]) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (name, value) in vars {
            let Some(name) = name.to_str().filter(|name| name.starts_with("REAPER_")) else { continue };
            let Some(known) = SETTINGS.into_iter().find(|known| *known == name) else {
                if !MARKERS.contains(&name) {
                    layer.warnings.push(unknown(name));
                }
                continue;
            };
            let value = value.to_str().ok_or_else(|| {
                super::error::Complaint::new("not valid UTF-8", "set it to plain text, or unset it")
                    .about(known)
            })?;
            layer.values.push((known, value.to_owned()));
        }
        Ok(layer)
    }

    /// The value of one setting.
    pub(super) fn get(&self, variable: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.as_str())
    }
}

fn unknown(name: &str) -> Warning {
    let message = format!("environment variable `{}` sets nothing", name.escape_debug());
    match nearest(name, SETTINGS) {
        Some(near) => Warning::new(message, format!("did you mean `{near}`?")),
        None => Warning::new(message, format!("known: {}", SETTINGS.join(", "))),
    }
}

impl super::error::Complaint {
    /// The same complaint, about an environment variable.
    pub(super) fn about(self, variable: &str) -> ConfigError {
        ConfigError::Env { variable: variable.to_owned(), complaint: self }
    }
}

#[cfg(test)]
mod tests {
    use super::EnvLayer;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn vars(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn settings_are_read_markers_ignored_and_strangers_pointed_out() {
        let layer = EnvLayer::from_vars(&vars(&[
            ("REAPER_GRACE", "5s"),
            ("REAPER_OWNER", "1:2:3"),
            ("REAPER_GRCE", "9s"),
            ("HOME", "/root"),
        ]))
        .unwrap();
        assert_eq!(layer.get(super::GRACE), Some("5s"));
        assert_eq!(layer.get(super::INTERVAL), None);
        let warnings: Vec<_> = layer.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            ["environment variable `REAPER_GRCE` sets nothing\nhint: did you mean `REAPER_GRACE`?"]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_only_in_our_variables() {
        let raw = OsString::from_vec(vec![0xff]);
        assert!(EnvLayer::from_vars(&[("PATH".into(), raw.clone())]).is_ok());
        let error = EnvLayer::from_vars(&[("REAPER_USE".into(), raw)]).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable `REAPER_USE`: not valid UTF-8\nhint: set it to plain text, or unset it"
        );
    }
}
