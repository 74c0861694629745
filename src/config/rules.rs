//! What no setting may undo: programs that are never touched, and variables that prove nothing.

/// Programs that are never touched, each with its reason.
pub const PROTECTED: &[(&str, &str)] = &[
    ("tmux", "holds terminal sessions that are meant to outlive their clients"),
    ("screen", "holds terminal sessions that are meant to outlive their clients"),
    ("zellij", "holds terminal sessions that are meant to outlive their clients"),
    ("dtach", "holds a terminal session that is meant to outlive its client"),
    ("abduco", "holds a terminal session that is meant to outlive its client"),
    ("mosh-server", "holds a remote session across lost connections"),
    ("systemd", "runs the machine or the user's session"),
    ("(sd-pam)", "belongs to the user's service manager"),
    ("init", "runs the machine or the container"),
    ("launchd", "runs the machine or the user's session"),
    ("tini", "runs a container"),
    ("dumb-init", "runs a container"),
    ("docker-init", "runs a container"),
    ("catatonit", "runs a container"),
    ("runit", "runs services"),
    ("runsvdir", "runs services"),
    ("s6-svscan", "runs services"),
    ("supervisord", "runs services"),
    ("dbus-daemon", "carries the messages of a session"),
    ("dbus-broker", "carries the messages of a session"),
    ("sshd", "holds a remote session"),
    ("login", "holds a login session"),
    ("sudo", "stands between a session and another user"),
    ("su", "stands between a session and another user"),
    ("containerd", "holds containers"),
    ("containerd-shim", "holds a container"),
    ("dockerd", "holds containers"),
    ("conmon", "holds a container"),
    ("podman", "holds containers"),
    ("ssh-agent", "holds keys for a whole session"),
    ("gpg-agent", "holds keys for a whole session"),
    ("scdaemon", "holds a smart card for a whole session"),
    ("gnome-keyring-daemon", "holds secrets for a whole session"),
    ("pipewire", "carries sound and video of a session"),
    ("wireplumber", "carries sound and video of a session"),
    ("pulseaudio", "carries sound of a session"),
    ("Xorg", "draws the session"),
    ("Xwayland", "draws the session"),
    ("Xvfb", "may draw for programs that others started"),
    ("gnome-shell", "draws the session"),
    ("gnome-session", "runs the session"),
    ("kwin_wayland", "draws the session"),
    ("kwin_x11", "draws the session"),
    ("plasmashell", "draws the session"),
    ("sway", "draws the session"),
    ("Hyprland", "draws the session"),
    ("WindowServer", "draws the session"),
    ("loginwindow", "runs the session"),
    ("Finder", "runs the session"),
    ("git", "may be writing a repository; its daemons outlive commands on purpose"),
    ("gradle", "its daemon outlives builds on purpose"),
    ("GradleDaemon", "outlives builds on purpose"),
    ("GradleWrapperMain", "starts a daemon that outlives builds on purpose"),
    ("bazel", "its server outlives builds on purpose"),
    ("buck2", "its daemon outlives builds on purpose"),
    ("sccache", "its server outlives builds on purpose"),
    ("ccache", "may be writing a cache that builds share"),
    ("watchman", "serves every tool of the user"),
    ("adb", "its server outlives commands on purpose"),
    ("chrome_crashpad_handler", "belongs to a live browser although its parent is init"),
    ("crashpad_handler", "belongs to a live application although its parent is init"),
    ("reaper", "is this program"),
];

/// Programs that only start another and wait for it, unless the user names others.
pub const WRAPPERS: [&str; 7] = ["npm", "npx", "sh", "bash", "dash", "uv", "uvx"];

/// Shells: as programs they would claim every script, as adopters every job.
pub(super) const SHELLS: [&str; 10] =
    ["sh", "bash", "dash", "zsh", "ash", "ksh", "fish", "csh", "tcsh", "busybox"];

/// Names so common that they tell no program from another.
pub(super) const COMMON_NAMES: [&str; 8] =
    ["agent", "cli", "index", "main", "MainThread", "env", "server", "pause"];

/// Programs that start what runs beneath them, so a child of theirs is no orphan.
pub(super) const LAUNCHERS: [&str; 9] =
    ["tmux", "screen", "zellij", "dtach", "abduco", "mosh-server", "sshd", "login", "sudo"];

/// Variables that people, shells or several tools set: they prove no provenance.
pub(super) const GENERIC_VARIABLES: [&str; 43] = [
    "AGENT",
    "AI_AGENT",
    "OR_APP_NAME",
    "OR_SITE_URL",
    "GOOSE_PROVIDER",
    "GOOSE_MODEL",
    "COPILOT_MODEL",
    "REPL_ID",
    "CURSOR_TRACE_ID",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM",
    "COLORTERM",
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "HOSTNAME",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "SSH_CONNECTION",
    "TMUX",
    "STY",
    "CI",
    "GITHUB_ACTIONS",
    "NODE_ENV",
    "VIRTUAL_ENV",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "_",
];
/// Beginnings of variables of the session.
pub(super) const GENERIC_BEGINNINGS: [&str; 4] = ["XDG_", "LC_", "npm_", "SYSTEMD_"];
