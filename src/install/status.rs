//! The state of the service as its service manager reports it.

use std::fmt::Write as _;
use std::path::Path;

use super::ownership::Found;
use super::{Manager, launchd, systemd};
use reaper_policy::escape::again;

/// The state of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The unit file or agent file in force.
    pub file: Option<String>,
    /// Drop-in files that change the unit.
    pub drop_ins: Option<String>,
    /// Whether it is enabled, in the tool's word.
    pub enabled: Option<String>,
    /// Its state, in the tool's words.
    pub state: String,
    /// Whether it runs.
    pub runs: bool,
    /// Whether it failed.
    pub failed: bool,
    /// Its pid, if it runs.
    pub pid: Option<u32>,
    /// The status line that it sent to systemd.
    pub said: Option<String>,
    /// Whether the file was changed since the manager loaded it.
    pub is_stale: bool,
}

/// Parses the output of `systemctl show`.
#[must_use]
pub fn systemd(text: &str) -> Facts {
    let get = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let is = |name: &str, value: &str| get(name).as_deref() == Some(value);
    let mut state = get("ActiveState").unwrap_or_else(|| "unknown".to_owned());
    if let Some(sub) = get("SubState").filter(|sub| *sub != state && sub != "dead") {
        let _ = write!(state, " ({sub})");
    }
    if let Some(result) = get("Result").filter(|result| result != "success") {
        let _ = write!(state, ", result {result}");
    }
    let runs = is("ActiveState", "active") || is("ActiveState", "reloading");
    Facts {
        file: get("FragmentPath"),
        drop_ins: get("DropInPaths"),
        enabled: get("UnitFileState"),
        runs,
        failed: is("ActiveState", "failed") || is("SubState", "auto-restart"),
        pid: get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0),
        said: get("StatusText").filter(|_| runs),
        is_stale: is("NeedDaemonReload", "yes"),
        state,
    }
}

/// Parses the output of `launchctl print`; `None` when there is no such agent.
#[must_use]
pub fn launchd(text: Option<&str>) -> Facts {
    let Some(text) = text else { return Facts { state: "not loaded".to_owned(), ..Facts::default() } };
    // Only lines of the first indentation are the agent's own; deeper blocks repeat the names.
    let own = |line: &str| line.strip_prefix('\t').filter(|line| !line.starts_with('\t')).map(str::to_owned);
    let lines: Vec<String> = text.lines().filter_map(own).collect();
    let get = |name: &str| {
        let value = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let state = get("state").unwrap_or_else(|| "unknown".to_owned());
    let exit = get("last exit code").filter(|code| code != "0" && !code.starts_with('('));
    let runs = state == "running";
    Facts {
        file: get("path"),
        enabled: None,
        runs,
        failed: !runs && exit.is_some(),
        pid: get("pid").and_then(|pid| pid.parse().ok()),
        state: match exit {
            Some(code) if !runs => format!("{state}, last exit code {code}"),
            _ => state,
        },
        ..Facts::default()
    }
}

/// Renders the state for people.
#[must_use]
pub fn describe(facts: &Facts, place: &Path, found: &Found, linger: Option<bool>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<8} {value}");
    };
    let origin = |file: &str| match found {
        _ if Path::new(file) != place => "not written by `reaper service install`",
        Found::Own(_) => "written by `reaper service install`",
        Found::Changed => "written by `reaper service install` and changed since",
        _ => "not written by `reaper service install`",
    };
    match &facts.file {
        Some(file) => line("file", &format!("{}, {}", again(file), origin(file))),
        None if *found == Found::Nothing => line("file", "none"),
        None => {
            let path = place.display().to_string();
            line("file", &format!("{}, {}, and not loaded", again(&path), origin(&path)));
        }
    }
    if let Some(drop_ins) = &facts.drop_ins {
        line("changes", &again(drop_ins));
    }
    if let Some(enabled) = &facts.enabled {
        line("enabled", if enabled == "enabled" { "yes" } else { enabled });
    }
    let pid = facts.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    line("state", &format!("{}{pid}", again(&facts.state)));
    if let Some(said) = &facts.said {
        line("says", &again(said));
    }
    if let Some(linger) = linger {
        line("linger", if linger { "on" } else { "off: it ends with your last session" });
    }
    text
}

