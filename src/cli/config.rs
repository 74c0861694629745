//! `reaper config`: shows the settings in force, checks them, and lists their files.

use super::args::Config;
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config::{Overrides, example, show};
use reaper_engine::format;

pub fn run(invocation: &Invocation, what: &Config, out: &mut Output) -> Result<Exit, CommandError> {
    match what {
        Config::Show => {
            let settings = invocation.settings(&Overrides::default(), out)?;
            out.data(show::render(&settings));
        }
        Config::Check => {
            let settings = invocation.settings(&Overrides::default(), out)?;
            let files: Vec<String> = settings.files().iter().map(|f| format!("`{}`", f.display())).collect();
            let from =
                if files.is_empty() { "no file, built-in defaults".to_owned() } else { files.join(", ") };
            let warnings = format::count(settings.warnings().len(), "warning");
            out.data(format_args!("the config is sound: {from}; {warnings}\n"));
        }
        Config::Example => out.data(example::render()),
        Config::Path => {
            for file in invocation.sources.files() {
                let state = if file.exists() { "" } else { "  (not there)" };
                out.data(format_args!("{}{state}\n", file.display()));
            }
        }
    }
    Ok(Exit::Done)
}
