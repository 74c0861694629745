//! `population usage -- COMMAND`: what one command costs, from before its fork until it is reaped.
//!
//! It prints `CPU_US PEAK_KIB STATUS START_NS END_NS` on one line, the times by the monotonic clock. The kernel counts
//! into a command's peak memory the image it was started from (the peak survives exec), so a benchmark that grew to
//! many MiB cannot measure a small command itself; this program is small enough.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// Runs the command with its output discarded, and prints its cost.
#[expect(clippy::print_stdout, reason = "the figures are this command's output")]
pub fn measure(command: &[String]) -> Result<u8, String> {
    let (program, args) = command.split_first().ok_or("usage: a COMMAND is wanted after `--`")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = now()?;
    let status = command.status().map_err(|e| format!("cannot run `{program}`: {e}"))?;
    let end = now()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| format!("getrusage: {e}"))?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    println!("{cpu} {} {status} {start} {end}", usage.max_rss());
    Ok(0)
}

fn now() -> Result<i64, String> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|e| format!("clock_gettime: {e}"))?;
    Ok(now.num_nanoseconds())
}
