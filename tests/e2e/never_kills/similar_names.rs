//! Programs whose names begin with an agent's: which are that agent, and which are other programs.

use std::path::Path;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, skip, test_name};

use super::real_programs::{IDLE, act_with, file, installed, node, sprout};
use crate::common::{act, decided, ended, explain, marked, orphan, untouched};

/// A package of npm's, run by real Node.js as its shim does, detached on purpose by a marked agent.
fn package(processes: &ProcessSet, path: &str, args: &[&str]) -> ProcessRef {
    let script = file(processes, &format!("lib/node_modules/{path}"), IDLE);
    claudes(sprout(node(processes, &script))).args(args).orphan_double_fork()
}

/// What Claude Code sets on all that its agents start.
fn claudes(spec: ProcessSpec) -> ProcessSpec {
    spec.env("CLAUDECODE", "1").env("CLAUDE_CODE_SESSION_ID", "5d3f9b8e-1111-4222-8333-444455556666")
}

#[test]
fn b01_programs_whose_names_only_begin_with_an_agents_name_are_no_agents() {
    if installed("node").is_none() {
        return skip(test_name!(), "no node here");
    }
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let native =
            |name: &str, args: &[&str]| claudes(marked(&processes, name)).args(args).orphan_double_fork();
        let bystanders = [
            // `ccr start`: every session of the user goes through it.
            package(&processes, "@musistudio/claude-code-router/dist/cli.js", &["start"]),
            package(&processes, "claude-flow/bin/claude-flow.js", &["daemon", "start"]),
            package(&processes, "@github/copilot-language-server/dist/language-server.js", &["--stdio"]),
            native("codex-responses-api-proxy", &["--http-shutdown"]),
            native("claude-monitor", &[]),
            native("claude-desktop", &[]),
            native("opencode-desktop", &[]),
            native("goose-desktop", &[]),
            native("copilot-language-server", &["--stdio"]),
        ];
        let orphan = orphan(&processes);
        let ran = act(&processes).run().expect_code(0);
        for one in &bystanders {
            untouched(&ran, one);
            decided(&explain(&processes, one), "spare", "marker", "no profile names it");
        }
        ended(&ran, &orphan);
        // An agent of Claude Code started them, and its leftovers are no longer needed.
        let config = "use = [\"sprout\", \"buzz\", \"own\", \"claude-children\"]\n";
        let helper = claudes(marked(&processes, "mcp-server-files")).orphan_of_dead_leader();
        let ran = act_with(&processes, config).run().expect_code(0);
        for one in &bystanders {
            untouched(&ran, one);
        }
        ended(&ran, &helper);
    });
}

#[test]
fn b02_an_agents_name_with_a_version_target_or_packaging_suffix_is_that_agent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let native = |name: &str, args: &[&str]| marked(&processes, name).args(args).orphan_of_dead_leader();
        let mut agents = vec![
            native("codex-acp", &[]),
            native("goose-1.9.0", &["acp"]),
            native("codex-x86_64-unknown-linux-musl", &["exec"]),
            native("codex-raw", &["app-server"]),
            native("opencode-linux-x64-baseline-musl", &["serve"]),
            // Nix: the wrapper hides the program, and one that is wrapped twice has `_` behind it.
            native(".claude-wrapped_", &[]),
            native(".claude-wrapped", &["--session-id", "x"]),
        ];
        if installed("node").is_some() {
            let script = file(&processes, "lib/node_modules/@anthropic-ai/claude-code/cli.js", IDLE);
            agents.push(sprout(node(&processes, &script)).orphan_of_dead_leader());
        }
        let other = native("goose-desktop", &[]);
        let ran = act(&processes).run().expect_code(0);
        for one in &agents {
            ended(&ran, one);
        }
        untouched(&ran, &other);
    });
}

#[test]
fn b02_a_program_wrapped_by_nix_is_recognised() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // `exec -a "$0" …/.x-wrapped "$@"`, below a path of the store.
        let store = Path::new("/run/testkit/store/0a1b-claude-code-2.1.197/bin");
        let wrapped = |argv0: &str| {
            marked(&processes, ".claude-wrapped_").exe_dir(store).argv([argv0]).orphan_of_dead_leader()
        };
        let (typed, unnamed) = (wrapped("/nix/store/0a1b-claude-code-2.1.197/bin/claude"), wrapped(""));
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &typed);
        ended(&ran, &unnamed);
    });
}
