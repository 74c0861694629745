//! Progress on a terminal: a countdown of the grace, and a line while processes are being ended.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use reaper_engine::format;
use reaper_engine::terminate::Watcher;

/// Waits for `time` by calls of `sleep`, with a countdown if `live`.
pub fn count_down(live: bool, time: Duration, orphans: usize, mut sleep: impl FnMut(Duration)) {
    if !live {
        sleep(time);
        return;
    }
    let bar = ProgressBar::with_draw_target(Some(time.as_secs()), ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {msg}  {bar:24}  (Ctrl-C leaves everything as it is)")
    {
        bar.set_style(style);
    }
    let step = Duration::from_millis(200);
    let mut left = time;
    while !left.is_zero() {
        let whole = (left + Duration::from_millis(500)).max(Duration::from_secs(1));
        bar.set_message(format!("{} in grace for {}", format::count(orphans, "orphan"), format::span(whole)));
        bar.set_position(time.saturating_sub(left).as_secs());
        let now = left.min(step);
        sleep(now);
        left -= now;
    }
    bar.finish_and_clear();
}

/// The progress line while processes are being ended.
pub struct Line(Option<ProgressBar>);

impl Line {
    /// Draws nothing unless `live`.
    pub fn new(live: bool) -> Self {
        Self(live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(
                "{spinner} {msg}  {elapsed}  (after Ctrl-C nothing more is sent)",
            ) {
                bar.set_style(style);
            }
            bar.set_message("ending");
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        }))
    }
}

impl Watcher for Line {
    fn progress(&mut self, left: usize, all: usize) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("ending {}: {left} left", format::count(all, "process")));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
