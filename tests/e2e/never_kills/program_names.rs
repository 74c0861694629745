//! Which programs count as agents, and by which of their names.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use crate::common::{APP, MARK, act, ended, explain, finding, marked, only, orphan, spared};

/// The profiles that name their programs; the one beside them takes any program with a marker of its own.
const NAMED: &str = "sprout,buzz";

#[test]
fn w09_a_marker_in_the_arguments_does_not_count() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let as_argument = processes.spec("claude").args(["SPROUT_MANAGED_AGENT=1"]).orphan_of_dead_leader();
        let prompt = "why is\nSPROUT_MANAGED_AGENT=1\nin `ps e`, and BUZZ_MANAGED_AGENT=x too?";
        let in_a_prompt = processes.spec("claude").args(["-p", prompt]).orphan_of_dead_leader();
        let orphan = orphan(&processes);
        let ran = act(&processes).run().expect_code(0);
        for pasted in [as_argument, in_a_prompt] {
            spared(&ran, &pasted, "marker", "in its environment");
            only(&processes, &pasted, "marker");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w10_program_names_match_as_a_whole() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let named = |name: &str, args: &[&str]| {
            marked(&processes, name).args(args.iter().copied()).orphan_of_dead_leader()
        };
        let strangers = [
            named("mongoose", &[]),
            named("goosebumps", &[]),
            named("goose2", &[]),
            named("Goose", &[]),
            named("claudette", &[]),
            named("not-claude", &[]),
            named("my.codex", &[]),
            named("pip", &[]),
            named("tail", &["-f", "notes-claude.md", "/home/me/goose"]),
            named("vim", &["claude"]),
            named("node", &["/srv/app/server.js", "goose", "claude-agent-acp"]),
            named("node", &["--require", "/opt/claude/hook.js", "/srv/app/server.js"]),
            named("node", &["/srv/claude/worker.js"]),
            named("python3", &["-c", "import goose"]),
            named("java", &["-jar", "/srv/mongoose.jar"]),
        ];
        let unharmed = act(&processes).run().expect_code(0);
        let orphan = orphan(&processes);
        let ran = act(&processes).env("REAPER_USE", NAMED).run().expect_code(0);
        for stranger in &strangers {
            spared(&unharmed, stranger, "marker", "REAPER_MANAGED is not in its environment");
            spared(&ran, stranger, "program", "in no profile in use");
            // Only its name spares it: all other gates answer yes.
            let all = explain(&processes, stranger);
            for gate in ["user", "orphan", "unsupervised", "unclaimed", "unprotected"] {
                assert_eq!(finding(&all, gate).unwrap()["answer"], "yes", "{gate}: {all:#}");
            }
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w10_a_name_that_an_interpreter_gives_itself_does_not_count() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let thread = marked(&processes, "node").behave("comm=MainThread").orphan_of_dead_leader();
        let shell = marked(&processes, "sh").args(["-c", "goose acp"]).orphan_of_dead_leader();
        let title =
            marked(&processes, "node").behave("title=watching goose and claude").orphan_of_dead_leader();
        let ran = act(&processes).env("REAPER_USE", NAMED).run().expect_code(0);
        for other in [&thread, &shell, &title] {
            spared(&ran, other, "program", "in no profile in use");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w18_agents_started_by_the_user_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        // Closed terminals, nohup and disown leave them with init; only their user started them.
        let own = ["claude", "goose", "codex", "gemini", "opencode", "claude-agent-acp"]
            .map(|name| processes.spec(name).orphan_of_dead_leader());
        // A tool of a living or dead session of theirs: the agent's own marker proves no orphan by itself.
        let tool =
            processes.spec("mcp-server-files").env("CLAUDECODE", "1").env("CLAUDE_CODE_SESSION_ID", "7");
        let tool = tool.orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        for agent in &own {
            spared(&ran, agent, "marker", "in its environment");
        }
        spared(&ran, &tool, "marker", "REAPER_MANAGED is not in its environment");
        ended(&ran, &orphan);
    });
}

#[test]
fn w18_generic_variables_are_no_markers() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let generic = ["AGENT", "AI_AGENT", "GOOSE_PROVIDER", "CLAUDECODE", "TERM_PROGRAM", "CI"]
            .map(|name| processes.spec("goose").env(name, "goose").orphan_of_dead_leader());
        let ran = act(&processes).run().expect_code(0);
        for agent in &generic {
            spared(&ran, agent, "marker", "in its environment");
        }
        ended(&ran, &orphan);
        assert!(!ran.stdout.contains(APP), "the value of {MARK} must not be shown");
    });
}
