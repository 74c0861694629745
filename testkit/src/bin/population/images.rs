//! What the processes look like: names, arguments and environments, and how a helper becomes one of them by exec.

use crate::options::Options;
use crate::sleeper::Part;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MARKER: (&str, &str) = ("SPROUT_MANAGED_AGENT", "1");

/// Adds to an error what was attempted.
pub fn doing<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|e| format!("cannot {what}: {e}"))
}

/// The directory of the hard links.
pub fn here() -> Result<PathBuf, String> {
    let me = doing("find this executable", std::env::current_exe())?;
    me.parent().map(Path::to_path_buf).ok_or_else(|| "this executable is in no directory".into())
}

/// This executable under one of its names, as a helper of the building. It gets the options in its environment.
pub fn helper(name: &str, args: &[&str]) -> Result<Command, String> {
    let mut command = Command::new(here()?.join(name));
    command.args(args);
    Ok(command)
}

/// A sleeper for each of the names, all alike otherwise.
pub fn images(options: &Options, names: &[&str], part: Part, marked: bool) -> Result<Vec<Command>, String> {
    let dir = here()?;
    Ok(names.iter().map(|name| image(options, &dir, name, part, marked)).collect())
}

/// One sleeper, ready to be started any number of times.
pub fn image(options: &Options, dir: &Path, name: &str, part: Part, marked: bool) -> Command {
    let mut command = Command::new(dir.join(name));
    let argument = part.argument();
    let mut left = options.cmd_bytes.saturating_sub(name.len() + argument.len() + 2);
    command.arg0(name).arg(argument);
    // Flags only: a bare word would be the script of an interpreter.
    let flags =
        "--model=opus-latest,--allowed-tools=Bash(git:*),Edit,Read,--output-format=stream-json,--verbose";
    while left > 8 {
        let flag = flags.get(..flags.len().min(left - 1)).unwrap_or(flags);
        command.arg(flag);
        left -= flag.len() + 1;
    }
    command.env_clear().envs(environment(options, marked));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The stand-in user manager once it has its children.
pub fn manager_image(options: &Options) -> Result<Command, String> {
    let mut command = Command::new(here()?.join("systemd"));
    command.arg0("/usr/lib/systemd/systemd").arg("--user").env_clear().envs(environment(options, false));
    Ok(command)
}

/// Variables of the requested size, with the marker in the middle.
fn environment(options: &Options, marked: bool) -> Vec<(String, String)> {
    let each = options.env_bytes / options.env_vars.max(1);
    let mut variables = Vec::new();
    for i in 0..options.env_vars {
        // `Command` sorts its variables: these names put the marker into the middle of the block.
        let prefix = if i < options.env_vars / 2 { "AGENT_VARIABLE" } else { "VARIABLE_OF_AGENT" };
        let name = format!("{prefix}_{i:03}");
        let value = "/usr/local/lib:".repeat(each / 15 + 1);
        let value = value.get(..each.saturating_sub(name.len() + 2)).unwrap_or_default().to_owned();
        variables.push((name, value));
    }
    if marked {
        variables.pop();
        variables.push((MARKER.0.into(), MARKER.1.into()));
    }
    variables
}

/// Executes as the sleeper, keeping pid and children; returns only the error.
pub fn turn_into(command: &mut Command) -> Result<u8, String> {
    // The new output closes the pipe that `turned` reads to its end.
    let why = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).exec();
    Err(format!("cannot turn into a sleeper: {why}"))
}

/// Starts a helper and waits until it has turned into a sleeper.
pub fn until_turned(command: &mut Command) -> Result<u32, String> {
    let child = doing("start a helper", command.spawn())?;
    let pid = child.id();
    turned(child)?;
    Ok(pid)
}

/// Waits until a helper that was started with a pipe for its output has turned into a sleeper.
pub fn turned(mut child: Child) -> Result<(), String> {
    let mut output = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        doing("read a helper's output", pipe.read_to_end(&mut output))?;
    }
    match doing("look at a helper", child.try_wait())? {
        None => Ok(()),
        Some(status) => Err(format!("a helper failed with {status}")),
    }
}
