//! Asks the service managers for the main and control processes of units.
//!
//! `systemctl show` is the manager's documented, scriptable interface; it takes some milliseconds, so
//! it is asked only for units of processes that are about to be ended, for all of them in one call per manager.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::host::HostError;
use crate::types::UnitMain;
use crate::types::{Pid, RuntimeUnit, Uid, Why};

const WHAT: &str = "ask the service manager for the main processes of its units";

pub(super) fn ask(units: &[RuntimeUnit], own_uid: Uid, limit: Duration) -> Result<Vec<UnitMain>, HostError> {
    let mut managers: BTreeMap<Option<Uid>, Vec<&RuntimeUnit>> = BTreeMap::new();
    for unit in units {
        managers.entry(unit.user).or_default().push(unit);
    }
    let mut answers = Vec::with_capacity(units.len());
    for (manager, units) in managers {
        let names = ["Id", "Names", "MainPID", "ControlPID"];
        let text = run(&mut show(manager, own_uid, &units, &names), limit)
            .map_err(|why| HostError { what: WHAT, why })?;
        let blocks = parse(&text);
        for unit in units {
            // Looked up by `Names=`, which includes aliases. A unit that is missing in the output is an error.
            let block = blocks.iter().find(|b| b.names.contains(&unit.name));
            let (main, control) = block
                .and_then(|b| Some((b.main?, b.control?)))
                .ok_or(HostError { what: WHAT, why: Why::Garbled("it did not answer for every unit") })?;
            answers.push(UnitMain { unit: unit.clone(), main: Pid::new(main), control: Pid::new(control) });
        }
    }
    Ok(answers)
}

/// These properties of one unit; names that its manager does not know are left out.
pub(super) fn properties(
    unit: &RuntimeUnit,
    own_uid: Uid,
    names: &[&str],
    limit: Duration,
) -> Result<Vec<(String, String)>, HostError> {
    let text = run(&mut show(unit.user, own_uid, &[unit], names), limit)
        .map_err(|why| HostError { what: "ask the service manager for a unit's properties", why })?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn show(manager: Option<Uid>, own_uid: Uid, units: &[&RuntimeUnit], names: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    match manager {
        None => {
            command.arg("--system");
        }
        Some(uid) => {
            command.arg("--user");
            if uid == own_uid {
                // The bus is found through this variable, which a service or a cron job may lack.
                if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
                    command.env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"));
                }
            } else {
                command.arg(format!("--machine={uid}@.host"));
            }
        }
    }
    command.args(["--no-pager", "show", &format!("--property={}", names.join(",")), "--"]);
    command.args(units.iter().map(|u| &u.name)).env("LC_ALL", "C");
    command
}

fn run(command: &mut Command, limit: Duration) -> Result<String, Why> {
    let said = command::run(command, limit)?;
    if said.status.success() {
        Ok(said.text)
    } else {
        Err(Why::Failed(format!("systemctl: {}", said.status)))
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    names: Vec<String>,
    main: Option<i32>,
    control: Option<i32>,
}

/// Parses blocks of `KEY=VALUE` lines that are separated by empty lines. Units without processes of their
/// own (scopes) print no `MainPID=`.
fn parse(text: &str) -> Vec<Block> {
    text.split("\n\n")
        .map(|block| {
            let mut unit = Block::default();
            for (key, value) in block.lines().filter_map(|l| l.split_once('=')) {
                match key {
                    "Id" => unit.names.push(value.to_owned()),
                    "Names" => unit.names.extend(value.split_whitespace().map(str::to_owned)),
                    "MainPID" => unit.main = value.parse().ok(),
                    "ControlPID" => unit.control = value.parse().ok(),
                    _ => {}
                }
            }
            unit
        })
        .filter(|unit| !unit.names.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemctl_prints() {
        let text = "MainPID=812\nControlPID=0\nId=a.service\nNames=a.service alias.service\n\nMainPID=0\n\
                    ControlPID=9\nId=b.service\nNames=b.service\n";
        let blocks = parse(text);
        assert_eq!(blocks.len(), 2);
        let [a, b] = blocks.as_slice() else { panic!("two blocks") };
        assert_eq!((a.main, a.control), (Some(812), Some(0)));
        assert!(a.names.iter().any(|n| n == "alias.service"));
        assert_eq!((b.main, b.control), (Some(0), Some(9)));
    }

    #[test]
    fn noise_is_no_answer() {
        assert_eq!(parse("Failed to connect to bus\n"), Vec::new());
        assert_eq!(parse("Id=a.service\nMainPID=many\n").first().unwrap().main, None);
    }
}
