//! The elements of a man page, on top of the `roff` crate, which escapes them.

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// Builds the source of a page.
#[derive(Default)]
pub struct Source(String);

impl Source {
    /// A page with its header and footer.
    pub fn new(title: &str, section: u8, date: &str, manual: &str) -> Self {
        let mut page = Self::default();
        let source = concat!("reaper ", env!("CARGO_PKG_VERSION"));
        page.control("TH", &[title, &section.to_string(), date, source, manual]);
        page
    }

    /// Adds what clap has written, less what the formatters complain about: empty lines, spaces at the end of lines,
    /// breaks after breaks, and the definition at its head that makes straight apostrophes of `\\*(Aq`.
    pub fn raw(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let body = text.strip_prefix(&Roff::new().render()).unwrap_or(&text).replace("\\*(Aq", "'");
        let mut last = "";
        for line in body.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if (last, line) != (".br", ".br") {
                self.0.push_str(line);
                self.0.push('\n');
            }
            last = line;
        }
    }

    pub fn section(&mut self, title: &str) {
        self.control("SH", &[title]);
    }

    pub fn subsection(&mut self, title: &str) {
        self.control("SS", &[title]);
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.control("PP", &[]);
        self.line(text);
    }

    /// A term and its description.
    pub fn entry(&mut self, label: &str, text: &str) {
        self.control("TP", &[]);
        self.line(&format!("`{label}`"));
        self.line(text);
    }

    /// A further paragraph of the previous entry.
    pub fn more(&mut self, text: &str) {
        self.control("IP", &[]);
        self.line(text);
    }

    /// A command line and its description.
    pub fn example(&mut self, typed: &str, why: &str) {
        self.control("TP", &[]);
        self.text(vec![bold(typed)]);
        self.line(why);
    }

    /// Lines that are not filled.
    pub fn lines<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        for (i, line) in lines.enumerate() {
            if i > 0 {
                self.control("br", &[]);
            }
            self.line(&format!("`{line}`"));
        }
    }

    /// Verbatim text.
    pub fn code(&mut self, text: &str) {
        self.control("PP", &[]);
        self.control("RS", &["4"]);
        self.control("EX", &[]);
        for line in text.lines() {
            self.text(vec![roman(line)]);
        }
        self.control("EE", &[]);
        self.control("RE", &[]);
    }

    /// The finished page: ASCII only, and with backticks and apostrophes that do not come out as quotes.
    pub fn finish(self) -> String {
        let mut page = String::new();
        for character in self.0.chars() {
            match character {
                '`' => page.push_str("\\(ga"),
                '\'' => page.push_str("\\(aq"),
                c if c.is_ascii() => page.push(c),
                c => page.push_str(&format!("\\[u{:04X}]", u32::from(c))),
            }
        }
        page
    }

    /// Text; what stands between backticks is bold.
    pub fn line(&mut self, text: &str) {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let inlines: Vec<Inline> = words
            .split('`')
            .enumerate()
            .filter(|(_, part)| !part.is_empty())
            .map(|(i, part)| if i % 2 == 1 { bold(part) } else { roman(part) })
            .collect();
        self.text(inlines);
    }

    fn text(&mut self, inlines: Vec<Inline>) {
        self.0.push_str(&Roff::new().text(inlines).to_roff());
    }

    /// Quotes each argument: an empty one would be lost otherwise.
    fn control(&mut self, name: &str, args: &[&str]) {
        self.0.push('.');
        self.0.push_str(name);
        for arg in args {
            self.0.push_str(&format!(" \"{arg}\""));
        }
        self.0.push('\n');
    }
}

/// Whether a line starts the section of this name.
#[cfg(test)]
pub fn is_heading(line: &str, title: &str) -> bool {
    line.strip_prefix(".SH ").is_some_and(|rest| rest.trim_matches('"') == title)
}
