//! Owners, runs, sessions and groups that keep a process that lost its parent.

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use crate::common::{
    LONG, act, dead_lease, decided, doubted, ended, explain, lease, marked, of_no_namespace, only,
    ordinary_user, orphan, spared,
};

const NONCE: &str = "BUZZ_MANAGED_AGENT_START_NONCE";

/// An agent of one run of the app.
fn of_run(processes: &ProcessSet, name: &str, nonce: &str) -> reaper_testkit::ProcessSpec {
    processes.spec(name).env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app").env(NONCE, nonce)
}

fn a_living_run() {
    let processes = ProcessSet::new();
    // The agent works; its tool shell, a session of its own, has put a sub-agent into the background and gone.
    let agent = of_run(&processes, "claude", "ab12").own_session().child();
    let shell = of_run(&processes, "bash", "ab12").own_session().under(&agent);
    let sub_agent = of_run(&processes, "codex", "ab12").by(&shell).orphan();
    shell.kill();
    assert!(shell.wait_reaped(LONG) && sub_agent.ppid() == 1);
    let of_dead_run = of_run(&processes, "codex", "ff00").orphan_of_dead_leader();
    let ran = act(&processes).run().expect_code(0);
    let words = format!("pid {}, which is no orphan, holds the same owner value", agent.pid);
    spared(&ran, &sub_agent, "unclaimed", &words);
    only(&processes, &sub_agent, "unclaimed");
    ended(&ran, &of_dead_run);
    assert!(!ran.stdout.contains("ab12"), "the value must not be shown");
    // The same sub-agent, once the run is over.
    agent.kill();
    assert!(agent.wait_reaped(LONG));
    ended(&act(&processes).run().expect_code(0), &sub_agent);
}

#[test]
fn w02_a_living_run_keeps_its_background_agents() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), a_living_run);
}

#[test]
fn w02_a_living_run_keeps_its_background_agents_as_an_ordinary_user() {
    in_namespace(&ordinary_user(), test_name!(), a_living_run);
}

#[test]
fn w02_a_living_owner_keeps_what_it_leased() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let owner = processes.spec("launcher").child();
        let owned = |lease: String| {
            let spec = processes.spec("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease);
            spec.orphan_of_dead_leader()
        };
        let wanted = owned(lease(&owner));
        let also_an_agent =
            marked(&processes, "goose").env("REAPER_OWNER", lease(&owner)).orphan_of_dead_leader();
        let unwanted = owned(dead_lease(&processes));
        let ran = act(&processes).run().expect_code(0);
        let words = format!("its owner, pid {} in REAPER_OWNER, is alive", owner.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        spared(&ran, &also_an_agent, "unclaimed", &words);
        ended(&ran, &unwanted);
        only(&processes, &wanted, "unclaimed");
    });
}

#[test]
fn w02_a_living_leader_keeps_its_session_and_its_group() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = marked(&processes, "claude").own_session().child();
        let in_its_session = marked(&processes, "goose").by(&agent).orphan();
        let grouped = marked(&processes, "claude").own_group().child();
        let in_its_group = marked(&processes, "goose").by(&grouped).orphan();
        assert_eq!((in_its_session.sid(), in_its_group.pgid()), (agent.pid, grouped.pid));
        let orphan = orphan(&processes);
        let ran = act(&processes).run().expect_code(0);
        let words = |what, leader: &ProcessRef| {
            format!("the leader of its {what}, pid {}, is marked and no orphan", leader.pid)
        };
        spared(&ran, &in_its_session, "unclaimed", &words("session", &agent));
        spared(&ran, &in_its_group, "unclaimed", &words("process group", &grouped));
        only(&processes, &in_its_session, "unclaimed");
        ended(&ran, &orphan);
    });
}

#[test]
fn w02_an_agent_named_by_a_helper_keeps_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = processes.spec("opencode").child();
        let gone = processes.spec("opencode").child();
        let helper = |pid: i32| {
            let spec = processes.spec("mcp-server-files").env("OPENCODE", "1");
            spec.env("OPENCODE_PID", pid.to_string()).orphan_of_dead_leader()
        };
        let (wanted, unwanted) = (helper(agent.pid), helper(gone.pid));
        gone.kill();
        assert!(gone.wait_reaped(LONG));
        let ran = act(&processes).env("REAPER_USE", "opencode-children").run().expect_code(0);
        let words = format!("its owner, pid {} in OPENCODE_PID, is alive", agent.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        ended(&ran, &unwanted);
    });
}

