//! Process names seen on real machines, hostile ones, and two properties.

use super::{
    Identity, Names, Source, find, find_protected, find_widely, find_word, names_closely, names_widely,
    title_words,
};
use proptest::prelude::*;

fn args(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn names(exe: &str, argv: &[&str], comm: &str) -> Vec<String> {
    let argv = args(argv);
    let identity = Identity { exe: Some(exe.as_bytes()), argv: Some(&argv), comm: comm.as_bytes() };
    Names::of(&identity).iter().map(|name| String::from_utf8_lossy(name.bytes).into_owned()).collect()
}

#[test]
fn real_processes_have_their_common_names() {
    let rows: &[(&str, &[&str], &str, &str)] = &[
        ("/home/u/.local/share/claude/versions/2.1.197", &["claude"], "claude", "claude"),
        ("/home/u/.local/share/claude/versions/2.1.197 (deleted)", &["/x"], "2.1.197", "claude"),
        (
            "/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe",
            &["/p/.bin/claude"],
            "claude",
            "claude",
        ),
        ("/p/claude.exe (deleted)", &[], "claude.exe", "claude"),
        (
            "/p/claude-agent-sdk-linux-x64/claude",
            &["/p/claude-agent-sdk-linux-x64/claude", "-p"],
            "claude",
            "claude",
        ),
        (
            "/usr/bin/node",
            &["node", "/p/node_modules/.bin/claude-agent-acp"],
            "MainThread",
            "claude-agent-acp",
        ),
        (
            "/usr/bin/node",
            &["node", "/p/claude-code-acp/dist/index.js"],
            "node-MainThread",
            "claude-code-acp",
        ),
        ("/usr/bin/node", &["node", "--max-old-space-size=8192", "/p/gemini.mjs"], "node", "gemini"),
        ("/usr/bin/node", &["node", "/p/@google/gemini-cli/dist/index.js", "--acp"], "node", "gemini-cli"),
        (
            "/usr/bin/node",
            &["node", "-r", "/x/claude.js", "/p/@qwen-code/qwen-code/cli.js"],
            "node",
            "qwen-code",
        ),
        ("/usr/bin/node", &["node", "/p/@openai/codex/bin/codex.js", "app-server"], "node", "codex"),
        ("/p/vendor/x86_64-unknown-linux-musl/bin/codex", &["codex", "app-server"], "codex", "codex"),
        ("/p/codex-acp", &["/p/codex-acp"], "codex-acp", "codex-acp"),
        ("/p/copilot", &["copilot"], "MainThread", "copilot"),
        ("/p/opencode.exe", &["/p/.bin/opencode", "serve"], "opencode", "opencode"),
        ("/usr/bin/node", &["pi"], "pi", "pi"),
        ("/usr/bin/node", &["chrome-devtools-mcp"], "chrome-devtools", "chrome-devtools-mcp"),
        ("/usr/local/bin/goose", &["goose", "acp"], "goose", "goose"),
        (
            "/h/cursor-agent/versions/2026.1/node",
            &["/h/.local/bin/agent", "/h/cursor-agent/versions/2026.1/index.js"],
            "agent",
            "cursor-agent",
        ),
        (
            "/usr/bin/python3.12",
            &["/v/bin/python", "/v/bin/memtomem-server"],
            "memtomem-server",
            "memtomem-server",
        ),
        ("/usr/bin/python3", &["python3", "-u", "-m", "mcp_server.__main__"], "python3", "mcp_server"),
        ("/usr/bin/python3", &["python3", "-Immcp_server"], "python3", "mcp_server"),
        ("/usr/bin/python3", &["python3", "-W", "ignore", "/x/agent/__main__.py"], "python3", "agent"),
        ("/p/bun", &["bun", "run", "/p/cline.ts"], "bun", "cline"),
        ("/p/bun", &["bunx", "@scope/codex-acp@0.16"], "bun", "codex-acp"),
        (
            "/p/deno",
            &["deno", "run", "-A", "--config", "claude.json", "npm:@scope/agent@1.2"],
            "deno",
            "agent",
        ),
        ("/usr/bin/java", &["java", "-cp", "/x/goose.jar", "-Xmx1g", "org.example.Agent"], "java", "Agent"),
        ("/usr/bin/java", &["java", "-jar", "/x/mcp-proxy.jar", "goose"], "java", "mcp-proxy"),
        ("/usr/bin/ruby3.1", &["ruby", "/x/tool.rb"], "ruby", "tool"),
    ];
    for (exe, argv, comm, expected) in rows {
        let found = names(exe, argv, comm);
        assert!(found.iter().any(|name| name == expected), "{exe} {argv:?}: {found:?} lacks {expected}");
    }
}

#[test]
fn interpreters_have_no_name_of_their_own() {
    let rows: &[(&str, &[&str], &str)] = &[
        ("/usr/bin/node", &["node"], "MainThread"),
        ("/usr/bin/node", &["node", "-e", "claude"], "node-MainThread"),
        ("/usr/bin/node", &["/usr/bin/node-22", "-"], "node"),
        ("/usr/bin/node", &["node", "index.js"], "node"),
        ("/usr/bin/python3.12", &["python3", "-c", "goose"], "python3"),
        ("/Frameworks/Python", &["Python"], "Python"),
        ("/p/bun", &["bun", "test", "goose"], "bun"),
        ("/p/deno", &["deno", "task", "goose"], "deno"),
        ("/usr/bin/java", &["java", "@goose"], "java"),
    ];
    for (exe, argv, comm) in rows {
        assert_eq!(names(exe, argv, comm), Vec::<String>::new(), "{exe} {argv:?}");
    }
}

#[test]
fn a_protection_covers_a_name_whole_or_before_a_separator_and_never_inside() {
    for (rule, name, expected) in [
        ("goose", "goose", true),
        ("goose", "goose-foo", true),
        ("goose", "goose_foo", true),
        ("goose", "goose.real", true),
        ("goose", "mongoose", false),
        ("goose", "gooses", false),
        ("goose", "Goose", false),
        ("goose", "goos", false),
        ("", "goose", false),
        ("", "-goose", false),
    ] {
        assert_eq!(names_widely(rule, name.as_bytes()), expected, "{rule} {name}");
    }
}

#[test]
fn b01_programs_whose_names_begin_with_an_agents_are_other_programs() {
    for (rule, name) in [
        ("claude", "claude-code-router"),
        ("claude", "claude-monitor"),
        ("claude", "claude-flow"),
        ("claude", "claude-desktop"),
        ("claude", "claude-linux-desktop"),
        ("claude", "claude-1.0-proxy"),
        ("claude", "claude-1.0.0-beta-proxy"),
        ("claude", "claude.md"),
        ("claude", "claude_desktop"),
        ("codex", "codex-responses-api-proxy"),
        ("codex", "codex-desktop"),
        ("codex", "codex-linux"),
        ("codex", "codex-x86_64"),
        ("codex", "codex-x86_64-unknown-linux-musl-proxy"),
        ("opencode", "opencode-desktop"),
        ("goose", "goose-desktop"),
        ("goose", "goose-1.9.0-1.9.0"),
        ("goose", "goose.real.bin"),
        ("gemini", "gemini-mcp-tool"),
        ("pi", "pi-4"),
        ("pi", "pi-4.txt"),
        ("copilot", "copilot-language-server"),
    ] {
        assert!(!names_closely(rule, name.as_bytes()), "{rule} {name}");
    }
}

#[test]
fn b02_releases_targets_and_packagings_of_an_agent_are_that_agent() {
    for (rule, name) in [
        ("goose", "goose"),
        ("goose", "goose-1.9.0"),
        ("goose", "goose-v1.9.0"),
        ("goose", "goose_1.9"),
        ("goose", "goose@1.9.0-rc.1"),
        ("goose", "goose.1.9.0-beta"),
        ("goose", "goose-1.9.0-nightly.20261130"),
        ("goose", "goose-1.9.0-canary7"),
        ("goose", "goose-1.9.0-rc.bin"),
        ("codex", "codex-x86_64-unknown-linux-musl"),
        ("codex", "codex-aarch64-apple-darwin"),
        ("codex", "codex-x86_64-linux-gnu"),
        ("codex", "codex-linux-x64"),
        ("codex", "codex-raw"),
        ("codex", "codex-unwrapped"),
        ("codex", "codex-0.171.0-x86_64-unknown-linux-musl.real"),
        ("codex", "codex.bin-linux-arm64-0.171.0"),
        ("opencode", "opencode-linux-x64-baseline-musl"),
        ("opencode", "opencode-darwin-arm64"),
        ("my-agent-*", "my-agent-acp"),
    ] {
        assert!(names_closely(rule, name.as_bytes()), "{rule} {name}");
    }
    for (rule, name) in [("my-agent-*", "my-agent"), ("my-agent-*", "my-agent-"), ("*", "goose"), ("", "")] {
        assert!(!names_closely(rule, name.as_bytes()), "{rule} {name}");
    }
}

#[test]
fn nix_wrapping_is_stripped() {
    for (comm, expected) in [
        (".goose-wrapped", "goose"),
        (".claude-wrapped_", "claude"),
        (".x-wrapped__", "x"),
        (".-wrapped", ".-wrapped"),
        ("goose-wrapped", "goose-wrapped"),
        (".goose", ".goose"),
    ] {
        assert_eq!(names(&format!("/nix/store/x/bin/{comm}"), &[], ""), [expected], "{comm}");
    }
    assert_eq!(names("/nix/store/x/bin/.codex-wrapped", &["codex"], ".codex-wrapped"), ["codex"]);
}

#[test]
fn wrappers_and_adopters_are_matched_exactly() {
    let known = |exe: &str, argv: &[&str], comm: &str, rules: &[&str]| {
        let argv = args(argv);
        let identity = Identity { exe: Some(exe.as_bytes()), argv: Some(&argv), comm: comm.as_bytes() };
        find_word(&identity, rules.iter().copied()).is_some()
    };
    let rules = ["npm", "sh", "timeout", "omnigent", "bun", "deno"];
    for (exe, argv, comm) in [
        ("/usr/bin/node", &["npm exec foo"][..], "npm exec foo"),
        ("/usr/bin/dash", &["sh", "-c", "x"], "sh"),
        ("/usr/bin/bash", &["-sh"], "sh"),
        ("/usr/bin/timeout", &["timeout", "60", "goose"], "timeout"),
        ("/usr/bin/python3", &["python3", "/u/omnigent", "host"], "python3"),
        ("/p/bun", &["bun", "run", "dev"], "bun"),
        ("/p/bun", &["bun", "x", "cowsay"], "bun"),
        ("/p/deno", &["deno", "task", "dev"], "deno"),
    ] {
        assert!(known(exe, argv, comm, &rules), "{exe} {argv:?}");
    }
    for (exe, argv, comm) in [
        ("/p/omnigent-runner", &["omnigent-runner"][..], "omnigent-runner"),
        ("/usr/bin/python3", &["python3", "/u/omnigent-runner"], "python3"),
        ("/p/npm-check", &["npm-check"], "npm-check"),
        ("/p/sh.distrib", &["sh.distrib"], "sh.distrib"),
        ("/p/bun", &["bun", "server.ts"], "bun"),
        ("/p/bun", &["bun", "run", "/p/server.ts"], "bun"),
        ("/p/deno", &["deno", "run", "-A", "npm:@scope/agent"], "deno"),
        ("/usr/bin/node", &["node", "run"], "node"),
    ] {
        assert!(!known(exe, argv, comm, &rules), "{exe} {argv:?}");
    }
    assert!(!known("/p/gnome-keyring-daemon", &["x"], "gnome-keyring-d", &["gnome-keyring"]));
}

/// Every name that the built-in protections covered when protection and selection still shared one rule.
#[test]
fn no_protection_lost_a_name() {
    let covered = |rule: &str, name: &[u8]| {
        name.strip_prefix(rule.as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|byte| matches!(byte, b'-' | b'_' | b'.')))
    };
    let protected: Vec<&str> = crate::protected::PROTECTED.iter().map(|(name, _)| *name).collect();
    for rule in &protected {
        for ending in ["", "-server", "_x", ".real", "-1.2", "-daemon.bin", "x"] {
            let name = format!("{rule}{ending}");
            let identity = Identity { exe: Some(name.as_bytes()), argv: None, comm: b"" };
            let wanted = protected.iter().any(|rule| covered(rule, name.as_bytes()));
            assert_eq!(find_protected(&identity, protected.iter().copied()).is_some(), wanted, "{name}");
            let cut: Vec<u8> = name.bytes().take(15).collect();
            let identity = Identity { exe: None, argv: None, comm: &cut };
            if wanted {
                assert!(find_protected(&identity, protected.iter().copied()).is_some(), "comm of {name}");
            }
        }
    }
    for program in ["claude", "codex", "cline"] {
        for ending in ["", "-code", "-app-server", "_x", ".exe.bin", "-hub"] {
            let name = format!("{program}{ending}");
            let identity = Identity { exe: Some(name.as_bytes()), argv: None, comm: b"" };
            assert!(find_widely(&Names::of(&identity), [program]).is_some(), "keep rules cover {name}");
        }
    }
}

