//! The service's log as data, whichever of its forms it has.

use std::path::Path;

use serde_json::Value;

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// `INFO`, `WARN`…
    pub level: String,
    /// The message.
    pub text: String,
}

/// Reads a log of text lines or of JSON lines. A line that begins with no time goes on with the one before it.
pub fn read(path: &Path) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).lines() {
        match parse(line) {
            Some(parsed) => lines.push(parsed),
            None => {
                if let Some(last) = lines.last_mut() {
                    last.text.push('\n');
                    last.text.push_str(line);
                }
            }
        }
    }
    lines
}

fn parse(line: &str) -> Option<Line> {
    if line.starts_with('{') {
        let all: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| all[name].as_str().map(str::to_owned);
        return Some(Line {
            at_us: micros(&text("timestamp")?)?,
            level: text("level")?,
            text: text("message")?,
        });
    }
    let (time, rest) = line.split_once(' ')?;
    let (level, text) = rest.trim_start().split_once(' ')?;
    Some(Line { at_us: micros(time)?, level: level.to_owned(), text: text.to_owned() })
}

fn micros(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// Now, on the clock of the log.
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
