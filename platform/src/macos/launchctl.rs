//! Asks launchd which processes are its jobs.
//!
//! Every job has launchd for its parent, and so has every orphan; nothing that can be read of a process tells them
//! apart. `launchctl list` prints the jobs of the session that we are in, in three columns that its manual documents.
//! Jobs of other domains are in `launchctl print DOMAIN`, whose format is undocumented: so anything that is not
//! exactly as known makes the whole answer unknown, and no process is ended on the strength of it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::command;
use crate::host::HostError;
use crate::types::UnitMain;
use crate::types::{Pid, RuntimeUnit, Uid, Why};

/// The command by its fixed path; it is not searched in `PATH`.
pub const PROGRAM: &str = "/bin/launchctl";

const WHAT: &str = "ask launchd for its jobs";
/// The exit status of `launchctl` when there is no such domain, for example without a graphical login.
const NO_SUCH_DOMAIN: i32 = 112;

/// Asks for all running jobs that can be a process of `uid`: those of the user's domains, and those of the system,
/// which may run as any user.
///
/// # Errors
/// When launchd cannot be asked, does not answer within `limit`, or its answer cannot be understood.
pub fn jobs(program: &Path, uid: Uid, limit: Duration) -> Result<Vec<UnitMain>, HostError> {
    let deadline = Instant::now() + limit;
    let user = [format!("user/{uid}"), format!("gui/{uid}")];
    let domains = [("system", None), (&user[0], Some(uid)), (&user[1], Some(uid))];
    let ask = |args: &[&str]| {
        let left = deadline.saturating_duration_since(Instant::now());
        command::run(Command::new(program).args(args).env("LC_ALL", "C"), left)
    };
    let mut all = Vec::new();
    let said = ask(&["list"])
        .and_then(|said| if said.status.success() { list(&said.text) } else { Err(failed(&said)) });
    all.extend(
        said.map_err(|why| HostError { what: WHAT, why })?.into_iter().map(|job| main(job, Some(uid))),
    );
    for (domain, user) in domains {
        let found = ask(&["print", domain]).and_then(|said| match said.status.code() {
            Some(0) => print(&said.text),
            Some(NO_SUCH_DOMAIN) if user.is_some() => Ok(Vec::new()),
            _ => Err(failed(&said)),
        });
        all.extend(
            found.map_err(|why| HostError { what: WHAT, why })?.into_iter().map(|job| main(job, user)),
        );
    }
    Ok(all)
}

fn failed(said: &command::Said) -> Why {
    Why::Failed(format!("launchctl: {}", said.status))
}

fn main((pid, label): Job, user: Option<Uid>) -> UnitMain {
    UnitMain { unit: RuntimeUnit { name: label, user }, main: Some(pid), control: None }
}

/// A running job: its process and its label.
pub type Job = (Pid, String);

/// Reads what `launchctl list` prints; jobs that do not run are left out.
///
/// ```text
/// PID     Status  Label
/// 612     0       com.apple.Finder
/// -       0       com.apple.mdworker.shared
/// 4242    -9      homebrew.mxcl.postgresql@16
/// ```
///
/// # Errors
/// [`Why::Garbled`] when anything does not have that form.
pub fn list(text: &str) -> Result<Vec<Job>, Why> {
    const ODD: Why = Why::Garbled("what `launchctl list` prints cannot be understood");
    let mut lines = text.lines();
    if !lines.next().is_some_and(|head| head.split_whitespace().eq(["PID", "Status", "Label"])) {
        return Err(ODD);
    }
    let job = |line: &str| -> Result<Option<Job>, Why> {
        let mut columns = line.splitn(3, '\t');
        let (Some(pid), Some(status), Some(label)) = (columns.next(), columns.next(), columns.next()) else {
            return Err(ODD);
        };
        status.trim().parse::<i32>().map_err(|_| ODD)?;
        let label = label.trim_end();
        match pid.trim() {
            _ if label.is_empty() => Err(ODD),
            "-" => Ok(None),
            digits => Pid::parse(digits.as_bytes()).map(|pid| Some((pid, label.to_owned()))).ok_or(ODD),
        }
    };
    lines.filter_map(|line| job(line).transpose()).collect()
}

/// Reads the list of services in what `launchctl print DOMAIN` prints; those that do not run have pid 0 and are left
/// out.
///
/// ```text
/// gui/501 = {
///         type = login
///         services = {
///                      887      -         net.example.postgresql
///                        0     78         com.example.broken
///                     4242   (pe)         com.example.helper
///         }
///         unmanaged processes = {
/// ```
///
/// # Errors
/// [`Why::Garbled`] when anything of the list is not of that form, or it does not end.
pub fn print(text: &str) -> Result<Vec<Job>, Why> {
    const ODD: Why = Why::Garbled("what `launchctl print` prints cannot be understood");
    let lines = || text.lines();
    let is_begin = |line: &&str| *line == "\tservices = {";
    // The environment of the domain is printed too, and may hold lines of any form: a single list cannot be a forged
    // one.
    let is_whole = lines().next().is_some_and(|head| head.ends_with(" = {"))
        && lines().rfind(|line| !line.is_empty()) == Some("}")
        && lines().filter(is_begin).count() == 1;
    if !is_whole {
        return Err(ODD);
    }
    let mut jobs = Vec::new();
    for line in lines().skip_while(|line| !is_begin(line)).skip(1) {
        if line == "\t}" {
            return Ok(jobs);
        }
        let (columns, label) = line.trim_start().split_once('\t').ok_or(ODD)?;
        let mut columns = columns.split_whitespace();
        let (Some(pid), Some(_), None) = (columns.next(), columns.next(), columns.next()) else {
            return Err(ODD);
        };
        let label = label.trim();
        if label.is_empty() {
            return Err(ODD);
        }
        match pid {
            "0" | "-" => {}
            digits => jobs.push((Pid::parse(digits.as_bytes()).ok_or(ODD)?, label.to_owned())),
        }
    }
    Err(ODD)
}

#[cfg(test)]
#[path = "tests/launchd.rs"]
mod tests;