#[test]
fn arguments_of_other_programs_are_not_names() {
    for (exe, argv, comm) in [
        ("/usr/bin/tail", &["tail", "-f", "notes-claude.md"][..], "tail"),
        ("/usr/bin/vim", &["vim", "/p/claude"][..], "vim"),
        ("/opt/chrome/chrome", &["/opt/chrome/chrome --type=renderer --x=/p/claude"][..], "chrome"),
        ("/usr/bin/node", &["npm exec /p/claude"][..], "npm exec /p/claude"),
        ("/usr/bin/node", &["/usr/bin/node /p/claude"][..], "node"),
        ("/usr/bin/node", &["node", "--require", "claude", "server.js"][..], "node"),
        ("/usr/bin/node", &["node", "server.js", "claude"][..], "node"),
        ("/usr/bin/mongoose", &["mongoose"][..], "mongoose"),
    ] {
        let argv = args(argv);
        let identity = Identity { exe: Some(exe.as_bytes()), argv: Some(&argv), comm: comm.as_bytes() };
        assert_eq!(find(&Names::of(&identity), ["claude", "goose"]), None, "{exe} {argv:?}");
    }
}

#[test]
fn an_exact_match_is_preferred_and_said_in_words() {
    let argv = args(&["node", "/p/.bin/codex-acp"]);
    let identity = Identity { exe: Some(b"/usr/bin/node"), argv: Some(&argv), comm: b"node" };
    let found = find(&Names::of(&identity), ["codex", "codex-acp"]).unwrap();
    assert_eq!((found.rule, found.source), ("codex-acp", Source::Script));
    assert_eq!(found.to_string(), "`codex-acp` by its script");

    let identity = Identity { exe: Some(b"/p/goose-\x1b[31m\xff"), argv: None, comm: b"" };
    let found = find_widely(&Names::of(&identity), ["goose"]).unwrap();
    assert_eq!(found.to_string(), r"`goose-\x1b[31m\xff` by its executable, matching `goose`");
}

