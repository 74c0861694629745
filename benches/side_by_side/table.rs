//! Rows, tables and the verdict on the targets.

use std::fmt::Write as _;

/// What a row's figures may be compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Command,
    InProcess,
}

/// One line of figures; what could not be measured is not a number.
#[derive(Clone)]
pub struct Row {
    pub group: Group,
    pub name: String,
    pub cpu_ms: f64,
    pub wall_ms: f64,
    pub syscalls: f64,
    pub peak_kib: f64,
    pub note: String,
}

impl Row {
    pub fn new(group: Group, name: &str) -> Self {
        let nothing = f64::NAN;
        let (cpu_ms, wall_ms, syscalls, peak_kib) = (nothing, nothing, nothing, nothing);
        Self { group, name: name.into(), cpu_ms, wall_ms, syscalls, peak_kib, note: String::new() }
    }

    /// The row as the benchmark inside prints it.
    pub fn to_line(&self) -> String {
        let group = if self.group == Group::Command { "command" } else { "in-process" };
        let figures = format!("{}\t{}\t{}\t{}", self.cpu_ms, self.wall_ms, self.syscalls, self.peak_kib);
        format!("{group}\t{}\t{figures}\t{}", self.name, self.note.replace(['\t', '\n'], " "))
    }

    /// The reverse of [`Row::to_line`].
    pub fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let group = if fields.next()? == "command" { Group::Command } else { Group::InProcess };
        let mut row = Self::new(group, fields.next()?);
        for slot in [&mut row.cpu_ms, &mut row.wall_ms, &mut row.syscalls, &mut row.peak_kib] {
            *slot = fields.next()?.parse().ok()?;
        }
        row.note = fields.next()?.into();
        Some(row)
    }
}

/// By which factor the product must take less CPU time than each of these, at 20,000 processes.
const TARGETS: [(Group, &str, f64); 4] = [
    (Group::Command, "pgrep", 300.0),
    (Group::Command, "ps", 400.0),
    (Group::InProcess, "sysinfo", 400.0),
    (Group::InProcess, "sweep", 100.0),
];
const TARGET_SIZE: usize = 20_000;
/// The most CPU time of a scan at 20,000 processes, as a multiple of that at 1,000.
const FLATNESS: f64 = 1.25;

/// Rows of one population.
pub struct Table {
    pub size: usize,
    pub rows: Vec<Row>,
}

impl Table {
    fn of(&self, group: Group) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.group == group)
    }

    /// CPU time of the product in a group, whose first row it is.
    fn own(&self, group: Group) -> f64 {
        self.of(group).next().map_or(f64::NAN, |row| row.cpu_ms)
    }

    fn target(&self, row: &Row) -> Option<f64> {
        let aimed = TARGETS.iter().find(|(g, name, _)| *g == row.group && row.name.starts_with(name))?;
        (self.size == TARGET_SIZE).then_some(aimed.2)
    }

    /// The figures, aligned for a terminal or as Markdown.
    pub fn render(&self, markdown: bool) -> String {
        let mut text = String::new();
        for (group, title) in
            [(Group::Command, "whole commands"), (Group::InProcess, "one scan inside a process")]
        {
            let head = [title, "CPU ms", "wall ms", "syscalls", "peak KiB", "CPU ratio", "target"];
            let mut cells = vec![head.map(String::from)];
            for row in self.of(group) {
                let ratio = row.cpu_ms / self.own(group);
                let target = self.target(row).map_or_else(|| "-".into(), |t| format!("≥ {t}"));
                let (cpu, wall) = (figure(row.cpu_ms), figure(row.wall_ms));
                let (calls, peak) = (figure(row.syscalls), figure(row.peak_kib));
                cells.push([row.name.clone(), cpu, wall, calls, peak, figure(ratio), target]);
            }
            text += &lay_out(&cells, markdown);
            for row in self.of(group).filter(|row| !row.note.is_empty()) {
                let _ = writeln!(text, "{}: {}", row.name, row.note);
            }
            text.push('\n');
        }
        text
    }
}

/// One line for each target; whether all that were measured are met.
pub fn verdicts(tables: &[Table]) -> (String, bool) {
    let (mut text, mut all_met) = (String::new(), true);
    let mut line = |what: String, met: bool| {
        let _ = writeln!(text, "{} {what}", if met { "met:   " } else { "missed:" });
        all_met &= met;
    };
    for table in tables {
        for row in &table.rows {
            let Some(target) = table.target(row) else { continue };
            let ratio = row.cpu_ms / table.own(row.group);
            let what = format!("{}x less CPU than {} at {}", figure(ratio), row.name, table.size);
            line(format!("{what} (≥ {target})"), ratio >= target);
        }
    }
    if tables.iter().flat_map(|table| &table.rows).any(Row::refuted) {
        line("reaper's figures are of a command that did not do its job".into(), false);
    }
    let at = |size| tables.iter().find(|table| table.size == size);
    if let (Some(small), Some(large)) = (at(1_000), at(TARGET_SIZE)) {
        for (group, what) in [(Group::Command, "command"), (Group::InProcess, "scan in process")] {
            let ratio = large.own(group) / small.own(group);
            let what = format!("{what}: {ratio:.2}x the CPU at 20,000 that it takes at 1,000 (≤ {FLATNESS})");
            line(what, ratio <= FLATNESS);
        }
    }
    (text, all_met)
}

impl Row {
    /// Whether the row is of a command that returned a wrong result.
    fn refuted(&self) -> bool {
        self.note.starts_with("NOT COMPARABLE")
    }
}

/// Three significant digits.
fn figure(value: f64) -> String {
    match value {
        v if v.is_nan() => "n/a".into(),
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn lay_out<const N: usize>(cells: &[[String; N]], markdown: bool) -> String {
    let width = |column: usize| cells.iter().filter_map(|r| Some(r.get(column)?.chars().count())).max();
    let widths: Vec<usize> = (0..N).filter_map(width).collect();
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let padded: Vec<String> = padded.collect();
        if markdown {
            let _ = writeln!(text, "| {} |", padded.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "| --- |{}", " ---: |".repeat(N - 1));
            }
        } else {
            let _ = writeln!(text, "{}", padded.join("  ").trim_end());
        }
    }
    text
}
