//! Texts for the man pages only: files, variables, and related pages.

use crate::config::paths::System;

/// The description in reaper(1).
pub const ABOUT: [&str; 3] = [
    "Desktop apps and editors start agents, and those start servers and tools. When the app crashes, is killed or \
     forgets them, they stay: the kernel hands them to init or to the user's service manager, and nothing waits for \
     them any more. `reaper` finds these orphans, says for each one why it is or is not to be ended, and ends those \
     for which all of eight questions, the gates, were answered with yes.",
    "Only a process whose own environment carries the marker of a known launcher is ever ended. What is not known \
     never kills: a process that cannot be read is spared and reported. Orphans must have been seen orphaned for a \
     while, the grace; then they get SIGTERM, and SIGKILL when they do not end in time. Each is judged again before \
     each signal, and each signal is written to the history, with its evidence, before it is sent.",
    "`reaper scan` looks once; `reaper run` is the service, which a service manager starts.",
];

/// The files that are read and written on each system.
pub fn files(system: System) -> Vec<(&'static str, &'static str)> {
    let mut files = vec![("/etc/reaper/config.toml", "Settings for all users; see `reaper.toml`(5).")];
    files.extend(match system {
        System::Xdg => [
            ("$XDG_CONFIG_HOME/reaper/config.toml", "Settings of one user, in ~/.config if the variable is not set."),
            (
                "$XDG_STATE_HOME/reaper/",
                "history.jsonl, what was ended and why; sightings.json, since when orphans were seen. In ~/.local/state \
                 if the variable is not set.",
            ),
            ("$XDG_RUNTIME_DIR/reaper/", "control.sock, where the service is asked; lock, so that there is one service."),
        ],
        System::MacOs => [
            ("~/Library/Application Support/reaper/config.toml", "Settings of one user."),
            (
                "~/Library/Application Support/reaper/",
                "history.jsonl, what was ended and why; sightings.json, since when orphans were seen.",
            ),
            ("$TMPDIR/reaper/", "control.sock, where the service is asked; lock, so that there is one service."),
        ],
    });
    files
}

/// The variables, in reaper(1). Those that set a key of the config are in reaper.toml(5).
pub const ENVIRONMENT: [(&str, &str); 9] = [
    ("REAPER_CONFIG", "A config file to read instead of the usual ones, as `--config` does."),
    (
        "REAPER_GRACE, REAPER_USE, ...",
        "Each key of the config has its variable; `reaper.toml`(5) lists them.",
    ),
    (
        "REAPER_MANAGED",
        "Marks a process as started by a launcher, when it is set to anything but 0, false, no or off.",
    ),
    (reaper_lease::OWNER, reaper_lease::TEXT),
    ("REAPER_KEEP", "Set to 1, keeps a process from ever being ended."),
    ("RUST_LOG", "How much the service logs; wins over log-level of the config."),
    ("NO_COLOR", "No colours, whatever it holds."),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR", "Where FILES are; relative paths are ignored."),
    ("SOURCE_DATE_EPOCH", "The date that `reaper man` puts in the foot of the pages."),
];

/// The same, in the pages of commands.
pub const ENVIRONMENT_ELSEWHERE: &str =
    "The variables that set keys of the config stand in `reaper.toml`(5), all others in `reaper`(1).";

/// The codes that a command can end with.
pub fn exit_codes(command: &str) -> &'static [&'static str] {
    match command {
        "scan" => &["0", "1", "2", "3", "4", "5", "70"],
        "completions" => &["0", "2", "70"],
        "man" => &["0", "2", "4", "70"],
        "profiles" | "config" => &["0", "2", "3", "70"],
        _ => &["0", "2", "3", "4", "70"],
    }
}

/// Related pages besides reaper(1) and reaper.toml(5).
pub fn see_also(command: &str) -> &'static [&'static str] {
    match command {
        "scan" => &["`reaper-explain`(1)", "`reaper-history`(1)"],
        "explain" => &["`reaper-scan`(1)", "`reaper-profiles`(1)", "`proc`(5)"],
        "run" => &["`reaper-status`(1)", "`reaper-doctor`(1)", "`systemd`(1)"],
        "service" => &["`reaper-run`(1)", "`reaper-doctor`(1)", "`systemctl`(1)"],
        "status" | "sweep" | "pause" | "resume" | "reload" => &["`reaper-run`(1)"],
        "history" => &["`reaper-scan`(1)", "`reaper-run`(1)"],
        "reaper" => &["`proc`(5)", "`pidfd_open`(2)", "`systemd`(1)"],
        _ => &[],
    }
}
