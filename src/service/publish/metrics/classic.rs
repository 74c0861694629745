//! Converts OpenMetrics text to the older Prometheus text format.

use std::fmt::Write as _;

/// Converts to the Prometheus text format, the only one that node_exporter reads from files. It has no units, no `info`
/// type and no end mark, and a counter is named like its sample.
#[must_use]
pub fn classic(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    // HELP comes before TYPE, and only TYPE determines the name.
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