/// What to do about the state; `None` when nothing needs to be done.
#[must_use]
pub fn hint(facts: &Facts, manager: Manager, home: &Path) -> Option<String> {
    let hint = match (manager, facts.runs) {
        (Manager::Systemd, _) if facts.is_stale => {
            "the file was changed since it was read: `reaper service install`, or `systemctl --user daemon-reload` \
             and a restart"
                .to_owned()
        }
        (_, true) => return None,
        (Manager::Systemd, false) if facts.failed => format!(
            "`journalctl --user --unit {} -n 20` says why; mend that, then `systemctl --user restart {}`",
            systemd::NAME,
            systemd::NAME
        ),
        (Manager::Launchd, false) if facts.failed => {
            let log = home.join("Library/Logs/reaper.log");
            format!("`tail {}` says why; mend that, then run `reaper service install`", log.display())
        }
        (Manager::Systemd, false) if facts.file.is_some() => {
            format!("`systemctl --user enable --now {}` starts it", systemd::NAME)
        }
        (Manager::Launchd, false) if facts.file.is_some() => {
            format!("it starts when it is due, or by `launchctl kickstart gui/UID/{}`", launchd::LABEL)
        }
        (_, false) => "`reaper service install` installs it".to_owned(),
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "Type=notify\nResult=success\nMainPID=4242\nActiveState=active\nSubState=running\n\
        LoadState=loaded\nFragmentPath=/h/.config/systemd/user/reaper.service\nUnitFileState=enabled\n\
        StatusText=3 ended so far\nNeedDaemonReload=no\nDropInPaths=\n";

    #[test]
    fn a_unit_that_runs() {
        let facts = systemd(RUNNING);
        assert!(facts.runs && !facts.failed && !facts.is_stale);
        assert_eq!(facts.pid, Some(4242));
        let place = Path::new("/h/.config/systemd/user/reaper.service");
        let text = describe(&facts, place, &Found::Own(String::new()), Some(false));
        assert_eq!(
            text,
            "file     /h/.config/systemd/user/reaper.service, written by `reaper service install`\n\
             enabled  yes\nstate    active (running), pid 4242\nsays     3 ended so far\n\
             linger   off: it ends with your last session\n"
        );
        assert_eq!(hint(&facts, Manager::Systemd, Path::new("/h")), None);
        assert!(
            hint(&systemd(&RUNNING.replace("Reload=no", "Reload=yes")), Manager::Systemd, place).is_some()
        );
        let changed = describe(&facts, place, &Found::Changed, None);
        assert!(changed.contains("and changed since"), "{changed}");
    }

    #[test]
    fn a_unit_that_does_not_run_says_what_helps() {
        let home = Path::new("/h");
        for (text, state, helps) in [
            (
                "ActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\nFragmentPath=/f\n",
                "failed, result exit-code",
                "journalctl",
            ),
            (
                "ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nFragmentPath=/f\n",
                "activating (auto-restart), result exit-code",
                "journalctl",
            ),
            (
                "ActiveState=inactive\nSubState=dead\nResult=success\nFragmentPath=/f\nUnitFileState=disabled\n",
                "inactive",
                "enable --now",
            ),
            (
                "LoadState=not-found\nActiveState=inactive\nSubState=dead\n",
                "inactive",
                "reaper service install",
            ),
            ("", "unknown", "reaper service install"),
        ] {
            let facts = systemd(text);
            assert_eq!((facts.state.as_str(), facts.runs, facts.pid), (state, false, None), "{text}");
            let hint = hint(&facts, Manager::Systemd, home).unwrap();
            assert!(hint.contains(helps), "{hint}");
        }
    }

    #[test]
    fn an_agent_of_launchd() {
        let text = "gui/501/reaper = {\n\tactive count = 1\n\tpath = /Users/a/Library/LaunchAgents/reaper.plist\n\
            \tstate = running\n\n\tprogram = /usr/local/bin/reaper\n\tendpoints = {\n\t\tstate = other\n\t\tpid = 1\n\t}\n\
            \tpid = 812\n\tlast exit code = (never exited)\n}\n";
        let facts = launchd(Some(text));
        assert_eq!((facts.runs, facts.pid, facts.state.as_str()), (true, Some(812), "running"));
        assert_eq!(facts.file.as_deref(), Some("/Users/a/Library/LaunchAgents/reaper.plist"));
        let down = text
            .replace("= running", "= spawn scheduled")
            .replace("(never exited)", "3")
            .replace("\tpid = 812\n", "");
        let facts = launchd(Some(&down));
        assert_eq!((facts.runs, facts.failed, facts.pid), (false, true, None));
        assert_eq!(facts.state, "spawn scheduled, last exit code 3");
        let hint = |facts: &Facts| hint(facts, Manager::Launchd, Path::new("/Users/a")).unwrap();
        assert!(hint(&facts).contains("/Users/a/Library/Logs/reaper.log"));
        let none = launchd(None);
        assert!(!none.runs && none.file.is_none());
        assert!(hint(&none).contains("reaper service install"));
        let place = Path::new("/Users/a/Library/LaunchAgents/reaper.plist");
        assert!(describe(&none, place, &Found::Own(String::new()), None).contains("and not loaded"));
    }
}