#[test]
fn w17_a_dead_owner_does_not_orphan_a_child_of_a_living_parent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let dead = dead_lease(&processes);
        let leased =
            |name: &str| marked(&processes, name).env("REAPER_MANAGED", "1").env("REAPER_OWNER", &dead);
        // A user resumed the work in a shell of theirs: the record of the launcher that died is stale.
        let shell = processes.spec("zsh").own_session().child();
        let resumed = leased("claude").under(&shell);
        let tmux = processes.spec("tmux").argv(["tmux: server"]).orphan_double_fork();
        let in_a_pane = leased("claude").own_session().under(&tmux);
        let orphan = leased("claude").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        for (alive, parent) in [(&resumed, "`zsh`"), (&in_a_pane, "`tmux`")] {
            assert!(alive.is_alive());
            decided(&explain(&processes, alive), "spare", "orphan", &format!("its parent {parent}"));
            only(&processes, alive, "orphan");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_a_lease_that_cannot_be_parsed_is_no_dead_owner() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let dead = dead_lease(&processes);
        let parts: Vec<&str> = dead.split(':').collect();
        let [pid, ticks, boot, namespace] = parts[..] else { panic!("{dead}") };
        let odd = [
            String::new(),
            pid.to_owned(),
            format!("{pid}:{ticks}"),
            format!("{pid}:{ticks}:"),
            format!("{pid}:{ticks}:{boot}:"),
            format!("{pid}:{ticks}:{boot} "),
            format!("{pid}:0x{ticks}:{boot}"),
            format!("-{pid}:{ticks}:{boot}"),
            format!("0:{ticks}:{boot}"),
            format!("{pid}9999999999:{ticks}:{boot}"),
            format!("{pid}:{ticks}:00000000-0000-4000-8000-000000000000"),
            format!("{pid}:{ticks}:00000000-0000-4000-8000-000000000000:{namespace}"),
            format!("{dead}:"),
            format!("{dead} "),
            format!("{dead}:more"),
            format!("{pid}:{ticks}:{boot}:-{namespace}"),
            "x".repeat(5000),
        ]
        .map(|lease| marked(&processes, "goose").env("REAPER_OWNER", lease).orphan_of_dead_leader());
        let twice = marked(&processes, "goose").env("REAPER_OWNER", &dead).env_raw("REAPER_OWNER=1:1:1");
        let twice = twice.orphan_of_dead_leader();
        // In a PID namespace of its own a pid alone proves no death.
        let of_nowhere = marked(&processes, "goose").env("REAPER_OWNER", of_no_namespace(&dead));
        let of_nowhere = of_nowhere.orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(4);
        for one in odd.iter().chain([&twice]) {
            doubted(&ran, one, "unclaimed", "REAPER_OWNER is there and cannot be understood");
        }
        doubted(&ran, &of_nowhere, "unclaimed", "its lease names no PID namespace");
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_owner_pid_that_cannot_be_parsed_is_no_dead_owner() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let odd = ["abc", "-1", "00", "1.5", "12 ", "99999999999999", "0x10"].map(|pid| {
            let spec = processes.spec("mcp-server-files").env("OPENCODE", "1").env("OPENCODE_PID", pid);
            spec.orphan_of_dead_leader()
        });
        let helper = processes.spec("mcp-server-files").env("OPENCODE", "1");
        let none = [helper.orphan_of_dead_leader(), helper.env("OPENCODE_PID", "0").orphan_of_dead_leader()];
        let ran = act(&processes).env("REAPER_USE", "sprout,opencode-children").run().expect_code(4);
        for one in &odd {
            doubted(&ran, one, "unclaimed", "OPENCODE_PID is there and cannot be understood");
        }
        for one in &none {
            spared(&ran, one, "marker", "OPENCODE_PID is missing beside the marker");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_agent_that_cannot_be_read_may_be_the_owner() {
    in_namespace(&ordinary_user(), test_name!(), || {
        let processes = ProcessSet::new();
        let closed = of_run(&processes, "claude", "ab12").behave("non-dumpable").child();
        let perhaps_its = of_run(&processes, "codex", "ab12").orphan_of_dead_leader();
        let of_no_run = orphan(&processes);
        let ran = act(&processes).run().expect_code(4);
        doubted(&ran, &perhaps_its, "unclaimed", "whether its owner lives cannot be told");
        ended(&ran, &of_no_run);
        assert!(closed.is_alive());
    });
}
