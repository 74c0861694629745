//! Trees: wrappers above an orphan, workers below it, and the order in which they end.

use std::fs;

use reaper_testkit::{Actor, Alive, Stage, Troupe, here, play};
use serde_json::Value;

use crate::common::{Ran, state_dir};
use crate::help::{MARK, act, agent, home, look};

/// Fails unless all of these have ended, each by the command's own account.
fn all_exited(ran: &Ran, tree: &[&Alive]) {
    for one in tree {
        assert_eq!(ran.outcome(one.pid), "exited", "{} in {}", one.pid, ran.stdout);
        assert!(!one.is_alive());
    }
}

fn npm(troupe: &Troupe, title: &str) -> Actor {
    // npm is a script: its executable is node's, and it rewrites its arguments into a title.
    agent(troupe, "node").argv([title]).behave("comm=npm exec @agent")
}

#[test]
fn m04_wrapper_chains_of_every_form_end_with_what_they_wrap() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let sh = |script: &str| agent(&troupe, "sh").args(["-c", script]);
        let node = |script: &str| agent(&troupe, "node").args([script]).behave("comm=MainThread");

        // npx -y @agent/claude-agent-acp: npm, a shell, and the hot server below.
        let npm1 = npm(&troupe, "npm exec @agent/claude-agent-acp").orphan_of_dead_leader();
        let sh1 = sh("claude-agent-acp").under(&npm1);
        let acp1 = node("/home/u/.npm/_npx/1/node_modules/.bin/claude-agent-acp").under(&sh1);
        // The wrapper has ended, and its shell is the orphan.
        let sh2 = sh("codex-acp").orphan_double_fork();
        let acp2 = node("/usr/lib/node_modules/codex-acp/bin/codex-acp.js").under(&sh2);
        // npm starts it without a shell.
        let npm3 = npm(&troupe, "npm exec gemini").orphan_of_dead_leader();
        let acp3 = node("/usr/lib/node_modules/gemini/dist/index.js").under(&npm3);
        // An npm script in a folder: two of each.
        let npm4 = npm(&troupe, "npm run agent").orphan_of_dead_leader();
        let sh4 = sh("npx goose acp").under(&npm4);
        let npx4 = npm(&troupe, "npx goose acp").under(&sh4);
        let inner4 = agent(&troupe, "bash").args(["-c", "goose acp"]).under(&npx4);
        let goose4 = agent(&troupe, "goose").args(["acp"]).own_session().under(&inner4);
        // Python's own.
        let uvx = agent(&troupe, "uv").args(["tool", "run", "codex-acp"]).orphan_of_dead_leader();
        let python = agent(&troupe, "python3").args(["/x/bin/codex-acp"]).under(&uvx);

        let tree = [
            &npm1, &sh1, &acp1, &sh2, &acp2, &npm3, &acp3, &npm4, &sh4, &npx4, &inner4, &goose4, &uvx,
            &python,
        ];
        let ran = act(&troupe).run().expect_code(0);
        all_exited(&ran, &tree);
    });
}

#[test]
fn m04_the_subtree_below_an_orphan_ends_with_it() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let shim = agent(&troupe, "node").args(["/usr/bin/codex"]).orphan_of_dead_leader();
        let native = agent(&troupe, "codex").under(&shim);
        // Agents give each tool a session of its own, and no profile names the tools.
        let tool = agent(&troupe, "bash").args(["-lc", "npm test"]).own_session().under(&native);
        let npm = npm(&troupe, "npm test").under(&tool);
        let vitest = agent(&troupe, "node").args(["/w/node_modules/.bin/vitest"]).own_group().under(&npm);
        let server = agent(&troupe, "node").args(["/x/mcp-server.js"]).own_session().under(&native);
        let ran = act(&troupe).run().expect_code(0);
        all_exited(&ran, &[&shim, &native, &tool, &npm, &vitest, &server]);
        let json = ran.json();
        let roots: Vec<&Value> = json["actions"].as_array().unwrap().iter().map(|a| &a["root"]).collect();
        assert!(roots.iter().all(|root| **root == shim.pid), "{roots:?}");
    });
}

#[test]
fn m04_a_wrapper_without_the_marker_is_a_parent_like_any_other() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let npm = npm(&troupe, "npm exec x").env_remove(MARK).orphan_of_dead_leader();
        let acp = agent(&troupe, "goose").under(&npm);
        assert_eq!(act(&troupe).run().expect_code(0).json()["actions"], serde_json::json!([]));
        assert!(npm.is_alive() && acp.is_alive());
    });
}

#[test]
fn r09_leaves_are_signalled_first_in_the_plan_and_in_the_history() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let npm = npm(&troupe, "npm exec goose").orphan_of_dead_leader();
        let goose = agent(&troupe, "goose").under(&npm);
        let shells: Vec<Alive> = (0..3).map(|_| agent(&troupe, "bash").own_session().under(&goose)).collect();
        let leaves: Vec<Alive> = shells.iter().map(|sh| agent(&troupe, "node").under(sh)).collect();
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
        let planned = look(&troupe).run().expect_code(0).judgement(goose.pid).expect("it is listed");
        let planned: Vec<i32> = serde_json::from_value(planned["targets"].clone()).unwrap();
        rises(&planned);
        act(&troupe).run().expect_code(0);
        let history = fs::read_to_string(state_dir(&home(&troupe)).join("history.jsonl")).unwrap();
        let records: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let pids = |event: &str| -> Vec<i32> {
            let of_event = records.iter().filter(|record| record["event"] == event);
            of_event.map(|record| record["pid"].as_i64().unwrap() as i32).collect()
        };
        rises(&pids("intent"));
        // What became of each is told as it happens, and they end as they like.
        let ended = pids("outcome");
        assert!(ended.len() == 8 && planned.iter().all(|pid| ended.contains(pid)), "{ended:?}");
        assert_eq!(records.iter().filter(|record| record["outcome"] == "exited").count(), 8);
    });
}
