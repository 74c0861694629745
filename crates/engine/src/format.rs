//! Human-readable numbers, sizes, durations and times.

use std::time::Duration;

use jiff::Timestamp;

/// `812 B`, `18.5 MB`: decimal units.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS.get(unit).unwrap_or(&"PB"))
}

/// `8 s`, `12 min`, `3 h 05 min`, `2 d 4 h`.
#[must_use]
pub fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

/// `870 µs`, `12.3 ms`, `1.2 s`: for short durations.
#[must_use]
pub fn fine(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{}.{} ms", us / 1000, us / 100 % 10),
        _ => format!("{}.{} s", us / 1_000_000, us / 100_000 % 10),
    }
}

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn time(since_1970: Duration) -> String {
    let ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or_else(|_| "unknown".to_owned(), |t| format!("{t:.3}"))
}

/// The system's time of day, for reports without a [`Host`](reaper_platform::Host).
#[must_use]
pub fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// `1 orphan`, `2 orphans`.
#[must_use]
pub fn count(n: usize, what: &str) -> String {
    let end = match (n, what.ends_with("ss")) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{n} {what}{end}")
}

/// `2 orphans`, with the number of processes of their trees where that is larger: `1 orphan (3 processes)`.
#[must_use]
pub fn orphans(n: usize, processes: usize) -> String {
    let orphans = count(n, "orphan");
    if processes > n { format!("{orphans} ({})", count(processes, "process")) } else { orphans }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (n, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (18_464_000, "18 MB"),
            (9_940_000, "9.9 MB"),
            (4_200_000_000, "4.2 GB"),
            (999_600, "1.0 MB"),
        ] {
            assert_eq!(bytes(n), shown);
        }
    }

    #[test]
    fn spans_and_times() {
        for (s, shown) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3900, "1 h 05 min"), (190_000, "2 d 4 h")]
        {
            assert_eq!(span(Duration::from_secs(s)), shown);
        }
        for (us, shown) in [(0, "0 µs"), (999, "999 µs"), (12_345, "12.3 ms"), (1_250_000, "1.2 s")] {
            assert_eq!(fine(Duration::from_micros(us)), shown);
        }
        assert_eq!(time(Duration::from_millis(1_767_323_045_123)), "2026-01-02T03:04:05.123Z");
        assert_eq!(
            (count(1, "process"), count(2, "process"), count(0, "orphan")),
            ("1 process".into(), "2 processes".into(), "0 orphans".into())
        );
    }
}
