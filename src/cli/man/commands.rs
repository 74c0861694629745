//! The pages of section 1: one for `reaper`, one for each command.

use clap::Command;
use clap_mangen::Man;

use super::page::Page;
use super::roff::Source;
use super::words;
use crate::cli::help;
use crate::config::paths::System;

/// The page of a command. `clap::Command::build` must have been called.
pub fn page(command: &Command, date: &str, system: System) -> Page {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let main = name == "reaper";
    let mut page = Source::new(&name, 1, date, "User Commands");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.section("NAME");
    // Without dashes: programs that parse NAME take the first one as the separator.
    page.line(&format!("{name} - {}", lower(&about)));
    let clap = Man::new(command.clone());
    let section = |render: &dyn Fn(&Man, &mut dyn std::io::Write) -> std::io::Result<()>,
                   page: &mut Source| {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = render(&clap, &mut text);
        page.raw(&text);
    };
    section(&|man, to| man.render_synopsis_section(to), &mut page);
    page.section("DESCRIPTION");
    page.line(&format!("{}.", about.trim_end_matches('.')));
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let help = Help::read(&text);
    for paragraph in help.paragraphs.iter().copied().chain(if main {
        words::ABOUT.iter().copied()
    } else {
        [].iter().copied()
    }) {
        page.paragraph(paragraph);
    }
    for (title, entries) in
        help.lists.iter().filter(|(title, _)| !["Examples", "Exit status"].contains(title))
    {
        page.subsection(title);
        list(&mut page, entries);
    }
    section(&|man, to| man.render_options_section(to), &mut page);
    subcommands(&mut page, command, main);
    if let Some(entries) = help.list("Examples") {
        page.section("EXAMPLES");
        for (typed, why) in entries {
            page.example(typed, why);
        }
    }
    exit_status(&mut page, command.get_name(), main);
    page.section("FILES");
    list(&mut page, &words::files(system));
    page.section("ENVIRONMENT");
    if main {
        list(&mut page, &words::ENVIRONMENT);
    } else {
        page.line(words::ENVIRONMENT_ELSEWHERE);
    }
    page.section("SEE ALSO");
    page.line(&see_also(command, main));
    Page { path: format!("man1/{name}.1").into(), text: page.finish() }
}

/// Makes the first letter of a sentence lower case.
fn lower(about: &str) -> String {
    let mut letters = about.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn list(page: &mut Source, entries: &[(&str, &str)]) {
    for (label, text) in entries {
        page.entry(label, text);
    }
}

fn subcommands(page: &mut Source, command: &Command, main: bool) {
    let mut below = command.get_subcommands().filter(|c| !c.is_hide_set()).peekable();
    if below.peek().is_none() {
        return;
    }
    page.section("COMMANDS");
    for sub in below {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let label = if main {
            format!("reaper-{}(1)", sub.get_name())
        } else {
            sub.get_bin_name().unwrap_or_else(|| sub.get_name()).to_owned()
        };
        page.entry(&label, &format!("{about}."));
    }
}

/// The exit codes of this command, with their descriptions from the help.
fn exit_status(page: &mut Source, name: &str, main: bool) {
    page.section("EXIT STATUS");
    let all = Help::read(help::REAPER);
    for (code, text) in all.list("Exit status").into_iter().flatten() {
        if main || words::exit_codes(name).contains(code) {
            page.entry(code, &format!("{text}."));
        }
    }
}

fn see_also(command: &Command, main: bool) -> String {
    let mut pages: Vec<String> = if main {
        command.get_subcommands().map(|sub| format!("`reaper-{}`(1)", sub.get_name())).collect()
    } else {
        vec!["`reaper`(1)".to_owned()]
    };
    pages.extend(words::see_also(command.get_name()).iter().map(|page| (*page).to_owned()));
    pages.push("`reaper.toml`(5)".to_owned());
    pages.join(", ")
}

/// The text below a help: paragraphs, then lists under their titles.
struct Help<'a> {
    paragraphs: Vec<&'a str>,
    lists: Vec<(&'a str, Vec<(&'a str, &'a str)>)>,
}

impl<'a> Help<'a> {
    fn read(text: &'a str) -> Self {
        let mut help = Self { paragraphs: Vec::new(), lists: Vec::new() };
        for block in text.split("\n\n").filter(|block| !block.is_empty()) {
            match block.split_once(":\n") {
                Some((title, body)) if body.lines().all(|line| line.starts_with("  ")) => {
                    let entries = body.lines().map(|line| {
                        let line = line.trim();
                        let (label, text) = line.split_once("  ").unwrap_or((line, ""));
                        (label, text.trim())
                    });
                    help.lists.push((title, entries.collect()));
                }
                _ => help.paragraphs.push(block),
            }
        }
        help
    }

    fn list(&self, wanted: &str) -> Option<&[(&'a str, &'a str)]> {
        self.lists.iter().find(|(title, _)| *title == wanted).map(|(_, entries)| entries.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::Help;

    #[test]
    fn a_help_is_read_as_it_is_laid_out() {
        let help = Help::read(
            "One: a\nparagraph.\n\nVerdicts:\n  reap   it is ended\n  wait  not yet\n\nExamples:\n  reaper a b > c",
        );
        assert_eq!(help.paragraphs, ["One: a\nparagraph."]);
        assert_eq!(help.list("Verdicts").unwrap(), [("reap", "it is ended"), ("wait", "not yet")]);
        assert_eq!(help.list("Examples").unwrap(), [("reaper a b > c", "")]);
        assert!(help.list("Exit status").is_none());
    }

    #[test]
    fn the_exit_codes_are_found_in_the_help() {
        assert_eq!(Help::read(super::help::REAPER).list("Exit status").unwrap().len(), 7);
    }
}
