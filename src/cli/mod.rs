//! The command line: parses arguments, calls the library, prints the report. One file for each subcommand.

pub mod args;
mod config;
mod confirm;
mod control;
mod doctor;
mod exit;
mod explain;
mod help;
mod history;
mod invocation;
mod man;
mod output;
mod profiles;
mod progress;
mod run;
mod scan;
mod service;

use std::process::ExitCode;

use clap::CommandFactory as _;

pub use exit::{CommandError, Exit};

use crate::service::protocol::Command as Request;
use args::{App, Command};
use invocation::Invocation;
use output::Output;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    report_bugs();
    if let Some(exit) = doctor::stand_in(std::env::args_os().skip(1)) {
        return exit.into();
    }
    let app = match args::parse(std::env::args_os()) {
        Ok(app) => app,
        Err(e) => {
            // Help and version are data, not errors; write errors are ignored.
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let color = app.global.color;
    match run(&app) {
        Ok(exit) => exit.into(),
        Err(e) => {
            output::error(color, &e);
            e.exit.into()
        }
    }
}

fn run(app: &App) -> Result<Exit, CommandError> {
    let mut out = Output::new(&app.global);
    let exit = match &app.command {
        Command::Scan(args) => scan::run(&Invocation::new(&app.global)?, args, &mut out)?,
        Command::Explain(args) => explain::run(&Invocation::new(&app.global)?, args, &mut out)?,
        Command::Run(args) => run::run(&Invocation::new(&app.global)?, args)?,
        Command::Status(args) => control::status(&Invocation::new(&app.global)?, args, &mut out)?,
        Command::Pause(args) => control::pause(&Invocation::new(&app.global)?, args, &mut out)?,
        Command::Sweep => control::plain(&Invocation::new(&app.global)?, Request::Sweep, &mut out)?,
        Command::Resume => control::plain(&Invocation::new(&app.global)?, Request::Resume, &mut out)?,
        Command::Reload => control::plain(&Invocation::new(&app.global)?, Request::Reload, &mut out)?,
        Command::Service(what) => service::run(&Invocation::new(&app.global)?, what, &mut out)?,
        Command::Doctor(args) => doctor::run(Invocation::new(&app.global), args, &mut out)?,
        Command::History(args) => history::run(&Invocation::new(&app.global)?, args, &mut out)?,
        Command::Profiles => profiles::run(&Invocation::new(&app.global)?, &mut out)?,
        Command::Config(what) => config::run(&Invocation::new(&app.global)?, what, &mut out)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut App::command(), "reaper", &mut script);
            out.data(String::from_utf8_lossy(&script));
            Exit::Done
        }
        Command::Man { directory } => man::run(directory, &mut out)?,
    };
    out.finish().map(|()| exit)
}

/// Makes a panic end the program with a request to report it, and with the exit code for bugs.
fn report_bugs() {
    std::panic::set_hook(Box::new(|info| {
        let hint = "this is a bug in reaper; nothing is signalled after it. Please report the line above";
        output::error(args::Color::Auto, format_args!("{info}\nhint: {hint}"));
        #[expect(
            clippy::exit,
            reason = "a thread's panic must end the whole program, with the code for bugs"
        )]
        std::process::exit(i32::from(Exit::Bug.code()));
    }));
}
