//! The figures of one population, and the table of all.

/// The service limits full lists to 1/36,000 of the time, but makes one an hour at least.
const WALK_PARTS: f64 = 36_000.0;

macro_rules! figures {
    ($($name:ident: $what:literal),* $(,)?) => {
        /// The figures of one population.
        #[derive(Clone, Debug)]
        pub struct Figures {
            $(#[doc = $what] pub $name: f64,)*
        }

        impl Figures {
            /// One line, for the benchmark outside.
            pub fn to_line(&self) -> String {
                [$(self.$name.to_string()),*].join(" ")
            }

            /// The reverse of [`Figures::to_line`].
            pub fn from_line(line: &str) -> Result<Self, String> {
                let mut fields = line.split_whitespace().map(str::parse::<f64>);
                let mut next = |what: &str| match fields.next() {
                    Some(Ok(figure)) => Ok(figure),
                    _ => Err(format!("no `{what}` in `{}`", line.trim())),
                };
                Ok(Self { $($name: next($what)?),* })
            }
        }
    };
}

figures! {
    list_us: "CPU µs of one bare reading of the lists",
    tick_us: "CPU µs of one look of the service, the median",
    mean_tick_us: "the mean, which has the looks at those of no interest and the visits in it",
    wakes: "wake-ups a look",
    syscalls: "system calls a look",
    walk_ms: "CPU ms of one walk over all processes",
    start_ms: "CPU ms until it is ready",
    rss_kib: "resident KiB",
    pss_kib: "its share of resident KiB",
    peak_kib: "most resident KiB so far",
    threads: "threads",
    noticed_us: "median µs from a parent's end to the notice",
    noticed_worst_us: "the worst of them",
    interval_s: "seconds between two looks",
}

impl Figures {
    /// Of ticks, rechecks and full lists together.
    pub fn cpu_s_per_hour(&self) -> f64 {
        let walk_s = self.walk_ms / 1e3;
        let between_walks = (walk_s * WALK_PARTS).clamp(60.0, 3600.0);
        self.mean_tick_us / 1e6 * 3600.0 / self.interval_s + walk_s * 3600.0 / between_walks
    }
}

/// All populations, one a row.
pub fn table(rows: &[(usize, Figures)], markdown: bool) -> String {
    let head = [
        "processes",
        "list read, µs",
        "look, µs",
        "ratio",
        "mean, µs",
        "CPU s/h",
        "walk, ms",
        "wake-ups",
        "system calls",
        "RSS, KiB",
        "PSS",
        "peak",
        "threads",
        "start, ms",
        "noticed, µs",
        "worst",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (size, f) in rows {
        let whole = |figure: f64| if figure.is_nan() { "-".to_owned() } else { format!("{figure:.0}") };
        lines.push(vec![
            size.to_string(),
            whole(f.list_us),
            whole(f.tick_us),
            format!("{:.2}", f.tick_us / f.list_us),
            whole(f.mean_tick_us),
            format!("{:.2}", f.cpu_s_per_hour()),
            format!("{:.1}", f.walk_ms),
            format!("{:.1}", f.wakes),
            whole(f.syscalls),
            whole(f.rss_kib),
            whole(f.pss_kib),
            whole(f.peak_kib),
            whole(f.threads),
            whole(f.start_ms),
            whole(f.noticed_us),
            whole(f.noticed_worst_us),
        ]);
    }
    if markdown {
        let rule = format!("|{}", " ---: |".repeat(head.len()));
        let mut text: Vec<String> = lines.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
        text.insert(1, rule);
        return text.join("\n") + "\n";
    }
    let width = |column: usize| lines.iter().filter_map(|l| l.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let row = |cells: &Vec<String>| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join("  ")
    };
    lines.iter().map(row).collect::<Vec<_>>().join("\n") + "\n"
}
