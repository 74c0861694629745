//! Programs and variables that are too common to be evidence: no profile may depend on one of them.

/// Shells: as programs they would claim every script, as adopters every job.
pub(super) const SHELLS: [&str; 10] =
    ["sh", "bash", "dash", "zsh", "ash", "ksh", "fish", "csh", "tcsh", "busybox"];

/// Names so common that they identify no program.
pub(super) const COMMON_NAMES: [&str; 8] =
    ["agent", "cli", "index", "main", "MainThread", "env", "server", "pause"];

/// Programs that start their children themselves, so that a child of theirs is no orphan.
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
/// Prefixes of session variables.
pub(super) const GENERIC_BEGINNINGS: [&str; 4] = ["XDG_", "LC_", "npm_", "SYSTEMD_"];
