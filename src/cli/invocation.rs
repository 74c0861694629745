//! The context of every command: the host, the environment and the sources of settings.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use reaper_engine::sightings::Sightings;
use reaper_engine::state_dir::StateDir;
use reaper_platform::{Clock, Host as _, NativeHost, Scope};

use super::args::Global;
use super::exit::{CommandError, Exit};
use super::output::Output;
use crate::config::{ConfigError, Overrides, SYSTEM_FILE, Settings, Sources, paths};

/// The context of a command.
pub(super) struct Invocation {
    pub(super) host: Arc<NativeHost>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) sources: Sources,
    pub(super) verbose: bool,
}

impl Invocation {
    pub(super) fn new(global: &Global) -> Result<Self, CommandError> {
        let host = Arc::new(NativeHost::new()?);
        let env: Vec<_> = std::env::vars_os().collect();
        let here = host.info();
        let paths = paths::Paths::from_env(&env, here.uid.0, paths::System::current());
        let sources = Sources {
            system: SYSTEM_FILE.into(),
            user: paths.ok().map(|p| p.config_file()),
            explicit: global.config.clone(),
            env: env.clone(),
            uid: here.uid.0,
            primary_gid: here.gid.0,
        };
        Ok(Self { host, env, sources, verbose: global.verbose })
    }

    pub(super) fn settings(&self, overrides: &Overrides, out: &Output) -> Result<Settings, ConfigError> {
        let settings = crate::config::load(&self.sources, overrides)?;
        for warning in settings.warnings() {
            out.warn(warning);
        }
        Ok(settings)
    }

    /// Which users' processes are covered: our own, or with `--all-users` those of all users.
    pub(super) fn scope(&self, all_users: bool) -> Result<Scope, CommandError> {
        let uid = self.host.info().uid;
        match (all_users, uid.0) {
            (true, 0) => Ok(Scope::Everyone),
            (true, _) => Err(CommandError::new(
                Exit::Usage,
                "--all-users needs root: other users' markers cannot be read otherwise",
                "leave it out to look at your own processes, or run this with sudo",
            )),
            (false, _) => Ok(Scope::User(uid)),
        }
    }

    pub(super) fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    pub(super) fn paths(&self) -> Result<paths::Paths, ConfigError> {
        paths::Paths::from_env(&self.env, self.host.info().uid.0, paths::System::current())
    }

    /// Loads the sightings for a command that writes nothing. Errors are warnings.
    pub(super) fn sightings(&self, clock: &Clock, out: &Output) -> Sightings {
        let Ok(paths) = self.paths() else { return Sightings::default() };
        let state: &Path = &paths.state;
        match StateDir::open(state, self.host.info().uid) {
            Ok(Some(state)) => {
                let (sightings, warning) = Sightings::load(&state, self.host.info(), clock, false);
                if let Some(warning) = warning {
                    out.warn(warning);
                }
                sightings
            }
            Ok(None) => Sightings::default(),
            Err(e) => {
                out.warn(e);
                Sightings::default()
            }
        }
    }
}
