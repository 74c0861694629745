//! The agent families that this program knows. Written from `crates/policy/profiles/*.toml`, where each line has its
//! evidence; after a change there, `UPDATE_EXPECTED=1 cargo test --lib builtin_table` writes it anew.

use std::borrow::Cow::Borrowed;

use crate::profile::{BuiltIn, KeepArgs, Marker, Profile, ProgramRule, Programs, Text};

/// Every built-in profile, in the order in which they are asked.
#[rustfmt::skip]
pub static BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        default: true,
        why: "the marker is set by the launcher alone and inherited by everything beneath it, so it proves provenance",
        profile: Profile {
            name: Borrowed("sprout"),
            about: Borrowed("agents started by the Sprout desktop app"),
            markers: Borrowed(&[
                marker("SPROUT_MANAGED_AGENT", "set on every managed agent: `1` for three days (block/sprout#787), the bundle id since block/sprout#808"),
            ]),
            programs: Programs::Named(Borrowed(&[
                agent("sprout-acp", "the harness itself; in Sprout's own list of agent binaries"),
                agent("sprout_acp", "Sprout matches each of its binaries with underscores too"),
                agent("sprout-agent", "Sprout's own agent; in its list of agent binaries"),
                agent("sprout_agent", "Sprout matches each of its binaries with underscores too"),
                helper("sprout-mcp", "in Sprout's list of agent binaries until it was renamed to sprout-dev-mcp"),
                helper("sprout_mcp", "Sprout matches each of its binaries with underscores too"),
                helper("sprout-dev-mcp", "the MCP server Sprout gives its agents; in its list of agent binaries"),
                helper("sprout_dev_mcp", "Sprout matches each of its binaries with underscores too"),
                agent("goose", "in the list of agent binaries of both Sprout and Buzz; a native executable started as `goose acp`"),
                agent("claude-agent-acp", "in both lists; a Node.js script, so its name is the script's; too long for a comm"),
                agent("claude_agent_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("claude-code-acp", "in both lists; the earlier name of claude-agent-acp"),
                agent("claude_code_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("codex-acp", "in both lists; seen left behind when its launcher was killed, with and without its npm shim"),
                agent("codex_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("claude", "child of the ACP adapters; seen left behind in mid tool call; its executable may be named after its version"),
                agent("codex", "child of the ACP adapters, npm shim and native executable; seen left behind in mid tool call"),
                agent("gemini", "speaks ACP itself; seen left behind in mid tool call; its launcher ignores SIGTERM"),
                agent("opencode", "speaks ACP itself; seen left behind in mid tool call and as `opencode serve`"),
                agent("qwen", "speaks ACP itself; a Node.js script; seen left behind in mid tool call"),
                agent("copilot", "speaks ACP itself; main thread calls itself MainThread; seen left behind in mid tool call"),
                agent("cline", "speaks ACP itself; seen left behind in mid tool call; takes 13.5 s to end"),
                agent("pi", "rewrites its arguments to the one word `pi`; seen left behind in mid tool call"),
                agent("cursor-agent", "known by its folder cursor-agent/versions/…; never by its bare name `agent` (cursor/cursor#3588)"),
                agent("claude-code", "package folder of Claude Code's cli.js: `node …/@anthropic-ai/claude-code/cli.js`; older releases and local installs"),
                agent("claude-agent-sdk", "its cli.js is Claude Code itself (0.2.44 bundles 2.1.44): adapters and apps start `node …/claude-agent-sdk/cli.js`"),
                agent("gemini-cli", "package folder of Gemini CLI's dist/index.js (google-gemini/gemini-cli#15873)"),
                agent("qwen-code", "package folder of Qwen Code's cli.js; seen with `qwen` 0.24 as the script of its worker"),
                agent("qwen-cli", "folder of the CLI inside the VS Code companion: …/dist/qwen-cli/cli.js --acp (QwenLM/qwen-code#7101)"),
                agent("opencode-ai", "npm package folder of opencode; only where a script with a generic name runs in it"),
                agent("opencode-cli", "the desktop app's side-car, started as `opencode-cli serve`"),
                agent("copilot-cli", "the product's other name, of packages and folders; not the editor's copilot-language-server"),
                agent("copilot-linuxmusl-x64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
                agent("copilot-linuxmusl-arm64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
                agent("pi-coding-agent", "package folder of pi's dist/cli.js, under both of its scopes; before it sets its title"),
                agent("pi-acp", "ACP adapter of pi; a Node.js script, npm bin and package folder"),
                agent("cursor-agent-acp", "ACP adapter of cursor-agent (@blowmage/cursor-agent-acp); a Node.js script"),
                agent("codex-acp-wrapper", "script between a launcher and codex-acp; seen left behind with both (openclaw/openclaw#96032)"),
                agent("codex-linux-sandbox", "codex under another first argument, holds the tool it confines; seen left behind (ClickHouse/nerve#449)"),
                agent("codex-execve-wrapper", "codex under another first argument: starts each command of a confined shell"),
                agent("codex-code-mode-host", "shipped beside codex (packagings of 0.154 on) and started by it; not seen left behind"),
                agent("codex-app-server", "codex's app server as a binary of its own among its releases; keep rules for codex cover it"),
                agent("codex-exec", "`codex exec` as a binary of its own, a crate of its workspace; not seen left behind"),
                agent("goosed", "goose's server for its desktop app; seen left behind when the app died"),
                agent("goose-acp-server", "goose's ACP server, a binary of its own in block/goose; not seen left behind"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: true,
        why: "the marker is set by the launcher alone, and its start nonce tells one run of the app from the next",
        profile: Profile {
            name: Borrowed("buzz"),
            about: Borrowed("agents started by the Buzz desktop app, formerly Sprout"),
            markers: Borrowed(&[
                marker("BUZZ_MANAGED_AGENT", "holds the bundle id of the app that started the tree; renamed from SPROUT_MANAGED_AGENT in block/buzz#971, see block/buzz#808"),
            ]),
            programs: Programs::Named(Borrowed(&[
                agent("buzz-acp", "the harness itself; in Buzz's own list of agent binaries"),
                agent("buzz_acp", "Buzz matches each of its binaries with underscores too"),
                agent("buzz-agent", "Buzz's own agent; in its list of agent binaries"),
                agent("buzz_agent", "Buzz matches each of its binaries with underscores too"),
                helper("buzz-dev-mcp", "the MCP server Buzz gives its agents; in its list of agent binaries"),
                helper("buzz_dev_mcp", "Buzz matches each of its binaries with underscores too"),
                agent("mesh-llm", "the local model server Buzz starts with the same marker and nonce; in its list"),
                agent("mesh_llm", "Buzz matches each of its binaries with underscores too"),
                agent("goose", "in the list of agent binaries of both Sprout and Buzz; a native executable started as `goose acp`"),
                agent("claude-agent-acp", "in both lists; a Node.js script, so its name is the script's; too long for a comm"),
                agent("claude_agent_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("claude-code-acp", "in both lists; the earlier name of claude-agent-acp"),
                agent("claude_code_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("codex-acp", "in both lists; seen left behind when its launcher was killed, with and without its npm shim"),
                agent("codex_acp", "Sprout and Buzz match each of their binaries with underscores too"),
                agent("claude", "child of the ACP adapters; seen left behind in mid tool call; its executable may be named after its version"),
                agent("codex", "child of the ACP adapters, npm shim and native executable; seen left behind in mid tool call"),
                agent("gemini", "speaks ACP itself; seen left behind in mid tool call; its launcher ignores SIGTERM"),
                agent("opencode", "speaks ACP itself; seen left behind in mid tool call and as `opencode serve`"),
                agent("qwen", "speaks ACP itself; a Node.js script; seen left behind in mid tool call"),
                agent("copilot", "speaks ACP itself; main thread calls itself MainThread; seen left behind in mid tool call"),
                agent("cline", "speaks ACP itself; seen left behind in mid tool call; takes 13.5 s to end"),
                agent("pi", "rewrites its arguments to the one word `pi`; seen left behind in mid tool call"),
                agent("cursor-agent", "known by its folder cursor-agent/versions/…; never by its bare name `agent` (cursor/cursor#3588)"),
                agent("claude-code", "package folder of Claude Code's cli.js: `node …/@anthropic-ai/claude-code/cli.js`; older releases and local installs"),
                agent("claude-agent-sdk", "its cli.js is Claude Code itself (0.2.44 bundles 2.1.44): adapters and apps start `node …/claude-agent-sdk/cli.js`"),
                agent("gemini-cli", "package folder of Gemini CLI's dist/index.js (google-gemini/gemini-cli#15873)"),
                agent("qwen-code", "package folder of Qwen Code's cli.js; seen with `qwen` 0.24 as the script of its worker"),
                agent("qwen-cli", "folder of the CLI inside the VS Code companion: …/dist/qwen-cli/cli.js --acp (QwenLM/qwen-code#7101)"),
                agent("opencode-ai", "npm package folder of opencode; only where a script with a generic name runs in it"),
                agent("opencode-cli", "the desktop app's side-car, started as `opencode-cli serve`"),
                agent("copilot-cli", "the product's other name, of packages and folders; not the editor's copilot-language-server"),
                agent("copilot-linuxmusl-x64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
                agent("copilot-linuxmusl-arm64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
                agent("pi-coding-agent", "package folder of pi's dist/cli.js, under both of its scopes; before it sets its title"),
                agent("pi-acp", "ACP adapter of pi; a Node.js script, npm bin and package folder"),
                agent("cursor-agent-acp", "ACP adapter of cursor-agent (@blowmage/cursor-agent-acp); a Node.js script"),
                agent("codex-acp-wrapper", "script between a launcher and codex-acp; seen left behind with both (openclaw/openclaw#96032)"),
                agent("codex-linux-sandbox", "codex under another first argument, holds the tool it confines; seen left behind (ClickHouse/nerve#449)"),
                agent("codex-execve-wrapper", "codex under another first argument: starts each command of a confined shell"),
                agent("codex-code-mode-host", "shipped beside codex (packagings of 0.154 on) and started by it; not seen left behind"),
                agent("codex-app-server", "codex's app server as a binary of its own among its releases; keep rules for codex cover it"),
                agent("codex-exec", "`codex exec` as a binary of its own, a crate of its workspace; not seen left behind"),
                agent("goosed", "goose's server for its desktop app; seen left behind when the app died"),
                agent("goose-acp-server", "goose's ACP server, a binary of its own in block/goose; not seen left behind"),
            ])),
            owner_env: Some(Borrowed("BUZZ_MANAGED_AGENT_START_NONCE")),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: true,
        why: "only a launcher that means this program sets these variables, and the owner it names must be dead",
        profile: Profile {
            name: Borrowed("own"),
            about: Borrowed("whatever a launcher stamped with REAPER_MANAGED and an owner"),
            markers: Borrowed(&[
                marker("REAPER_MANAGED", "our own marker: no other program sets it"),
            ]),
            require: Borrowed(&[
                marker("REAPER_OWNER", "names the owner by pid, start time and boot, so its death can be proven"),
            ]),
            programs: Programs::Any,
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("claude-children"),
            about: Borrowed("helpers left behind by Claude Code"),
            markers: Borrowed(&[
                marker("CLAUDECODE", "set to 1 on the Bash tool with all it starts and on stdio MCP servers; not on Claude Code itself, nor on its daemon"),
            ]),
            require: Borrowed(&[
                marker("CLAUDE_CODE_SESSION_ID", "stands beside CLAUDECODE on tools and MCP servers; tells a real session from a variable set by hand"),
            ]),
            programs: Programs::Named(Borrowed(&[
                program("bash", Some(Borrowed("/shell-snapshots/snapshot-")), None, true, "the Bash tool sources a snapshot of the shell from this folder in its first command"),
                program("zsh", Some(Borrowed("/shell-snapshots/snapshot-")), None, true, "not measured: the snapshot is named after the shell, and zsh is the usual one on macOS"),
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("codex-children"),
            about: Borrowed("helpers left behind by Codex"),
            markers: Borrowed(&[
                marker("CODEX_THREAD_ID", "set on the shell tool by codex and by codex-acp; MCP servers get a cut environment without it"),
            ]),
            require: Borrowed(&[
                marker("CODEX_CI", "stands beside CODEX_THREAD_ID on the shell tool in every version seen"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("gemini-children"),
            about: Borrowed("helpers left behind by Gemini CLI"),
            markers: Borrowed(&[
                marker("GEMINI_CLI", "set to 1 on the shell tool and on MCP servers; not on the agent itself"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("qwen-children"),
            about: Borrowed("helpers left behind by Qwen Code"),
            markers: Borrowed(&[
                marker("QWEN_CODE", "set to 1 on the shell tool only"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("copilot-children"),
            about: Borrowed("helpers left behind by Copilot CLI"),
            markers: Borrowed(&[
                marker("COPILOT_AGENT_SESSION_ID", "set on the shell tool and on MCP servers; COPILOT_CLI is on the shell tool only"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the marker proves which agent started it, not that it is no longer in use: people also start servers through agents",
        profile: Profile {
            name: Borrowed("pi-children"),
            about: Borrowed("helpers left behind by pi"),
            markers: Borrowed(&[
                marker("PI_CODING_AGENT", "set to true on the shell tool; not on the agent itself"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "the safest of the profiles for children, as each names its owner, but people also start servers through agents",
        profile: Profile {
            name: Borrowed("opencode-children"),
            about: Borrowed("helpers left behind by opencode"),
            markers: Borrowed(&[
                marker("OPENCODE", "set to 1 on the shell tool and on MCP servers, together with the pid of the agent"),
            ]),
            require: Borrowed(&[
                marker("OPENCODE_PID", "the pid of the opencode that started it, so its owner can be looked up"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            owner_pid_env: Some(Borrowed("OPENCODE_PID")),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "documented rather than measured, and the name of its marker is not specific to one agent",
        profile: Profile {
            name: Borrowed("goose-children"),
            about: Borrowed("helpers left behind by goose"),
            markers: Borrowed(&[
                marker("AGENT_SESSION_ID", "set on stdio extensions and on the shell tool (goose#7072, goose#10428)"),
            ]),
            require: Borrowed(&[
                marker_with("AGENT", b"goose", "the session id has a common name, so the agent must be named beside it (goose#7017)"),
            ]),
            programs: Programs::Named(Borrowed(&[
                helper("esbuild", "its watch and service modes were seen left behind when an agent was killed"),
                helper("memtomem-server", "a Python MCP server; seen left behind when served over HTTP, also beneath uv"),
                helper("mcp-server", "how public MCP servers are named; Node.js and Python ones served over HTTP were seen left behind"),
                helper("mcp-server-*", "every reference server is mcp-server-<what>, as are 641 public packages: no list of names would be whole"),
                helper("mcp_server", "the same servers started as Python modules, whose names have underscores"),
                helper("mcp_server_*", "the reference servers as Python modules: python -m mcp_server_git"),
                helper("mcp_server.*", "a module inside such a package: python -m mcp_server.main"),
                helper("puppeteer-mcp-server", "seen left behind together with its headless Chromium"),
                helper("server-puppeteer", "package folder of the reference puppeteer server; seen left behind with its Chromium"),
            ])),
            ..Profile::EMPTY
        },
    },
    BuiltIn {
        default: false,
        why: "a browser may show a page that a person is still reading, even with a throw-away profile",
        profile: Profile {
            name: Borrowed("browsers"),
            about: Borrowed("headless browsers with a throw-away profile, started by agents of a known launcher"),
            markers: Borrowed(&[
                marker("SPROUT_MANAGED_AGENT", "only a launcher's marker: people's own browsers carry none"),
                marker("BUZZ_MANAGED_AGENT", "only a launcher's marker: people's own browsers carry none"),
                marker("REAPER_MANAGED", "only a launcher's marker: people's own browsers carry none"),
            ]),
            programs: Programs::Named(Borrowed(&[
                program("chromium", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "the browser the headless tools were seen to leave behind; puppeteer makes this throw-away profile folder"),
                program("chromium", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "the browser the headless tools were seen to leave behind; playwright makes this throw-away profile folder"),
                program("chrome", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "the same browser as the tools download it; puppeteer makes this throw-away profile folder"),
                program("chrome", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "the same browser as the tools download it; playwright makes this throw-away profile folder"),
                program("google-chrome", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "the same browser as installed by a distribution; puppeteer makes this throw-away profile folder"),
                program("google-chrome", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "the same browser as installed by a distribution; playwright makes this throw-away profile folder"),
                program("headless_shell", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "the browser's headless build; puppeteer makes this throw-away profile folder"),
                program("headless_shell", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "the browser's headless build; playwright makes this throw-away profile folder"),
                program("chrome-headless-shell", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "the headless build as puppeteer downloads it; puppeteer makes this throw-away profile folder"),
                program("chrome-headless-shell", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "the headless build as playwright downloads it today; playwright makes this throw-away profile folder"),
                program("chromium-headless-shell", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "Debian's headless build; puppeteer makes this throw-away profile folder"),
                program("chromium-headless-shell", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "Debian's headless build; playwright makes this throw-away profile folder"),
                program("chromium-browser", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "Chromium's executable as Fedora and Ubuntu name it; puppeteer makes this throw-away profile folder"),
                program("chromium-browser", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "Chromium's executable as Fedora and Ubuntu name it; playwright makes this throw-away profile folder"),
                program("google-chrome-stable", Some(Borrowed("puppeteer_dev_chrome_profile-")), Some(Borrowed("--type=")), true, "first argument of Debian's package; puppeteer makes this throw-away profile folder"),
                program("google-chrome-stable", Some(Borrowed("playwright_chromiumdev_profile-")), Some(Borrowed("--type=")), true, "first argument of Debian's package; playwright makes this throw-away profile folder"),
            ])),
            ..Profile::EMPTY
        },
    },
];

/// Agents and adapters that launchers start.
#[rustfmt::skip]
pub static AGENTS: &[ProgramRule] = &[
    agent("goose", "in the list of agent binaries of both Sprout and Buzz; a native executable started as `goose acp`"),
    agent("claude-agent-acp", "in both lists; a Node.js script, so its name is the script's; too long for a comm"),
    agent("claude_agent_acp", "Sprout and Buzz match each of their binaries with underscores too"),
    agent("claude-code-acp", "in both lists; the earlier name of claude-agent-acp"),
    agent("claude_code_acp", "Sprout and Buzz match each of their binaries with underscores too"),
    agent("codex-acp", "in both lists; seen left behind when its launcher was killed, with and without its npm shim"),
    agent("codex_acp", "Sprout and Buzz match each of their binaries with underscores too"),
    agent("claude", "child of the ACP adapters; seen left behind in mid tool call; its executable may be named after its version"),
    agent("codex", "child of the ACP adapters, npm shim and native executable; seen left behind in mid tool call"),
    agent("gemini", "speaks ACP itself; seen left behind in mid tool call; its launcher ignores SIGTERM"),
    agent("opencode", "speaks ACP itself; seen left behind in mid tool call and as `opencode serve`"),
    agent("qwen", "speaks ACP itself; a Node.js script; seen left behind in mid tool call"),
    agent("copilot", "speaks ACP itself; main thread calls itself MainThread; seen left behind in mid tool call"),
    agent("cline", "speaks ACP itself; seen left behind in mid tool call; takes 13.5 s to end"),
    agent("pi", "rewrites its arguments to the one word `pi`; seen left behind in mid tool call"),
    agent("cursor-agent", "known by its folder cursor-agent/versions/…; never by its bare name `agent` (cursor/cursor#3588)"),
    agent("claude-code", "package folder of Claude Code's cli.js: `node …/@anthropic-ai/claude-code/cli.js`; older releases and local installs"),
    agent("claude-agent-sdk", "its cli.js is Claude Code itself (0.2.44 bundles 2.1.44): adapters and apps start `node …/claude-agent-sdk/cli.js`"),
    agent("gemini-cli", "package folder of Gemini CLI's dist/index.js (google-gemini/gemini-cli#15873)"),
    agent("qwen-code", "package folder of Qwen Code's cli.js; seen with `qwen` 0.24 as the script of its worker"),
    agent("qwen-cli", "folder of the CLI inside the VS Code companion: …/dist/qwen-cli/cli.js --acp (QwenLM/qwen-code#7101)"),
    agent("opencode-ai", "npm package folder of opencode; only where a script with a generic name runs in it"),
    agent("opencode-cli", "the desktop app's side-car, started as `opencode-cli serve`"),
    agent("copilot-cli", "the product's other name, of packages and folders; not the editor's copilot-language-server"),
    agent("copilot-linuxmusl-x64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
    agent("copilot-linuxmusl-arm64", "bin of Copilot's package for musl, a target that no closed suffix has; the file itself is called copilot"),
    agent("pi-coding-agent", "package folder of pi's dist/cli.js, under both of its scopes; before it sets its title"),
    agent("pi-acp", "ACP adapter of pi; a Node.js script, npm bin and package folder"),
    agent("cursor-agent-acp", "ACP adapter of cursor-agent (@blowmage/cursor-agent-acp); a Node.js script"),
    agent("codex-acp-wrapper", "script between a launcher and codex-acp; seen left behind with both (openclaw/openclaw#96032)"),
    agent("codex-linux-sandbox", "codex under another first argument, holds the tool it confines; seen left behind (ClickHouse/nerve#449)"),
    agent("codex-execve-wrapper", "codex under another first argument: starts each command of a confined shell"),
    agent("codex-code-mode-host", "shipped beside codex (packagings of 0.154 on) and started by it; not seen left behind"),
    agent("codex-app-server", "codex's app server as a binary of its own among its releases; keep rules for codex cover it"),
    agent("codex-exec", "`codex exec` as a binary of its own, a crate of its workspace; not seen left behind"),
    agent("goosed", "goose's server for its desktop app; seen left behind when the app died"),
    agent("goose-acp-server", "goose's ACP server, a binary of its own in block/goose; not seen left behind"),
];

/// Arguments of daemons that agents start on purpose.
#[rustfmt::skip]
pub static KEEP_ARGS: &[KeepArgs] = &[
    keep(Some(Borrowed("claude")), &[Borrowed("daemon")], "`claude --bg` starts `claude daemon run …`: parent is init, markers inherited, meant to stay"),
    keep(Some(Borrowed("claude")), &[Borrowed("--bg-pty-host")], "holds the terminal of a background session of `claude --bg`"),
    keep(Some(Borrowed("claude")), &[Borrowed("--bg-spare")], "a session `claude --bg` keeps ready; parent is init by design"),
    keep(Some(Borrowed("codex")), &[Borrowed("--managed-daemon")], "`codex app-server daemon start` leaves `codex app-server … --managed-daemon` running on purpose"),
    keep(Some(Borrowed("codex")), &[Borrowed("app-server"), Borrowed("daemon")], "`codex app-server daemon pid-update-loop` belongs to the managed daemon"),
    keep(Some(Borrowed("codex")), &[Borrowed("--listen"), Borrowed("unix://*")], "an app server on a socket serves clients that come later"),
    keep(Some(Borrowed("codex")), &[Borrowed("--listen=unix://*")], "the same option written with an equals sign"),
    keep(Some(Borrowed("cline")), &[Borrowed("--cline-hub-daemon")], "cline's hub detaches from its first client on purpose and serves all of them"),
];

/// Variables of daemons that agents start on purpose.
#[rustfmt::skip]
pub static KEEP_ENV: &[Marker] = &[
    marker("CLINE_RUN_AS_HUB_DAEMON", "set by cline on its hub daemon, whatever its arguments"),
];

const fn marker(name: &'static str, evidence: &'static str) -> Marker {
    Marker { name: Borrowed(name), value: None, evidence: Some(Borrowed(evidence)) }
}

const fn marker_with(name: &'static str, value: &'static [u8], evidence: &'static str) -> Marker {
    Marker { name: Borrowed(name), value: Some(Borrowed(value)), evidence: Some(Borrowed(evidence)) }
}

const fn agent(name: &'static str, evidence: &'static str) -> ProgramRule {
    program(name, None, None, false, evidence)
}

const fn helper(name: &'static str, evidence: &'static str) -> ProgramRule {
    program(name, None, None, true, evidence)
}

const fn program(
    name: &'static str,
    with_arg: Option<Text>,
    without_arg: Option<Text>,
    is_helper: bool,
    evidence: &'static str,
) -> ProgramRule {
    ProgramRule { name: Borrowed(name), with_arg, without_arg, is_helper, evidence: Some(Borrowed(evidence)) }
}

const fn keep(program: Option<Text>, args: &'static [Text], evidence: &'static str) -> KeepArgs {
    KeepArgs { program, args: Borrowed(args), evidence: Some(Borrowed(evidence)) }
}
