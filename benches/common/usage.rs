//! Measures whole commands.

use super::common::{beside, doing};
use std::path::Path;
use std::process::{Command, Stdio};

/// What one command cost, as `population usage` prints it.
pub struct Usage {
    pub cpu_us: u64,
    pub peak_kib: u64,
    pub status: u64,
    /// On the monotonic clock: just before its start, and just after it was reaped.
    pub start_ns: u64,
    pub end_ns: u64,
}

impl Usage {
    pub fn wall_ms(&self) -> f64 {
        self.end_ns.saturating_sub(self.start_ns) as f64 / 1e6
    }
}

/// Measures one command with the `population usage` beside this executable.
pub fn usage(program: &Path, args: &[&str]) -> Result<Usage, String> {
    let mut watch = Command::new(beside("population")?);
    watch.args(["usage", "--"]).arg(program).args(args).stderr(Stdio::inherit());
    let output = doing("run the stop-watch", watch.output())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<u64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    match *fields.as_slice() {
        [cpu_us, peak_kib, status, start_ns, end_ns] => {
            Ok(Usage { cpu_us, peak_kib, status, start_ns, end_ns })
        }
        _ => Err(format!("no usage of {}: `{}`", program.display(), text.trim())),
    }
}