#[test]
fn a_comm_that_may_be_cut_short_is_no_name() {
    let identity = Identity { exe: None, argv: None, comm: b"claude-agent-ac" };
    assert!(Names::of(&identity).is_empty());
    let identity = Identity { exe: None, argv: None, comm: b"claude-agent-a" };
    assert_eq!(Names::of(&identity).first().map(|name| name.source), Some(Source::Comm));
}

#[test]
fn titles_name_wrappers_and_protected_programs_only() {
    for (title, word) in [
        ("npm exec foo", "npm"),
        ("tmux: server", "tmux"),
        ("sshd: alice@pts/0", "sshd"),
        ("-bash", "bash"),
        ("/usr/bin/npx foo", "npx"),
        ("bazel(project)", "bazel"),
        ("bazel(my project)", "bazel"),
        ("(sd-pam)", "(sd-pam)"),
    ] {
        let argv = args(&[title]);
        let identity = Identity { exe: None, argv: Some(&argv), comm: b"" };
        let words: Vec<_> = title_words(&identity).map(|(word, _)| word).collect();
        assert_eq!(words, [word.as_bytes()], "{title}");
        assert_eq!(find_protected(&identity, [word]).map(|found| found.rule), Some(word));
        if title.contains([' ', '(']) && title != word {
            assert_eq!(find(&Names::of(&identity), [word]), None, "{title}");
        }
    }
}

