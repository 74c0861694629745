//! Runs of reaper among its own targets: started by an agent, from a hook, or twice at once.

use std::fs;
use std::path::PathBuf;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, ProcessSpec, in_namespace, test_name};
use serde_json::Value;

use crate::common::{
    ACT, LONG, Ran, Running, act, ended, finding, home, left_alone, marked, ordinary_user, orphan, records,
    spared, wait_for_intent,
};

const REAPER: &str = env!("CARGO_BIN_EXE_reaper");

/// Lets `by` run reaper the way hooks do, through `sh -c` in `sh -c`, and returns its output.
fn hook(processes: &ProcessSet, by: &ProcessRef) -> Ran {
    hook_in(processes, by, marked(processes, "sh"))
}

/// The same in this shell.
fn hook_in(processes: &ProcessSet, by: &ProcessRef, shell: ProcessSpec) -> Ran {
    let out = processes.directory().join("hook");
    let command = format!("{REAPER} {}", ACT.join(" "));
    // What follows the command keeps each shell there while it runs.
    let inner = format!("{command} >{0}.out 2>{0}.err; echo $? >{0}.code; exit 0", out.display());
    let outer = format!("sh -c \"{}\"; exit $?", inner.replace('$', "\\$"));
    let shell = shell.foreign("/bin/sh").args(["-c", &outer]).env("HOME", home(processes)).under(by);
    assert!(shell.wait_exit(LONG), "the hook does not end");
    let read = |what: &str| fs::read_to_string(out.with_extension(what)).unwrap_or_default();
    let code = read("code").trim().parse().unwrap_or(-1);
    Ran { code, stdout: read("out"), stderr: read("err") }.expect_code(0)
}

const SELF: &str = "is this reaper or one of its ancestors";

fn a_hook_of_an_orphaned_agent() {
    let processes = ProcessSet::new();
    let agent = orphan(&processes);
    let busy = marked(&processes, "esbuild").under(&agent);
    let another = orphan(&processes);
    let ran = hook(&processes, &agent);
    spared(&ran, &agent, "unprotected", SELF);
    assert!(busy.is_alive(), "what our ancestor started is not ours to end");
    ended(&ran, &another);
}

#[test]
fn w12_a_hook_does_not_end_its_agent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), a_hook_of_an_orphaned_agent);
}

#[test]
fn w12_a_hook_does_not_end_its_agent_as_an_ordinary_user() {
    in_namespace(&ordinary_user(), test_name!(), a_hook_of_an_orphaned_agent);
}

#[test]
fn w12_a_hook_does_not_end_the_wrapper_of_its_agent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let npx = marked(&processes, "npm").argv(["npm exec claude-agent-acp"]).orphan_of_dead_leader();
        let shell = marked(&processes, "sh").args(["-c", "claude-agent-acp"]).under(&npx);
        let agent = marked(&processes, "claude-agent-acp").under(&shell);
        let sibling = marked(&processes, "goose").under(&shell);
        let another = orphan(&processes);
        let ran = hook(&processes, &agent);
        spared(&ran, &agent, "unprotected", SELF);
        spared(&ran, &sibling, "orphan", "runs several marked programs: their host");
        assert!(npx.is_alive() && shell.is_alive());
        ended(&ran, &another);
    });
}

#[test]
fn w12_a_hook_does_not_end_a_sibling_of_its_agent_and_their_wrappers() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let npx = marked(&processes, "npm").argv(["npm exec claude-agent-acp"]).orphan_of_dead_leader();
        let shell = marked(&processes, "sh").args(["-c", "claude-agent-acp"]).under(&npx);
        // Without the marker it makes the shell no host, which would spare its sibling by itself.
        let agent = processes.spec("claude-agent-acp").under(&shell);
        let sibling = marked(&processes, "goose").under(&shell);
        let another = orphan(&processes);
        let ran = hook_in(&processes, &agent, processes.spec("sh"));
        // Its wrappers are ours too, so a sibling cannot be ended with the whole chain above it.
        spared(&ran, &sibling, "unprotected", SELF);
        assert!(npx.is_alive() && shell.is_alive() && agent.is_alive());
        ended(&ran, &another);
    });
}

#[test]
fn w12_a_hook_does_not_end_the_shell_above_it_or_what_that_wraps() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        // With a marker of its own the hook makes the shell the host of both; without, the shell is a wrapper.
        for (is_marked, gate, words) in
            [(true, "orphan", "runs several marked programs: their host"), (false, "unprotected", SELF)]
        {
            let processes = ProcessSet::new();
            let shell = marked(&processes, "bash").orphan_of_dead_leader();
            let fellow = marked(&processes, "claude").own_session().under(&shell);
            let another = orphan(&processes);
            let hook = if is_marked { marked(&processes, "sh") } else { processes.spec("sh") };
            let ran = hook_in(&processes, &shell, hook);
            spared(&ran, &fellow, gate, words);
            assert!(shell.is_alive());
            ended(&ran, &another);
        }
    });
}

