//! The cost of the idle service, and the latency with which it notices a new orphan: `reaper run` in
//! populations of several sizes, beside just reading the adopters' lists of children at the same interval in the same
//! run.
//!
//! ```text
//! cargo bench --bench idle -- [--sizes 1000,5000,20000] [--warm-up 32] [--ticks 24] [--interval 5]
//!     [--samples 60] [--markdown] [--check] [--reaper PATH]
//! ```
//!
//! Needs root for the population's namespaces, and `strace` for the column of system calls. With `--check` a missed
//! target is an error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's output is what it is run for")]

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod inside;
mod service;

use common::{Args, Stage, machine, obstacle, too_big};
use figures::Figures;
use std::process::ExitCode;

/// The most CPU time of a tick, as a multiple of just reading the lists.
const TICK_RATIO: f64 = 2.0;
/// The most CPU seconds per hour, with a tick every 5 s.
const CPU_S_PER_HOUR: f64 = 0.5;
const RSS_KIB: f64 = 4096.0;
const NOTICED_US: f64 = 1000.0;

pub fn main() -> ExitCode {
    let args = Args::from_env();
    let result = if args.has("--inside") { inside::run(&args) } else { outside(&args) };
    result.unwrap_or_else(|problem| {
        eprintln!("idle: {problem}");
        ExitCode::from(2)
    })
}

fn outside(args: &Args) -> Result<ExitCode, String> {
    if let Some(reason) = obstacle(args) {
        println!("skipped: {reason}");
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = args.numbers("--sizes", &[1_000, 5_000, 20_000])?;
    let one = |flag: &str, default: usize| -> Result<String, String> {
        Ok(args.numbers(flag, &[default])?.first().copied().unwrap_or(default).max(1).to_string())
    };
    let (ticks, interval, samples) = (one("--ticks", 24)?, one("--interval", 5)?, one("--samples", 60)?);
    let warm_up = one("--warm-up", 32)?;
    let stage = Stage::new(args)?;
    println!(
        "{}; {ticks} looks, one every {interval} s; 10 marked orphans in grace, 138 other children of init and \
         manager, 100 agents in their place; {samples} launchers killed\n",
        machine()
    );
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for size in sizes {
        if let Some(reason) = too_big(size) {
            println!("skipped {size}: {reason}");
            continue;
        }
        let words =
            ["--warm-up", &warm_up, "--ticks", &ticks, "--interval", &interval, "--samples", &samples]
                .map(String::from);
        let line = stage.inside(&format!("-n {size} -k 10"), &words)?;
        let figures = Figures::from_line(&line)?;
        judge(size, &figures, &mut targets);
        rows.push((size, figures));
    }
    println!("{}", figures::table(&rows, args.has("--markdown")));
    for (what, met) in &targets {
        println!("{} {what}", if *met { "met:   " } else { "missed:" });
    }
    Ok(args.exit_code(targets.iter().all(|(_, met)| *met)))
}

fn judge(size: usize, figures: &Figures, targets: &mut Vec<(String, bool)>) {
    let ratio = figures.tick_us / figures.list_us;
    let per_hour = figures.cpu_s_per_hour();
    let mut add = |what: String, met: bool| targets.push((format!("{size} processes: {what}"), met));
    add(
        format!("a look takes {ratio:.2} × the bare reading of the lists (≤ {TICK_RATIO})"),
        ratio <= TICK_RATIO,
    );
    add(format!("{per_hour:.2} CPU s an hour (≤ {CPU_S_PER_HOUR})"), per_hour <= CPU_S_PER_HOUR);
    add(format!("RSS {:.0} KiB (≤ {RSS_KIB})", figures.rss_kib), figures.rss_kib <= RSS_KIB);
    let noticed = figures.noticed_us;
    add(format!("noticed {noticed:.0} µs after the parent's end (≤ {NOTICED_US})"), noticed <= NOTICED_US);
}