#[test]
fn a_protected_program_is_known_even_by_a_cut_comm() {
    let identity = Identity { exe: None, argv: None, comm: b"gnome-keyring-d" };
    let found = find_protected(&identity, ["gnome-keyring-daemon"]);
    assert_eq!(found.map(|found| found.rule), Some("gnome-keyring-daemon"));
    let identity = Identity { exe: None, argv: None, comm: b"gnome-keyring-x" };
    assert_eq!(find_protected(&identity, ["gnome-keyring-daemon"]), None);
}

#[test]
fn hostile_strings_yield_no_names_and_no_panics() {
    let huge = vec![vec![b'g'; 1 << 20]];
    let many = vec![b"-x".to_vec(); 100_000];
    let nuls = vec![vec![0; 64]];
    let lines = args(&["goose\nclaude", "\n"]);
    let bytes = vec![vec![0xff, 0xfe, b'/', 0xc0]];
    for argv in [&[][..], &[vec![]], &[vec![], vec![]], &huge, &many, &nuls, &lines, &bytes] {
        for exe in [None, Some(&b""[..]), Some(b"/"), Some(b"////"), Some(b" (deleted)"), Some(b"node")] {
            let identity = Identity { exe, argv: Some(argv), comm: b"" };
            assert_eq!(find(&Names::of(&identity), ["goose", "claude"]), None);
            assert_eq!(find_protected(&identity, ["tmux"]), None);
        }
    }
}

