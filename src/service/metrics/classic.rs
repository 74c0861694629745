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

#[cfg(test)]
mod tests {
    use super::classic;
    use crate::service::metrics::Metrics;
    use crate::service::readings::Readings;
    use std::time::Duration;

    #[test]
    fn the_older_format_has_the_same_samples_and_none_of_the_new_words() {
        let new = Metrics::new(Duration::ZERO).text(&Readings::default()).unwrap();
        let old = classic(&new);
        let samples =
            |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(samples(&new), samples(&old));
        assert!(samples(&old).len() > 30);
        for line in [
            "# HELP reaper_build_info The version that runs.\n# TYPE reaper_build_info gauge",
            "# HELP reaper_sweep_failures_total Looks around that failed.\n# TYPE reaper_sweep_failures_total counter",
            "# TYPE reaper_sweep_duration_seconds histogram",
            "# TYPE reaper_ready gauge",
        ] {
            assert!(old.contains(line), "{line}\n{old}");
        }
        for word in ["# UNIT", "# EOF", " info\n"] {
            assert!(new.contains(word) && !old.contains(word), "{word}");
        }
    }
}
