//! `population usage -- COMMAND`: what one command costs, from before its fork to after its collection.
//!
//! It prints `CPU_US WALL_US PEAK_KIB STATUS` on one line. The kernel counts into a command's peak memory the image it
//! was started from (the peak survives exec), so a benchmark that grew to many MiB cannot measure a small command
//! itself; this program is small enough to.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs the command with its output thrown away, and prints its cost.
#[expect(clippy::print_stdout, reason = "the figures are this command's output")]
pub fn measure(command: &[String]) -> Result<u8, String> {
    let (program, args) = command.split_first().ok_or("usage: a COMMAND is wanted after `--`")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().map_err(|e| format!("cannot run `{program}`: {e}"))?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| format!("getrusage: {e}"))?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    println!("{cpu} {} {} {status}", wall.as_micros(), usage.max_rss());
    Ok(0)
}