type Strings = (Option<Vec<u8>>, Option<Vec<Vec<u8>>>, Vec<u8>);

fn identity() -> impl Strategy<Value = Strings> {
    let word = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "(/usr/bin/)?(node|python3|bun|deno|java|goose|mongoose|npm exec)( x)?".prop_map(String::into_bytes),
        "-{1,2}[a-zA-Z]{0,4}(=x)?".prop_map(String::into_bytes),
        "/[a-z/.@]{0,12}(cli|index|goose)(.js|.py)?".prop_map(String::into_bytes),
    ];
    (prop::option::of(word.clone()), prop::option::of(prop::collection::vec(word.clone(), 0..6)), word)
}

proptest! {
    /// Each name is a piece of a string of the process, and none is an interpreter's.
    #[test]
    fn every_name_is_a_piece_of_the_process((exe, argv, comm) in identity()) {
        let subject = Identity { exe: exe.as_deref(), argv: argv.as_deref(), comm: &comm };
        let strings: Vec<&[u8]> = exe.as_deref().into_iter()
            .chain(argv.iter().flatten().map(Vec::as_slice)).chain([comm.as_slice()]).collect();
        for name in Names::of(&subject).iter() {
            prop_assert!(!name.bytes.is_empty() && !super::is_interpreter(name.bytes));
            prop_assert!(strings.iter().any(|string| string.windows(name.bytes.len()).any(|part| part == name.bytes)));
        }
    }

    /// A protection never matches inside a word.
    #[test]
    fn a_wide_match_starts_the_name_and_ends_at_a_separator(rule in "[a-z]{1,6}", name in "[a-z._-]{0,12}") {
        let expected = name == rule || ['-', '_', '.'].iter().any(|end| name.starts_with(&format!("{rule}{end}")));
        prop_assert_eq!(names_widely(&rule, name.as_bytes()), expected);
    }
}
