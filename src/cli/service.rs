//! `reaper service`: installs, removes and shows the service of the user.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reaper_platform::{Capabilities, Host as _, Pid};

use super::args::{Print, Service};
use super::exit::{CommandError, Exit};
use super::invocation::Invocation;
use super::output::Output;
use crate::config;
use crate::config::Overrides;
use crate::doctor::linger;
use crate::install;
use crate::install::ownership;
use crate::install::ownership::Found;
use crate::install::request::{Refusal, Wish};
use crate::install::status;
use crate::install::status::Facts;
use crate::install::{Manager, Present, launchd, systemd};

mod reachable;
mod steps;

use reachable::reachable;

pub fn run(invocation: &Invocation, what: &Service, out: &mut Output) -> Result<Exit, CommandError> {
    let manager = Manager::current();
    let wish = wish(invocation)?;
    match what {
        Service::Install(args) => {
            // A service that could not start is not installed.
            config::load(&invocation.sources, &Overrides::default())?;
            warn_of_place(&wish.program, out);
            let steps = install::install(manager, &wish, &present(manager, &wish)?)?;
            if !steps::carry_out(invocation, manager, &steps, *args, out)? {
                return Ok(Exit::Done);
            }
            out.note(
                "the service runs, and will start by itself; `reaper status` asks it, `reaper doctor` checks",
            );
            if manager == Manager::Systemd && linger_of(invocation) == Some(false) {
                out.warn(
                    "it starts when you log in and ends with your last session\nhint: `loginctl enable-linger` \
                     keeps it running while you are logged out, if agents do",
                );
            }
            Ok(Exit::Done)
        }
        Service::Uninstall(args) => {
            let steps = install::uninstall(manager, &wish, &present(manager, &wish)?)?;
            if steps::carry_out(invocation, manager, &steps, *args, out)? && steps.len() > 1 {
                let kept = invocation.paths().map(|paths| paths.state.display().to_string());
                out.note(format_args!(
                    "the service is gone; its history stays{}",
                    kept.map(|kept| format!(" in {kept}")).unwrap_or_default()
                ));
            }
            Ok(Exit::Done)
        }
        Service::Status(args) => report(invocation, manager, &wish, *args, out),
    }
}

fn wish(invocation: &Invocation) -> Result<Wish, CommandError> {
    let absolute = |name: &str| invocation.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let failed = |what: String, hint: &str| CommandError::new(Exit::Failed, what, hint);
    let program = std::env::current_exe().and_then(fs::canonicalize).map_err(|e| {
        failed(format!("cannot tell where this program is installed: {e}"), "run it by its full path")
    })?;
    let config = invocation.sources.explicit.as_ref().map(|path| {
        let hint = "name a config file that is there";
        fs::canonicalize(path).map_err(|e| failed(format!("cannot find `{}`: {e}", path.display()), hint))
    });
    let uid = invocation.host.info().uid;
    // The other process in the manager's own cgroup is `(sd-pam)`.
    let is_manager = |pid: &Pid| invocation.host.stat_of(*pid).is_ok_and(|stat| stat.comm == b"systemd");
    let manager = invocation.host.manager_hint(uid).filter(is_manager);
    let permitted = manager.and_then(|manager| invocation.host.permitted(manager));
    Ok(Wish {
        program,
        config: config.transpose()?,
        home: absolute("HOME").ok_or_else(|| {
            failed("HOME holds no absolute path".to_owned(), "set HOME to your home directory")
        })?,
        config_home: absolute("XDG_CONFIG_HOME"),
        uid: uid.0,
        wake_alarm: permitted.is_some_and(|held| held.has(Capabilities::WAKE_ALARM)),
    })
}

/// Finds the files of an existing installation.
fn present(manager: Manager, wish: &Wish) -> Result<Present, CommandError> {
    let path = install::place(manager, wish);
    let failed = |e: io::Error| {
        let what = format!("cannot read `{}`: {e}", path.display());
        CommandError::new(Exit::Failed, what, "make it yours, and readable")
    };
    let file = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_symlink() => Found::Link(fs::read_link(&path).map_err(failed)?),
        Ok(meta) if !meta.is_file() => Found::Foreign,
        Ok(_) => match String::from_utf8(fs::read(&path).map_err(failed)?) {
            Ok(text) => ownership::recognise(&text),
            Err(_) => Found::Foreign,
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(e) => return Err(failed(e)),
    };
    let mut units = systemd::PACKAGES.iter().map(|folder| Path::new(folder).join(systemd::NAME));
    // The one with the highest precedence hides the others, also when it runs another program.
    let unit = units.find_map(|path| Some((fs::read_to_string(&path).ok()?, path)));
    let unit = unit.filter(|(text, _)| manager == Manager::Systemd && systemd::runs(text, &wish.program));
    Ok(Present { file, packaged: unit.map(|(_, path)| path) })
}

/// Warns when the program is in a build directory, where `cargo clean` would remove it.
fn warn_of_place(program: &Path, out: &Output) {
    // Cargo tags the directory only if it made it; its lock is beside each program that it built.
    let tags = ["CACHEDIR.TAG", ".cargo-lock"];
    if program.ancestors().any(|folder| tags.iter().any(|tag| folder.join(tag).exists())) {
        out.warn(format_args!(
            "`{}` lies where programs are built, and may be replaced or removed there\nhint: `cargo install --locked \
             --path .` installs it; run that one's `service install`",
            program.display()
        ));
    }
}

fn linger_of(invocation: &Invocation) -> Option<bool> {
    linger::gather(&invocation.host, true).and_then(|facts| facts.is_on)
}

fn report(
    invocation: &Invocation,
    manager: Manager,
    wish: &Wish,
    args: Print,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let call = match manager {
        Manager::Systemd => systemd::ask(),
        Manager::Launchd => launchd::ask(wish.uid),
    };
    if args.print {
        out.data(format_args!("{}\n", call.line()));
        return Ok(Exit::Done);
    }
    let place = install::place(manager, wish);
    let found = present(manager, wish)?.file;
    reachable(invocation, manager)?;
    let ran = Command::new(call.tool).args(&call.args).env("LC_ALL", "C").stdin(Stdio::null()).output();
    let ran = ran.map_err(|e| {
        let what = format!("cannot run `{}`: {e}", call.tool);
        CommandError::new(Exit::Failed, what, "it is part of the system; is it in your PATH?")
    })?;
    let text = String::from_utf8_lossy(&ran.stdout);
    let facts: Facts = match manager {
        Manager::Systemd if !ran.status.success() => {
            let what = format!(
                "`{}` failed ({}): {}",
                call.line(),
                ran.status,
                String::from_utf8_lossy(&ran.stderr).trim_end()
            );
            return Err(CommandError::new(
                Exit::Failed,
                what,
                "is your user manager well? `systemctl --user status`",
            ));
        }
        Manager::Systemd => status::systemd(&text),
        Manager::Launchd => status::launchd(ran.status.success().then_some(&text)),
    };
    let linger = if manager == Manager::Systemd { linger_of(invocation) } else { None };
    out.data(status::describe(&facts, &place, &found, linger));
    if let Some(hint) = status::hint(&facts, manager, &wish.home) {
        out.note(format_args!("hint: {hint}"));
    }
    Ok(if facts.runs { Exit::Done } else { Exit::Failed })
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::new(Exit::Failed, refusal.what, refusal.hint)
    }
}
