//! The cost of a scan: `reaper scan --dry-run` beside `ps` and `pgrep`, and its scan beside what a
//! program could do with a library or by hand, in populations of several sizes, in one run.
//!
//! ```text
//! cargo bench --bench side_by_side -- [--sizes 1000,5000,20000] [--rounds 7] [--markdown] [--check] [--reaper PATH]
//! ```
//!
//! Absolute times depend on the machine; compare the ratios. Needs root for the population's namespaces, and
//! `strace` for the column of system calls. With `--check` a missed target is an error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's output is what it is run for")]
#![expect(clippy::cast_precision_loss, reason = "times in microseconds are far below 2^52")]

#[path = "../common/mod.rs"]
mod common;
mod inside;
mod scanners;
mod table;
#[path = "../common/usage.rs"]
mod usage;

use common::{Args, Stage, machine, obstacle, too_big};
use std::process::ExitCode;
use table::{Row, Table, verdicts};

pub fn main() -> ExitCode {
    let args = Args::from_env();
    let result = if args.has("--inside") { inside(&args) } else { outside(&args) };
    result.unwrap_or_else(|problem| {
        eprintln!("side_by_side: {problem}");
        ExitCode::from(2)
    })
}

fn inside(args: &Args) -> Result<ExitCode, String> {
    for row in inside::run(args)? {
        println!("{}", row.to_line());
    }
    Ok(ExitCode::SUCCESS)
}

fn outside(args: &Args) -> Result<ExitCode, String> {
    if let Some(reason) = obstacle(args) {
        println!("skipped: {reason}");
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = args.numbers("--sizes", &[1_000, 5_000, 20_000])?;
    let rounds = args.value("--rounds").unwrap_or("7").to_owned();
    let stage = Stage::new(args)?;
    let markdown = args.has("--markdown");
    println!(
        "{}; medians of {rounds} rounds; 10 marked orphans beside 138 other children of init and manager\n",
        machine()
    );
    let mut tables = Vec::new();
    for size in sizes {
        let mark = if markdown { "### " } else { "" };
        println!("{mark}{size} processes\n");
        if let Some(reason) = too_big(size) {
            println!("skipped: {reason}\n");
            continue;
        }
        let lines = stage.inside(&format!("-n {size} -k 10"), &["--rounds".into(), rounds.clone()])?;
        let rows: Vec<Row> = lines.lines().filter_map(Row::from_line).collect();
        let table = Table { size, rows };
        println!("{}", table.render(markdown));
        tables.push(table);
    }
    let (text, all_met) = verdicts(&tables);
    println!("{text}");
    Ok(args.exit_code(all_met))
}
