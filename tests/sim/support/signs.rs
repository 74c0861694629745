//! The oracle's view of a single process: its marks, its names, and the profiles that claim it.

use std::collections::BTreeSet;

use reaper_platform::Uid;
use reaper_platform::fake::Process;

/// A profile, as far as scenes use it. `programs` is what they use of the real list.
pub struct Family {
    pub name: &'static str,
    pub marker: &'static str,
    pub programs: Option<&'static [&'static str]>,
    pub needs_lease: bool,
    pub owner_env: Option<&'static str>,
    pub owner_pid_env: Option<&'static str>,
    pub stays_with: &'static [&'static str],
}

const AGENTS: &[&str] = &["goose", "claude-agent-acp", "claude", "codex"];
const PLAIN: Family = Family {
    name: "",
    marker: "",
    programs: None,
    needs_lease: false,
    owner_env: None,
    owner_pid_env: None,
    stays_with: &[],
};
/// The profiles in force under [`super::policy`].
pub const FAMILIES: [Family; 4] = [
    Family { name: "sprout", marker: "SPROUT_MANAGED_AGENT", programs: Some(AGENTS), ..PLAIN },
    Family {
        name: "buzz",
        marker: "BUZZ_MANAGED_AGENT",
        programs: Some(AGENTS),
        owner_env: Some("BUZZ_MANAGED_AGENT_START_NONCE"),
        ..PLAIN
    },
    Family { name: "own", marker: "REAPER_MANAGED", needs_lease: true, ..PLAIN },
    Family {
        name: "mine",
        marker: "MINE",
        programs: Some(&["my-agent"]),
        owner_pid_env: Some("MINE_PID"),
        stays_with: &["--stay"],
        ..PLAIN
    },
];
pub const WRAPPERS: [&str; 4] = ["npm", "npx", "sh", "bash"];
pub const PROTECTED: [&str; 8] =
    ["tmux", "screen", "sshd", "systemd", "tini", "dbus-daemon", "reaper", "git"];
pub const INITS: [&str; 4] = ["systemd", "tini", "dumb-init", "pause"];
pub const ONE_COMMAND: [&str; 2] = ["tini", "dumb-init"];

/// Whether we, an ordinary user, can read and trust its environment.
pub fn is_readable(p: &Process) -> bool {
    let intact = p.environ.is_empty() || p.environ.ends_with(b"\0") && !p.environ.starts_with(b"\0");
    let whole = intact && !p.environ.windows(2).any(|w| w == b"\0\0");
    let is_ours = [p.ids.real, p.ids.effective, p.ids.saved] == [Uid(1000); 3];
    p.closed.is_none() && is_ours && whole && p.environ.len() as u64 == p.environ_len
}

/// All values of a variable, in an environment that can be read and trusted.
pub fn values(p: &Process, name: &str) -> Vec<Vec<u8>> {
    if !is_readable(p) {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for entry in p.environ.split(|b| *b == 0) {
        if let Some(value) = entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) {
            found.insert(value.to_vec());
        }
    }
    found.into_iter().collect()
}

pub fn has(p: &Process, name: &str) -> bool {
    !values(p, name).is_empty()
}

/// The one value of a variable.
pub fn value(p: &Process, name: &str) -> Option<Vec<u8>> {
    let mut values = values(p, name);
    if values.len() == 1 { values.pop() } else { None }
}

pub fn is_a_no(value: &[u8]) -> bool {
    ["", "0", "false", "no", "off"].contains(&String::from_utf8_lossy(value).to_ascii_lowercase().as_str())
}

/// Whether a process has all of a family's marks.
pub fn carries(p: &Process, family: &Family) -> bool {
    value(p, family.marker).is_some_and(|v| !is_a_no(&v))
        && (!family.needs_lease || value(p, "REAPER_OWNER").is_some_and(|v| !is_a_no(&v)))
}

pub fn knows(family: &Family, p: &Process) -> bool {
    family.programs.is_none_or(|programs| programs.iter().any(|name| is_called(p, name)))
}

/// Whether it only starts another program and waits for it.
pub fn is_wrapper(p: &Process) -> bool {
    WRAPPERS.iter().any(|name| is_called(p, name))
}

pub fn is_marked_wrapper(p: &Process) -> bool {
    FAMILIES.iter().any(|f| carries(p, f)) && is_wrapper(p)
}

pub fn may_be_an_agent(p: &Process) -> bool {
    let named = FAMILIES.iter().filter_map(|f| f.programs).flatten().any(|name| is_called(p, name));
    named || p.comm == b"node"
}

/// Agents by name, whatever profile is asked; scenes use these of the real list.
pub fn is_an_agent(p: &Process) -> bool {
    AGENTS.iter().chain(&["my-agent"]).any(|name| is_called(p, name))
}

/// Whether a profile for any program protects it, because agents start such programs for the user.
pub fn is_for_a_person(p: &Process) -> bool {
    ["vim", "postgres"].iter().any(|name| is_called_widely(p, name))
}

/// Whether we, an ordinary user, may look at its descriptors.
pub fn is_open_to_us(p: &Process) -> bool {
    p.closed.is_none() && [p.ids.real, p.ids.effective, p.ids.saved] == [Uid(1000); 3]
}

/// Whether one of a process's names is this one and nothing behind it.
pub fn is_called(p: &Process, name: &str) -> bool {
    names(p).iter().any(|n| n == name.as_bytes())
}

/// Whether one of a process's names is this one, alone or followed by `-`, `_` or `.`.
pub fn is_called_widely(p: &Process, name: &str) -> bool {
    names(p).iter().any(|n| {
        n.strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|b| [b'-', b'_', b'.'].contains(b)))
    })
}

fn names(p: &Process) -> Vec<Vec<u8>> {
    let base = |path: &[u8]| path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    let exe = base(p.exe.strip_suffix(b" (deleted)").unwrap_or(&p.exe));
    let mut names = vec![exe.clone()];
    names.extend(p.argv.first().map(|a| base(a)));
    if p.comm.len() < 15 {
        names.push(p.comm.clone());
    }
    if exe == b"node" {
        names.retain(|n| n != b"node");
        names.extend(p.argv.get(1).map(|script| base(script.strip_suffix(b".js").unwrap_or(script))));
    }
    names
}
