//! Trees: wrappers above an orphan, workers below it, and the order in which they end.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, test_name};
use serde_json::Value;

use super::support::{MARK, act, agent, home, look};
use crate::common::{Ran, state_dir};

/// Fails unless all of these have ended, each with an outcome in the command's report.
fn all_exited(ran: &Ran, tree: &[&ProcessRef]) {
    for one in tree {
        assert_eq!(ran.outcome(one.pid), "exited", "{} in {}", one.pid, ran.stdout);
        assert!(!one.is_alive());
    }
}

fn npm(processes: &ProcessSet, title: &str) -> ProcessSpec {
    // npm is a script: its executable is node's, and it rewrites its arguments into a title.
    agent(processes, "node").argv([title]).behave("comm=npm exec @agent")
}

#[test]
fn m04_wrapper_chains_end_with_the_agents_below_them() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let sh = |script: &str| agent(&processes, "sh").args(["-c", script]);
        let node = |script: &str| agent(&processes, "node").args([script]).behave("comm=MainThread");

        // npx -y @agent/claude-agent-acp: npm, a shell, and the hot server below.
        let npm1 = npm(&processes, "npm exec @agent/claude-agent-acp").orphan_of_dead_leader();
        let sh1 = sh("claude-agent-acp").under(&npm1);
        let acp1 = node("/home/u/.npm/_npx/1/node_modules/.bin/claude-agent-acp").under(&sh1);
        // The wrapper has ended, and its shell is the orphan.
        let sh2 = sh("codex-acp").orphan_double_fork();
        let acp2 = node("/usr/lib/node_modules/codex-acp/bin/codex-acp.js").under(&sh2);
        // npm starts it without a shell.
        let npm3 = npm(&processes, "npm exec gemini").orphan_of_dead_leader();
        let acp3 = node("/usr/lib/node_modules/gemini/dist/index.js").under(&npm3);
        // An npm script in a folder: two of each.
        let npm4 = npm(&processes, "npm run agent").orphan_of_dead_leader();
        let sh4 = sh("npx goose acp").under(&npm4);
        let npx4 = npm(&processes, "npx goose acp").under(&sh4);
        let inner4 = agent(&processes, "bash").args(["-c", "goose acp"]).under(&npx4);
        let goose4 = agent(&processes, "goose").args(["acp"]).own_session().under(&inner4);
        // Python's own.
        let uvx = agent(&processes, "uv").args(["tool", "run", "codex-acp"]).orphan_of_dead_leader();
        let python = agent(&processes, "python3").args(["/x/bin/codex-acp"]).under(&uvx);

        let tree = [
            &npm1, &sh1, &acp1, &sh2, &acp2, &npm3, &acp3, &npm4, &sh4, &npx4, &inner4, &goose4, &uvx,
            &python,
        ];
        let ran = act(&processes).run().expect_code(0);
        all_exited(&ran, &tree);
    });
}

#[test]
fn m04_the_subtree_below_an_orphan_ends_with_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let shim = agent(&processes, "node").args(["/usr/bin/codex"]).orphan_of_dead_leader();
        let native = agent(&processes, "codex").under(&shim);
        // Agents give each tool a session of its own, and no profile names the tools.
        let tool = agent(&processes, "bash").args(["-lc", "npm test"]).own_session().under(&native);
        let npm = npm(&processes, "npm test").under(&tool);
        let vitest = agent(&processes, "node").args(["/w/node_modules/.bin/vitest"]).own_group().under(&npm);
        let server = agent(&processes, "node").args(["/x/mcp-server.js"]).own_session().under(&native);
        let ran = act(&processes).run().expect_code(0);
        all_exited(&ran, &[&shim, &native, &tool, &npm, &vitest, &server]);
        let json = ran.json();
        let roots: Vec<&Value> = json["actions"].as_array().unwrap().iter().map(|a| &a["root"]).collect();
        assert!(roots.iter().all(|root| **root == shim.pid), "{roots:?}");
    });
}

#[test]
fn m04_a_wrapper_without_the_marker_is_an_ordinary_parent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let npm = npm(&processes, "npm exec x").env_remove(MARK).orphan_of_dead_leader();
        let acp = agent(&processes, "goose").under(&npm);
        assert_eq!(act(&processes).run().expect_code(0).json()["actions"], serde_json::json!([]));
        assert!(npm.is_alive() && acp.is_alive());
    });
}

#[test]
fn r09_leaves_are_signalled_first_in_the_plan_and_in_the_history() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let npm = npm(&processes, "npm exec goose").orphan_of_dead_leader();
        let goose = agent(&processes, "goose").under(&npm);
        let shells: Vec<ProcessRef> =
            (0..3).map(|_| agent(&processes, "bash").own_session().under(&goose)).collect();
        let leaves: Vec<ProcessRef> = shells.iter().map(|sh| agent(&processes, "node").under(sh)).collect();
        let height = |pid: i32| match pid {
            pid if pid == npm.pid => 3,
            pid if pid == goose.pid => 2,
            pid if shells.iter().any(|sh| sh.pid == pid) => 1,
            pid if leaves.iter().any(|leaf| leaf.pid == pid) => 0,
            pid => panic!("{pid} is no part of the tree"),
        };
        let rises = |order: &[i32]| {
            assert_eq!(order.len(), 8, "{order:?}");
            assert!(order.is_sorted_by_key(|pid| height(*pid)), "{order:?}");
        };
        let planned = look(&processes).run().expect_code(0).judgement(goose.pid).expect("it is listed");
        let planned: Vec<i32> = serde_json::from_value(planned["targets"].clone()).unwrap();
        rises(&planned);
        act(&processes).run().expect_code(0);
        let history = fs::read_to_string(state_dir(&home(&processes)).join("history.jsonl")).unwrap();
        let records: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let pids = |event: &str| -> Vec<i32> {
            let of_event = records.iter().filter(|record| record["event"] == event);
            of_event.map(|record| record["pid"].as_i64().unwrap() as i32).collect()
        };
        rises(&pids("intent"));
        // Each outcome is printed as it happens, in any order.
        let ended = pids("outcome");
        assert!(ended.len() == 8 && planned.iter().all(|pid| ended.contains(pid)), "{ended:?}");
        assert_eq!(records.iter().filter(|record| record["outcome"] == "exited").count(), 8);
    });
}
