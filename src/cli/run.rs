//! `reaper run`: the service in the foreground, for systemd, launchd, a container or a terminal.

use std::sync::Arc;

use reaper_platform::Host as _;

use super::Context;
use super::args::Run;
use super::exit::{CommandError, Exit};
use super::out::Out;
use crate::config::{self, Overrides};
use crate::doctor;
use crate::look::Ground;
use crate::patience;
use crate::service::{self, Setup, lock, logs};
use crate::state::StateDir;

pub fn run(context: &Context, args: &Run, out: &Out) -> Result<Exit, CommandError> {
    let journal_stream = std::env::var("JOURNAL_STREAM").ok();
    let levels = std::env::var("RUST_LOG")
        .unwrap_or_else(|_| if context.verbose { "reaper=debug" } else { "reaper=info" }.to_owned());
    logs::start(logs::form(journal_stream.as_deref()), &levels).map_err(|e| {
        let hint = "RUST_LOG is a level such as `debug`, or `reaper=debug`";
        CommandError::new(Exit::Usage, format_args!("cannot understand RUST_LOG: {e}"), hint)
    })?;
    let policy = context.policy(&Overrides::default(), out)?;
    let scope = context.scope(args.all_users)?;
    let here = context.host.here();
    let (mut state, mut runtime, mut socket, mut held) = (None, None, None, None);
    if !args.dry_run {
        if let Some(why) = &here.cannot_signal {
            let what = format!("cannot end processes safely: {why}");
            return Err(CommandError::new(Exit::Failed, what, "`reaper run --dry-run` still works here"));
        }
        let paths = context.paths()?;
        runtime = Some(StateDir::create(&paths.runtime, here.uid)?);
        held = Some(lock::take(&paths.lock())?);
        state = Some(StateDir::create(&paths.state, here.uid)?);
        socket = Some(paths.socket());
    }
    let ground = Ground::new(Arc::clone(&context.host), Arc::clone(&policy), scope);
    let checks = doctor::quick(&ground, context.var("MANAGERPID"));
    let sources = context.sources.clone();
    let setup = Setup {
        host: Arc::clone(&context.host),
        scope,
        policy,
        load: Box::new(move || config::load(&sources, &Overrides::default()).map(Arc::new)),
        state,
        runtime,
        is_paranoid: args.paranoid,
        limit: patience::LIMIT,
        checks,
    };
    service::run(setup, socket)?;
    drop(held);
    Ok(Exit::Done)
}
