//! Asking the service managers which process is a unit's own.
//!
//! `systemctl show` is the manager's own documented, scriptable answer; it takes some milliseconds, so
//! only units of processes that are about to be ended are asked, all in one call for each manager.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::host::{HostError, UnitMain};
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
        let text = run(&mut command(manager, own_uid, &units, &names), limit)
            .map_err(|why| HostError { what: WHAT, why })?;
        let blocks = parse(&text);
        for unit in units {
            // A name that was not answered for is no answer: aliases are resolved by `Names=`.
            let block = blocks.iter().find(|b| b.names.contains(&unit.name));
            let (main, control) = block
                .and_then(|b| Some((b.main?, b.control?)))
                .ok_or(HostError { what: WHAT, why: Why::Garbled("it did not answer for every unit") })?;
            answers.push(UnitMain { unit: unit.clone(), main: Pid::new(main), control: Pid::new(control) });
        }
    }
    Ok(answers)
}

/// Properties of one unit, those of the names that its manager knows.
pub(super) fn properties(
    unit: &RuntimeUnit,
    own_uid: Uid,
    names: &[&str],
    limit: Duration,
) -> Result<Vec<(String, String)>, HostError> {
    let text = run(&mut command(unit.user, own_uid, &[unit], names), limit)
        .map_err(|why| HostError { what: "ask the service manager for a unit's properties", why })?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn command(manager: Option<Uid>, own_uid: Uid, units: &[&RuntimeUnit], names: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    match manager {
        None => {
            command.arg("--system");
        }
        Some(uid) => {
            command.arg("--user");
            if uid == own_uid {
                // A service or a cron job may lack it, and the bus is found through it.
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
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn run(command: &mut Command, limit: Duration) -> Result<String, Why> {
    let mut child = command.spawn().map_err(|e| Why::Failed(format!("systemctl: {e}")))?;
    let mut out = child.stdout.take().ok_or(Why::Garbled("systemctl has no output"))?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                // Our own child, which nobody else can have collected.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Why::Slow(limit));
            }
            Err(e) => return Err(Why::Failed(format!("systemctl: {e}"))),
        }
    };
    if !status.success() {
        return Err(Why::Failed(format!("systemctl: {status}")));
    }
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(e)) => Err(Why::Failed(format!("systemctl: {e}"))),
        Err(_) => Err(Why::Garbled("the reader of systemctl stopped")),
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

    #[test]
    fn a_manager_that_hangs_is_given_up() {
        let started = Instant::now();
        let answer = run(Command::new("sleep").arg("60").stdout(Stdio::piped()), Duration::from_millis(50));
        assert_eq!(answer, Err(Why::Slow(Duration::from_millis(50))));
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(
            run(Command::new("/nonexistent/systemctl").stdout(Stdio::piped()), Duration::from_secs(1))
                .is_err()
        );
    }
}
