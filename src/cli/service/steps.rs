//! Carries out the steps of `install` in order, and reports each.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::args::Print;
use super::super::exit::{CommandError, Exit};
use super::super::invocation::Invocation;
use super::super::output::Output;
use super::reachable::reachable;
use crate::install::request::Call;
use crate::install::{Manager, Step};
use reaper_engine::failure::Failure;
use reaper_engine::trusted_file::{self, Lasting};

/// Carries the steps out, or prints them; returns whether they were carried out.
pub fn carry_out(
    invocation: &Invocation,
    manager: Manager,
    steps: &[Step],
    args: Print,
    out: &mut Output,
) -> Result<bool, CommandError> {
    if args.print {
        for step in steps {
            out.data(match step {
                Step::Write { path, text } => format!("# write {}\n{text}\n", path.display()),
                Step::Remove(path) => format!("# remove {}\n", path.display()),
                Step::Run(call) => format!("{}\n", call.line()),
                Step::Say(text) => format!("# {text}\n"),
            });
        }
        return Ok(false);
    }
    if steps.iter().any(|step| matches!(step, Step::Run(_))) {
        reachable(invocation, manager)?;
    }
    for step in steps {
        match step {
            Step::Write { path, text } => {
                write(path, text)?;
                out.note(format_args!("wrote {}", path.display()));
            }
            Step::Remove(path) => {
                fs::remove_file(path).map_err(|e| {
                    let what = format!("cannot remove `{}`: {e}", path.display());
                    CommandError::new(Exit::Failed, what, "make its directory writable, then run this again")
                })?;
                out.note(format_args!("removed {}", path.display()));
            }
            Step::Run(call) => perform(manager, call, out)?,
            Step::Say(text) => out.note(text),
        }
    }
    Ok(true)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| trusted_file::replace(path, text.as_bytes(), 0o644, Lasting::Synced)).map_err(|e| {
        let hint = "make the directory writable; or let `reaper service install --print` show the file, and put it where \
                    your home is made from";
        Failure::new("cannot write").at(path).because(e).hint(hint)
    })
}

/// Runs the command, and retries while it fails, for as long as `call.patience` allows.
fn patiently(call: &Call) -> io::Result<process::Output> {
    const PAUSE: Duration = Duration::from_millis(250);
    let start = Instant::now();
    loop {
        let ran = Command::new(call.tool).args(&call.args).stdin(Stdio::null()).output()?;
        if ran.status.success() || start.elapsed() >= call.patience {
            return Ok(ran);
        }
        std::thread::sleep(PAUSE);
    }
}

fn perform(manager: Manager, call: &Call, out: &Output) -> Result<(), CommandError> {
    out.note(format_args!("$ {}", call.line()));
    let ran = patiently(call).map_err(|e| {
        let hint = format!("`{}` is part of the system; is it in your PATH?", call.tool);
        CommandError::new(Exit::Failed, format_args!("cannot run `{}`: {e}", call.tool), hint)
    })?;
    if call.may_fail && !ran.status.success() {
        return Ok(());
    }
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if ran.status.success() {
        for line in said.lines() {
            out.note(line);
        }
        return Ok(());
    }
    let what = format!("`{}` failed ({}):\n{}", call.line(), ran.status, said.trim_end());
    let hint = match manager {
        Manager::Systemd => {
            "`journalctl --user --unit reaper.service -n 20` says why; after too many failures \
             `systemctl --user reset-failed reaper.service` lets it start again"
        }
        Manager::Launchd => {
            "an agent can be loaded only by a user who is logged in on the desktop, not by ssh alone"
        }
    };
    Err(CommandError::new(Exit::Failed, what, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Succeeds when it is run for the third time.
    fn third_time(patience: Duration) -> (bool, usize) {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let script = format!("echo >>'{0}'; [ $(wc -l <'{0}') -ge 3 ]", count.display());
        let call = Call { tool: "sh", args: vec!["-c".to_owned(), script], may_fail: false, patience };
        let ran = patiently(&call).unwrap();
        (ran.status.success(), fs::read_to_string(count).unwrap().lines().count())
    }

    #[test]
    fn a_failing_command_is_retried_until_its_time_limit() {
        assert_eq!(third_time(Duration::from_secs(60)), (true, 3));
        assert_eq!(third_time(Duration::ZERO), (false, 1));
    }
}
