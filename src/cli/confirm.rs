//! Confirmation before a scan ends orphans: the question on the terminal, and the wait for their grace.

use std::io::{self, BufRead as _};
use std::time::Duration;

use reaper_platform::{Host as _, NativeHost};

use super::output::Output;
use super::progress;
use reaper_engine::context::Context;
use reaper_engine::format;
use reaper_engine::tracker::Survey;
use reaper_policy::verdict::Verdict;

/// Added to a wait, so that the grace is over at the next survey.
const MARGIN: Duration = Duration::from_millis(10);

/// Asks on the terminal; anything but yes counts as no, end of input included.
pub fn confirmed(survey: &Survey, out: &Output) -> bool {
    out.ask(question(survey));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok_and(|n| n > 0) && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

/// The question, with the number of orphans and processes, and their memory.
fn question(survey: &Survey) -> String {
    let orphans = survey.orphans().count();
    let waiting = survey.orphans().filter(|j| matches!(j.verdict, Verdict::Wait(_))).count();
    let targets = || survey.plan.targets.iter().chain(&survey.later.targets);
    let bytes = format::bytes(targets().map(|t| t.rss_bytes).sum());
    let below = match targets().count() {
        all if all > orphans => format!(", {} in all", format::count(all, "process")),
        _ => String::new(),
    };
    let grace = match waiting {
        0 => String::new(),
        all if all == orphans => ", once grace is over".to_owned(),
        some => format!(", {some} of them once grace is over"),
    };
    format!("End {}{below} (about {bytes}){grace}? [y/N] ", format::count(orphans, "orphan"))
}

/// Waits until the grace of every orphan is over; returns whether there was anything to wait for.
pub fn wait(context: &Context<NativeHost>, survey: &Survey, out: &Output) -> bool {
    let waits: Vec<Duration> = survey
        .judgements
        .iter()
        .filter_map(|j| if let Verdict::Wait(left) = j.verdict { Some(left) } else { None })
        .collect();
    let Some(longest) = waits.iter().max() else { return false };
    if !out.is_live() {
        let whole = format::span(*longest + Duration::from_millis(999));
        out.note(format_args!("waiting {whole}: {} in grace", format::count(waits.len(), "orphan")));
    }
    progress::count_down(out.is_live(), *longest + MARGIN, waits.len(), |time| context.host.sleep(time));
    true
}
