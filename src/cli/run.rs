//! `reaper run`: the service in the foreground, for systemd, launchd, a container or a terminal.

use std::sync::Arc;

use reaper_platform::Host as _;

use super::args::Run;
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use crate::config;
use crate::config::{Overrides, Settings};
use crate::doctor;
use crate::service;
use crate::service::lock;
use crate::service::publish::log;
use crate::service::publish::log::Say;
use crate::service::setup::Setup;
use reaper_engine::context::Context;
use reaper_engine::deadline;
use reaper_engine::state_dir::StateDir;

pub fn run(invocation: &Invocation, args: &Run) -> Result<Exit, CommandError> {
    // Warnings of the config are logged by the service, so that they have the format of the log.
    let settings = Arc::new(config::load(&invocation.sources, &Overrides::default())?);
    start_log(invocation, &settings)?;
    let scope = invocation.scope(args.all_users)?;
    let here = invocation.host.info();
    let (mut state, mut runtime, mut socket, mut held) = (None, None, None, None);
    if !args.dry_run {
        if let Some(why) = &here.cannot_signal {
            let what = format!("cannot end processes safely: {why}");
            return Err(CommandError::new(Exit::Failed, what, "`reaper run --dry-run` still works here"));
        }
        let paths = invocation.paths()?;
        let private = StateDir::create(&paths.runtime, here.uid)?;
        held = Some(lock::take(&private)?);
        runtime = Some(private);
        state = Some(StateDir::create(&paths.state, here.uid)?);
        socket = Some(paths.socket());
    }
    let context = Context::new(Arc::clone(&invocation.host), settings.policy(), scope);
    let checks = doctor::quick(&context, invocation.var("MANAGERPID"));
    let sources = invocation.sources.clone();
    let setup = Setup {
        host: Arc::clone(&invocation.host),
        scope,
        settings,
        load: Box::new(move || config::load(&sources, &Overrides::default()).map(Arc::new)),
        state,
        runtime,
        is_paranoid: args.paranoid,
        limit: deadline::LIMIT,
        checks,
    };
    service::run(setup, socket)?;
    drop(held);
    Ok(Exit::Done)
}

/// The log levels: `RUST_LOG` wins over `-v`, and both over the config.
fn start_log(invocation: &Invocation, settings: &Settings) -> Result<(), CommandError> {
    let say = match std::env::var("RUST_LOG") {
        Ok(levels) => Say::Fixed(levels),
        Err(_) if invocation.verbose => Say::Fixed("reaper=debug".to_owned()),
        Err(_) => Say::Config(settings.outputs().log_level().filter()),
    };
    let journal_stream = std::env::var("JOURNAL_STREAM").ok();
    let form = log::form(settings.outputs().log_format(), journal_stream.as_deref());
    log::start(form, &say).map_err(|e| {
        let hint = "RUST_LOG is a level such as `debug`, or `reaper=debug`";
        CommandError::new(Exit::Usage, format_args!("cannot understand RUST_LOG: {e}"), hint)
    })
}
