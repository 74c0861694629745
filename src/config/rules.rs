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

/// Programs that are never touched under a profile for any program: what agents start or open for the person, which
/// stays when they have gone. An agent is none of these, whatever its name begins with.
pub const PROTECTED_IN_ANY: &[(&str, &str)] = &[
    ("postgres", DATABASE),
    ("postmaster", DATABASE),
    ("mysqld", DATABASE),
    ("mariadbd", DATABASE),
    ("mongod", DATABASE),
    ("redis-server", DATABASE),
    ("valkey-server", DATABASE),
    ("memcached", DATABASE),
    ("etcd", DATABASE),
    ("clickhouse", DATABASE),
    ("cockroach", DATABASE),
    ("influxd", DATABASE),
    ("qdrant", DATABASE),
    ("meilisearch", DATABASE),
    ("Elasticsearch", DATABASE),
    ("CassandraDaemon", DATABASE),
    ("nats-server", "carries the messages of other programs"),
    ("beam.smp", "carries the messages of other programs"),
    ("minio", DATABASE),
    ("pm2", MANAGER),
    ("PM2", MANAGER),
    ("forever", MANAGER),
    ("overmind", MANAGER),
    ("circusd", MANAGER),
    ("monit", MANAGER),
    ("process-compose", MANAGER),
    ("colima", CONTAINERS),
    ("limactl", CONTAINERS),
    ("qemu-system", CONTAINERS),
    ("buildkitd", CONTAINERS),
    ("k3s", CONTAINERS),
    ("runc", CONTAINERS),
    ("crun", CONTAINERS),
    ("ollama", MODELS),
    ("llama-server", MODELS),
    ("lm-studio", MODELS),
    ("vllm", MODELS),
    ("sglang", MODELS),
    ("tritonserver", MODELS),
    ("text-generation-launcher", MODELS),
    ("turbo", BUILDS),
    ("nx", BUILDS),
    ("pantsd", BUILDS),
    ("sbt", BUILDS),
    ("KotlinCompileDaemon", BUILDS),
    ("distccd", BUILDS),
    ("code", EDITOR),
    ("code-insiders", EDITOR),
    ("codium", EDITOR),
    ("vscodium", EDITOR),
    ("code-server", EDITOR),
    ("openvscode-server", EDITOR),
    ("cursor", EDITOR),
    ("windsurf", EDITOR),
    ("zed", EDITOR),
    ("zeditor", EDITOR),
    ("subl", EDITOR),
    ("sublime_text", EDITOR),
    ("idea", EDITOR),
    ("pycharm", EDITOR),
    ("webstorm", EDITOR),
    ("clion", EDITOR),
    ("goland", EDITOR),
    ("rustrover", EDITOR),
    ("vim", EDITOR),
    ("nvim", EDITOR),
    ("gvim", EDITOR),
    ("emacs", EDITOR),
    ("gedit", EDITOR),
    ("gnome-text-editor", EDITOR),
    ("kate", EDITOR),
    ("Xcode", EDITOR),
];
const DATABASE: &str = "holds data that other programs use";
const MANAGER: &str = "keeps other programs running on purpose";
const CONTAINERS: &str = "holds containers or virtual machines";
const MODELS: &str = "serves models to every program of the user";
const BUILDS: &str = "outlives builds on purpose";
const EDITOR: &str = "may hold work that is not saved";

/// Browsers, protected in the same way unless they are headless or have a throw-away profile: a person may look at them.
pub const BROWSERS: [&str; 22] = [
    "firefox",
    "firefox-esr",
    "librewolf",
    "waterfox",
    "zen",
    "chrome",
    "google-chrome",
    "chromium",
    "chromium-browser",
    "headless_shell",
    "camoufox",
    "camoufox-bin",
    "brave",
    "brave-browser",
    "msedge",
    "microsoft-edge",
    "vivaldi",
    "opera",
    "epiphany",
    "konqueror",
    "Safari",
    "Google Chrome",
];
/// Arguments by which a browser says that it shows nothing to anybody.
pub const HEADLESS: [&str; 2] = ["--headless", "-headless"];
/// Options of browsers whose value is the folder of the profile.
pub const PROFILE_OPTIONS: [&str; 3] = ["--user-data-dir", "--profile", "-profile"];
/// Executables of browsers that cannot show anything.
pub const HEADLESS_PROGRAMS: [&str; 4] =
    ["headless_shell", "headless-shell", "chrome-headless-shell", "chromium-headless-shell"];
/// Beginnings of the profile folders that tools make anew for each browser that they start.
pub const THROW_AWAY_PROFILES: [&str; 5] = [
    "puppeteer_dev_chrome_profile-",
    "puppeteer_dev_firefox_profile-",
    "playwright_chromiumdev_profile-",
    "playwright_firefoxdev_profile-",
    "agent-browser-chrome-",
];

/// Arguments that say of any program: started to outlive its launcher. Asked under a profile for any program only; the
/// others name their agents, whose own words stand in `keep.toml`.
pub const DAEMON_ARGS: [&str; 5] = ["--daemon", "--daemonize", "--detach", "--detached", "--background"];

/// Scripts of daemons that a name does not tell from other scripts, by the end of their path. Asked in the same way.
pub const DAEMON_SCRIPTS: [&str; 2] =
    ["/nx/src/daemon/server/start.js", "/nx/dist/src/daemon/server/start.js"];

/// Programs that only start another and wait for it, unless the user names others. `bun` and `deno` are among them only
/// where their arguments name no script.
pub const WRAPPERS: [&str; 41] = [
    "npm",
    "npm-cli",
    "npx",
    "npx-cli",
    "pnpm",
    "yarn",
    "corepack",
    "bun",
    "bunx",
    "deno",
    "sh",
    "bash",
    "dash",
    "zsh",
    "fish",
    "ksh",
    "ash",
    "env",
    "timeout",
    "nohup",
    "script",
    "expect",
    "unbuffer",
    "xvfb-run",
    "uv",
    "uvx",
    "pipx",
    "dotenv",
    "dotenvx",
    "op",
    "doppler",
    "infisical",
    "direnv",
    "conda",
    "mamba",
    "pixi",
    "devbox",
    "mise",
    "asdf",
    "volta",
    "caffeinate",
];

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
