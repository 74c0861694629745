//! The cost of ending many orphans: `reaper scan --yes` beside two common implementations, on 100 and
//! 1,000 marked orphans of which none or a tenth ignore SIGTERM. The others exit 20 ms after it.
//!
//! ```text
//! cargo bench --bench termination -- [--sizes 100,1000] [--ignoring 0,10] [--rounds 3] [--markdown]
//!     [--slow] [--check] [--reaper PATH]
//! ```
//!
//! Every run has a population of its own, and only its processes are ever signalled. An observer beside the command
//! sees when the first and the last one exit: `past deadline` is how much longer than term-timeout it took from the
//! first SIGTERM to the last exit, `lag` how much later the command returns. With `--check` a missed target is an
//! error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's output is what it is run for")]

mod baselines;
#[path = "../common/mod.rs"]
mod common;
mod inside;
#[path = "../common/usage.rs"]
mod usage;

use common::{Args, Stage, machine, median, obstacle, too_big};
use inside::{EXIT_AFTER, Figures, TERM_TIMEOUT};
use std::process::ExitCode;

/// How much later than the last exit the command may return.
const LAG_MS: f64 = 1.0;
/// How much longer than term-timeout it may take from the first SIGTERM to the last exit when some ignore SIGTERM.
const PAST_DEADLINE: f64 = 0.02;

pub fn main() -> ExitCode {
    let args = Args::from_env();
    let result = if args.has("--inside") { inside::run(&args) } else { outside(&args) };
    result.unwrap_or_else(|problem| {
        eprintln!("termination: {problem}");
        ExitCode::from(2)
    })
}

fn outside(args: &Args) -> Result<ExitCode, String> {
    if let Some(reason) = obstacle(args) {
        println!("skipped: {reason}");
        return Ok(ExitCode::SUCCESS);
    }
    let (sizes, shares) = (args.numbers("--sizes", &[100, 1000])?, args.numbers("--ignoring", &[0, 10])?);
    let rounds = args.numbers("--rounds", &[3])?.first().copied().unwrap_or(3).max(1);
    let stage = Stage::new(args)?;
    let mut targets = Vec::new();
    println!("{}; medians of {rounds} rounds; term-timeout {} s\n", machine(), TERM_TIMEOUT.as_secs());
    for &size in &sizes {
        for &share in &shares {
            if let Some(reason) = too_big(size) {
                println!("skipped {size}: {reason}");
                continue;
            }
            let mark = if args.has("--markdown") { "### " } else { "" };
            println!("{mark}{size} orphans, {share} % ignoring SIGTERM\n");
            print_row(
                args,
                &["", "wall ms", "past deadline ms", "lag ms", "CPU ms", "peak KiB", "left"]
                    .map(String::from),
            );
            if args.has("--markdown") {
                println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
            }
            for way in inside::WAYS {
                let figures = match way.too_slow(size) && !args.has("--slow") {
                    true => None,
                    false => Some(measure(&stage, way.name(), size, share, rounds)?),
                };
                print_row(args, &cells(way.name(), share, figures.as_ref()));
                if let (inside::Way::Reaper, Some(figures)) = (way, &figures) {
                    judge(size, share, figures, &mut targets);
                }
            }
            println!();
        }
    }
    for (what, met) in &targets {
        println!("{} {what}", if *met { "met:   " } else { "missed:" });
    }
    Ok(args.exit_code(targets.iter().all(|(_, met)| *met)))
}

/// One way, each round in a new population.
fn measure(stage: &Stage, way: &str, size: usize, share: usize, rounds: usize) -> Result<Figures, String> {
    let options = format!("-n {} -k {size} -i {share} -t {}", size + 300, EXIT_AFTER.as_millis());
    let one = |_| Figures::from_line(&stage.inside(&options, &["--way".into(), way.into()])?);
    let all: Vec<Figures> = (0..rounds).map(one).collect::<Result<_, String>>()?;
    let of = |figure: fn(&Figures) -> f64| median(all.iter().map(figure).collect());
    let left = all.iter().map(|f| f.left).fold(0.0, f64::max);
    Ok(Figures {
        wall_ms: of(|f| f.wall_ms),
        ending_ms: of(|f| f.ending_ms),
        lag_ms: of(|f| f.lag_ms),
        cpu_ms: of(|f| f.cpu_ms),
        peak_kib: of(|f| f.peak_kib),
        left,
    })
}

fn past_deadline_ms(figures: &Figures) -> f64 {
    figures.ending_ms - TERM_TIMEOUT.as_secs_f64() * 1e3
}

fn cells(name: &str, share: usize, figures: Option<&Figures>) -> [String; 7] {
    let Some(f) = figures else {
        return [name, "too slow; --slow", "", "", "", "", ""].map(String::from);
    };
    let past = if share > 0 { format!("{:.1}", past_deadline_ms(f)) } else { "-".into() };
    let (wall, lag, cpu) =
        (format!("{:.1}", f.wall_ms), format!("{:.2}", f.lag_ms), format!("{:.1}", f.cpu_ms));
    [name.into(), wall, past, lag, cpu, format!("{:.0}", f.peak_kib), format!("{:.0}", f.left)]
}

fn print_row(args: &Args, [name, rest @ ..]: &[String; 7]) {
    if args.has("--markdown") {
        println!("| {name} | {} |", rest.join(" | "));
    } else {
        let rest: String = rest.iter().map(|cell| format!("{cell:>18}")).collect();
        println!("{}", format!("{name:<30}{rest}").trim_end());
    }
}

fn judge(size: usize, share: usize, figures: &Figures, targets: &mut Vec<(String, bool)>) {
    let case = format!("{size} orphans, {share} % ignoring:");
    let done = figures.left == 0.0;
    let lag = format!("{case} returns {:.2} ms after the last exit (≤ {LAG_MS})", figures.lag_ms);
    targets.push((lag, done && figures.lag_ms <= LAG_MS));
    if share > 0 {
        let past = past_deadline_ms(figures) / (TERM_TIMEOUT.as_secs_f64() * 1e3);
        let what = format!("{case} {:.1} % past term-timeout (≤ {})", past * 100.0, PAST_DEADLINE * 100.0);
        targets.push((what, done && past <= PAST_DEADLINE));
    }
    if !done {
        targets.push((format!("{case} {} were left alive", figures.left), false));
    }
}
