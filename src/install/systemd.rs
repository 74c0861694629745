//! The systemd user unit: its file, and the commands of `systemctl --user`.

use std::path::{Path, PathBuf};

use super::request::{Call, Refusal, Wish};

/// The unit as the packages ship it; `reaper service` installs the same, with the path of this program.
const UNIT: &str = include_str!("../../packaging/systemd/user/reaper.service");
/// The path of the program in it.
const PACKAGED: &str = "/usr/bin/reaper";
/// The name of the unit.
pub const NAME: &str = "reaper.service";
/// Directories of packaged user units, in order of precedence (systemd.unit(5)).
pub const PACKAGES: [&str; 4] =
    ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user"];

/// The path of our file.
pub(super) fn place(wish: &Wish) -> PathBuf {
    let config = wish.config_home.clone().unwrap_or_else(|| wish.home.join(".config"));
    config.join("systemd/user").join(NAME)
}

/// The text of our file.
pub(super) fn text(wish: &Wish) -> Result<String, Refusal> {
    let program = word(&wish.program)?;
    let config = match &wish.config {
        Some(config) => format!("--config {} ", word(config)?.replace('$', "$$")),
        None => String::new(),
    };
    let lines = UNIT.lines().map(|line| match line.split_once('=') {
        Some((key @ ("ExecStart" | "ExecReload"), command)) => {
            let rest = command.strip_prefix(PACKAGED).unwrap_or(command).trim_start();
            format!("{key}={program} {config}{rest}\n")
        }
        // Reading the environment of a process takes all of its capabilities. A manager that lacks this one cannot
        // grant it.
        _ if wish.wake_alarm && line == "[Service]" => {
            format!("{line}\nAmbientCapabilities=CAP_WAKE_ALARM\n")
        }
        _ => format!("{line}\n"),
    });
    Ok(lines.collect())
}

/// Whether the unit of a package runs this program.
#[must_use]
pub fn runs(unit: &str, program: &Path) -> bool {
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
    start.is_some_and(|command| word(program).is_ok_and(|program| command == format!("{program} run")))
}

/// One word of a command line (systemd.service(5)): quoted where it must be, `%` doubled.
fn word(path: &Path) -> Result<String, Refusal> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
        Refusal::new(
            format!("the path `{}` cannot be written in a unit", path.display()),
            "move it to a path of plain text",
        )
    })?;
    let text = text.replace('%', "%%");
    let is_plain = |c: char| c.is_alphanumeric() || "-_./%@+,:=".contains(c);
    if text.chars().all(is_plain) {
        return Ok(text);
    }
    Ok(format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"")))
}

fn systemctl<const N: usize>(args: [&str; N]) -> Call {
    let mut call = Call::new("systemctl", args);
    call.args.insert(0, "--user".to_owned());
    call
}

/// The commands that enable and restart the unit; a restart replaces a running service of an older version.
pub(super) fn enable() -> Vec<Call> {
    vec![systemctl(["daemon-reload"]), systemctl(["enable", NAME]), systemctl(["restart", NAME])]
}

/// The commands before the file is removed, and after.
pub(super) fn disable() -> (Vec<Call>, Vec<Call>) {
    // A failed unit would stay listed.
    let before = vec![systemctl(["disable", "--now", NAME]), systemctl(["reset-failed", NAME]).may_fail()];
    (before, vec![systemctl(["daemon-reload"])])
}

/// The command whose output [`super::status`] reads.
#[must_use]
pub fn ask() -> Call {
    let names = "--property=LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,MainPID,Result,StatusText,NeedDaemonReload";
    systemctl(["show", names, NAME])
}

/// Facts about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Whether systemd is PID 1 (sd_booted(3)).
    pub is_booted: bool,
    /// Whether `systemctl` is installed.
    pub has_systemctl: bool,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
    /// Whether the user's manager has its socket in [`Machine::runtime`].
    pub is_reachable: bool,
    /// Whether the user's manager has its socket in `/run/user/UID`.
    pub is_running: bool,
    /// Whether `sudo` started us.
    pub is_sudo: bool,
    /// The user's name, as far as it is known.
    pub user: Option<String>,
}

/// Why no service manager can run the service; `None` when one can.
#[must_use]
pub fn refusal(machine: &Machine, uid: u32) -> Option<Refusal> {
    let user = machine.user.clone().unwrap_or_else(|| uid.to_string());
    let root = "for a service of the whole machine use the system's unit: `systemctl enable --now \
                reaper-system.service`";
    if !machine.is_booted || !machine.has_systemctl {
        return Some(Refusal::new(
            "systemd does not run this machine, so it cannot run the service",
            "let whatever starts your programs here start `reaper run`, which stays in the foreground; or run \
             `reaper scan --yes` from cron",
        ));
    }
    if machine.is_sudo && uid == 0 {
        return Some(Refusal::new(
            "`reaper service` is for the user who runs it, and with sudo that is root",
            format!("run it without sudo for yourself; {root}"),
        ));
    }
    if machine.is_reachable {
        return None;
    }
    let hint = match (&machine.runtime, machine.is_running) {
        (_, true) => format!(
            "one runs, but this shell does not know it, as after `su` or `sudo`: \
             `export XDG_RUNTIME_DIR=/run/user/{uid}`, then run this again"
        ),
        (_, false) if uid == 0 => root.to_owned(),
        (_, false) => format!(
            "let root run `loginctl enable-linger {user}`, which starts one, then log in anew, by ssh or on a \
             console; or let root run `systemctl enable --now reaper@{uid}.service`, which needs none"
        ),
    };
    let place = match &machine.runtime {
        Some(runtime) => format!("there is no `{}`", runtime.join("systemd/private").display()),
        None => "XDG_RUNTIME_DIR is not set".to_owned(),
    };
    Some(Refusal::new(format!("no user manager of systemd can be reached: {place}"), hint))
}
