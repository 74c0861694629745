//! `reaper man`: writes the man pages.
//!
//! They are generated from clap's arguments, the text below each help, the exit codes and the table of settings. Text
//! that exists for the pages only is in `words.rs`.

mod commands;
mod page;
mod roff;
mod settings;
mod words;

use std::path::Path;
use std::{fs, io};

use clap::CommandFactory as _;

use page::Page;

use super::args::App;
use super::exit::{CommandError, Exit};
use super::output::Output;
use crate::config::paths::System;

pub fn run(directory: &Path, out: &mut Output) -> Result<Exit, CommandError> {
    let pages = pages(&date(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?, System::current())?;
    for page in &pages {
        let path = directory.join(&page.path);
        write(&path, &page.text).map_err(|e| {
            CommandError::new(
                Exit::Failed,
                format_args!("cannot write `{}`: {e}", path.display()),
                "name a directory that you can write; it is made if it is missing",
            )
        })?;
        out.data(format_args!("{}\n", path.display()));
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The date in the footer of each page, from SOURCE_DATE_EPOCH for reproducible builds; empty when it is not set.
fn date(epoch: Option<&str>) -> Result<String, CommandError> {
    let Some(text) = epoch else { return Ok(String::new()) };
    let wrong = || {
        CommandError::new(
            Exit::Usage,
            format_args!("SOURCE_DATE_EPOCH holds `{}`, which is no time", text.escape_debug()),
            "set it to seconds since 1970, as `git log -1 --format=%ct` prints them, or unset it",
        )
    };
    let seconds = text.parse().map_err(|_| wrong())?;
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| wrong())?;
    Ok(time.strftime("%Y-%m-%d").to_string())
}

fn pages(date: &str, system: System) -> Result<Vec<Page>, CommandError> {
    // The command `help` is left out: every command has a page.
    let mut app = App::command().subcommand_value_name("COMMAND").disable_help_subcommand(true);
    app.build();
    let mut pages = vec![commands::page(&app, date, system)];
    pages.extend(app.get_subcommands().map(|command| commands::page(command, date, system)));
    pages.push(settings::page(date, system));
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Page> {
        pages("2026-01-02", System::Xdg).unwrap()
    }

    fn page(name: &str) -> String {
        all().into_iter().find(|page| page.path == Path::new(name)).unwrap().text
    }

    #[test]
    fn every_command_has_a_complete_page() {
        let pages = all();
        let commands = App::command().get_subcommands().count();
        assert_eq!(pages.len(), commands + 2);
        for page in pages {
            let wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "ENVIRONMENT", "SEE ALSO"];
            let of_commands = ["EXIT STATUS"];
            let more = if page.path.starts_with("man1") { of_commands.as_slice() } else { &[] };
            for section in wanted.iter().chain(more) {
                assert!(
                    page.text.lines().any(|line| roff::is_heading(line, section)),
                    "{section} of {}",
                    page.path.display()
                );
            }
        }
    }

    #[test]
    fn the_first_page_names_all_others() {
        let first = page("man1/reaper.1");
        for page in all().into_iter().skip(1) {
            let name = page.path.file_stem().unwrap().to_str().unwrap().replace('-', "\\-");
            assert!(first.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_key_and_every_variable_is_explained() {
        let text = page("man5/reaper.toml.5").replace('\\', "");
        for key in crate::config::keys::KEYS {
            assert!(text.contains(key.name) && text.contains(key.variable), "{}", key.name);
        }
        let first = page("man1/reaper.1").replace('\\', "");
        for name in crate::config::sources::MARKERS {
            assert!(first.contains(name), "{name}");
        }
    }

    #[test]
    fn a_page_is_ascii_and_dated_as_asked() {
        for page in all() {
            assert!(page.text.is_ascii(), "{}", page.path.display());
            assert!(
                page.text.contains("2026\\-01\\-02") || page.text.contains("2026-01-02"),
                "{}",
                page.text
            );
        }
        assert_eq!(date(Some("86400")).unwrap(), "1970-01-02");
        assert_eq!(date(None).unwrap(), "");
        for bad in ["", "soon", "99999999999999999"] {
            assert!(date(Some(bad)).is_err(), "{bad}");
        }
    }
}
