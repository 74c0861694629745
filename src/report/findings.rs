//! The findings of one judgement as text, for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::types::JudgementReport;
use reaper_engine::audit::words::{Answer, Word};

/// One line for each gate: its name, its answer in colour, its evidence.
#[must_use]
pub fn findings(j: &JudgementReport, indent: &str) -> String {
    let mut text = String::new();
    for finding in &j.findings {
        let colour = match finding.answer {
            Word::Known(Answer::Yes) => Some(AnsiColor::Green),
            Word::Known(Answer::No) => Some(AnsiColor::Red),
            Word::Known(Answer::Unknown) => Some(AnsiColor::Magenta),
            Word::Known(Answer::NotAsked) | Word::Other(_) => None,
        };
        let style = Style::new().fg_color(colour.map(Into::into));
        let (gate, answer) = (&finding.gate, &finding.answer);
        let line = format!("{indent}{gate:<13} {style}{answer:<9}{style:#} {}", finding.evidence);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
