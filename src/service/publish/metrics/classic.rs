//! The older text format, from the newer one.

use std::fmt::Write as _;

/// The same in the older text format, which is all that node_exporter reads from files. It has no units, no
/// `info` and no end mark, and calls a counter by the name of its sample.
#[must_use]
pub fn classic(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    // HELP stands before TYPE, and only TYPE tells the name.
    let mut help = "";
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        let (mark, word, name, rest) = (words.next(), words.next(), words.next(), words.next());
        let (name, rest) = (name.unwrap_or_default(), rest.unwrap_or_default());
        let written = match (mark, word) {
            (Some("#"), Some("HELP")) => {
                help = rest;
                continue;
            }
            (Some("#"), Some("TYPE")) => {
                let (ending, kind) = match rest {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                writeln!(out, "# HELP {name}{ending} {help}\n# TYPE {name}{ending} {kind}")
            }
            (Some("#"), _) => continue,
            _ => writeln!(out, "{line}"),
        };
        // Writing to a String cannot fail.
        let _ = written;
    }
    out
}