#[test]
fn w27_an_ancestor_is_not_ended_as_a_member_of_another_tree() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let agent = marked(&processes, "goose").under(&launcher);
        let fellow = marked(&processes, "claude").under(&launcher);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        assert_eq!(agent.pgid(), fellow.pgid());
        let ran = hook(&processes, &agent);
        ended(&ran, &fellow);
        left_alone(&ran, &agent, SELF);
        spared(&ran, &agent, "unprotected", SELF);
    });
}

/// A copy under an agent's name: only its place in the tree can spare it.
fn disguised(processes: &ProcessSet) -> PathBuf {
    let copy = processes.directory().join("goose-1.0");
    fs::copy(REAPER, &copy).unwrap();
    copy
}

#[test]
fn w27_reaper_spares_itself_by_pid_and_not_by_name() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let fellow = marked(&processes, "claude").under(&launcher);
        let (go, out) = (processes.directory().join("go"), processes.directory().join("out"));
        let command =
            format!("exec {} {} >{}", disguised(&processes).display(), ACT.join(" "), out.display());
        let script = format!("while [ ! -e {} ]; do sleep 0.01; done; {command}", go.display());
        let reaper =
            marked(&processes, "sh").foreign("/bin/sh").args(["-c", &script]).env("HOME", home(&processes));
        let reaper = reaper.under(&launcher);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        fs::write(&go, "").unwrap();
        // Now it is an orphan itself, marked, called like an agent, and in the group of another orphan.
        assert!(reaper.wait_exit(LONG));
        let ran = Ran { code: 0, stdout: fs::read_to_string(&out).unwrap(), stderr: String::new() };
        let own = ran.judgement(reaper.pid).unwrap();
        assert_eq!(own["ppid"], 1, "{own:#}");
        assert_eq!(finding(&own, "program").unwrap()["answer"], "yes", "{own:#}");
        assert_eq!((&own["decided_by"], &own["verdict"]), (&"unprotected".into(), &"spare".into()));
        assert!(own["reason"].as_str().unwrap().contains(SELF));
        ended(&ran, &fellow);
        let left: Vec<Value> = ran.json()["left_alone"].as_array().unwrap().clone();
        assert!(left.iter().any(|one| one["pid"] == reaper.pid), "{left:?}");
    });
}

#[test]
fn w27_an_agent_below_the_users_shell_can_run_reaper() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let shell = processes.spec("zsh").own_session().child();
        let agent = marked(&processes, "claude").under(&shell);
        let another = orphan(&processes);
        let ran = hook(&processes, &agent);
        assert!(agent.is_alive() && shell.is_alive());
        ended(&ran, &another);
    });
}

#[test]
fn w15_two_reapers_do_not_end_the_same_target() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let home = home(&processes);
        let deaf = marked(&processes, "goose").behave("ignore-term").orphan_of_dead_leader();
        let first = Running::start(act(&processes).env("REAPER_TERM_TIMEOUT", "1500ms"));
        wait_for_intent(&home, &deaf, "TERM");
        let second = act(&processes).env("REAPER_TERM_TIMEOUT", "1ms").run().expect_code(4);
        assert!(second.stderr.contains("another reaper is ending processes right now"), "{}", second.stderr);
        assert!(second.stdout.is_empty() && deaf.is_alive(), "{}", second.stdout);
        let first = first.finish().expect_code(0);
        assert_eq!(first.outcome(deaf.pid), "killed");
        let all = records(&home);
        let events: Vec<(&Value, &Value)> = all.iter().map(|r| (&r["event"], &r["signal"])).collect();
        let (intent, outcome, none) = ("intent".into(), "outcome".into(), Value::Null);
        assert_eq!(events, [(&intent, &"TERM".into()), (&intent, &"KILL".into()), (&outcome, &none)]);
        // The lock is free again.
        let next = orphan(&processes);
        ended(&act(&processes).run().expect_code(0), &next);
    });
}

#[test]
fn w15_a_reaper_that_was_killed_holds_no_lock() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let deaf = marked(&processes, "goose").behave("ignore-term").orphan_of_dead_leader();
        let first = Running::start(act(&processes).env("REAPER_TERM_TIMEOUT", "1h"));
        wait_for_intent(&home(&processes), &deaf, "TERM");
        first.kill();
        let second = act(&processes).env("REAPER_TERM_TIMEOUT", "50ms").run().expect_code(0);
        assert_eq!(second.outcome(deaf.pid), "killed");
    });
}

#[test]
fn w15_agents_of_another_running_app_are_spared() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // Two apps run at once, each with an agent at work and a helper that it put into the background.
        let of_run = |name: &str, nonce: &str| {
            let spec = processes.spec(name).env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app");
            spec.env("BUZZ_MANAGED_AGENT_START_NONCE", nonce)
        };
        let runs = ["first", "second"].map(|nonce| {
            let agent = of_run("claude", nonce).own_session().child();
            (agent, of_run("goose", nonce).orphan_of_dead_leader())
        });
        let of_dead_run = of_run("goose", "third").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        for (agent, helper) in &runs {
            let words = format!("pid {}, which is no orphan, holds the same owner value", agent.pid);
            spared(&ran, helper, "unclaimed", &words);
            assert!(agent.is_alive());
        }
        ended(&ran, &of_dead_run);
    });
}
