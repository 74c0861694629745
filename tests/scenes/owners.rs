//! Who still wants a process that lost its parent.

use reaper_testkit::{Alive, Stage, Troupe, here, play};

use crate::support::{
    LONG, act, dead_lease, decided, doubted, ended, explain, lease, marked, of_no_namespace, only,
    ordinary_user, orphan, spared,
};

const NONCE: &str = "BUZZ_MANAGED_AGENT_START_NONCE";

/// An agent of one run of the app.
fn of_run(troupe: &Troupe, name: &str, nonce: &str) -> reaper_testkit::Actor {
    troupe.actor(name).env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app").env(NONCE, nonce)
}

fn a_living_run() {
    let troupe = Troupe::new();
    // The agent works; its tool shell, a session of its own, has put a sub-agent into the background and gone.
    let agent = of_run(&troupe, "claude", "ab12").own_session().child();
    let shell = of_run(&troupe, "bash", "ab12").own_session().under(&agent);
    let sub_agent = of_run(&troupe, "codex", "ab12").by(&shell).orphan();
    shell.kill();
    assert!(shell.wait_collected(LONG) && sub_agent.ppid() == 1);
    let of_dead_run = of_run(&troupe, "codex", "ff00").orphan_of_dead_leader();
    let ran = act(&troupe).run().expect_code(0);
    let words = format!("pid {}, which is no orphan, holds the same owner value", agent.pid);
    spared(&ran, &sub_agent, "unclaimed", &words);
    only(&troupe, &sub_agent, "unclaimed");
    ended(&ran, &of_dead_run);
    assert!(!ran.stdout.contains("ab12"), "the value is nobody's business");
    // The same sub-agent, once the run is over.
    agent.kill();
    assert!(agent.wait_collected(LONG));
    ended(&act(&troupe).run().expect_code(0), &sub_agent);
}

#[test]
fn w02_a_run_that_lives_keeps_its_background_agents() {
    play(&Stage::new().systemd(), here!(), a_living_run);
}

#[test]
fn w02_a_run_that_lives_keeps_its_background_agents_for_an_ordinary_user() {
    play(&ordinary_user(), here!(), a_living_run);
}

#[test]
fn w02_a_living_owner_keeps_what_it_leased() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let owner = troupe.actor("launcher").child();
        let owned = |lease: String| {
            let actor = troupe.actor("anything").env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease);
            actor.orphan_of_dead_leader()
        };
        let wanted = owned(lease(&owner));
        let also_an_agent =
            marked(&troupe, "goose").env("REAPER_OWNER", lease(&owner)).orphan_of_dead_leader();
        let unwanted = owned(dead_lease(&troupe));
        let ran = act(&troupe).run().expect_code(0);
        let words = format!("its owner, pid {} in REAPER_OWNER, is alive", owner.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        spared(&ran, &also_an_agent, "unclaimed", &words);
        ended(&ran, &unwanted);
        only(&troupe, &wanted, "unclaimed");
    });
}

#[test]
fn w02_a_living_leader_keeps_its_session_and_its_group() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let agent = marked(&troupe, "claude").own_session().child();
        let in_its_session = marked(&troupe, "goose").by(&agent).orphan();
        let grouped = marked(&troupe, "claude").own_group().child();
        let in_its_group = marked(&troupe, "goose").by(&grouped).orphan();
        assert_eq!((in_its_session.sid(), in_its_group.pgid()), (agent.pid, grouped.pid));
        let orphan = orphan(&troupe);
        let ran = act(&troupe).run().expect_code(0);
        let words = |what, leader: &Alive| {
            format!("the leader of its {what}, pid {}, is marked and no orphan", leader.pid)
        };
        spared(&ran, &in_its_session, "unclaimed", &words("session", &agent));
        spared(&ran, &in_its_group, "unclaimed", &words("process group", &grouped));
        only(&troupe, &in_its_session, "unclaimed");
        ended(&ran, &orphan);
    });
}

#[test]
fn w02_the_agent_that_a_helper_names_keeps_it() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let agent = troupe.actor("opencode").child();
        let gone = troupe.actor("opencode").child();
        let helper = |pid: i32| {
            let actor = troupe.actor("mcp-server-files").env("OPENCODE", "1");
            actor.env("OPENCODE_PID", pid.to_string()).orphan_of_dead_leader()
        };
        let (wanted, unwanted) = (helper(agent.pid), helper(gone.pid));
        gone.kill();
        assert!(gone.wait_collected(LONG));
        let ran = act(&troupe).env("REAPER_USE", "opencode-children").run().expect_code(0);
        let words = format!("its owner, pid {} in OPENCODE_PID, is alive", agent.pid);
        spared(&ran, &wanted, "unclaimed", &words);
        ended(&ran, &unwanted);
    });
}

#[test]
fn w17_a_dead_owner_does_not_orphan_a_child_of_somebody_alive() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let dead = dead_lease(&troupe);
        let leased = |name: &str| marked(&troupe, name).env("REAPER_MANAGED", "1").env("REAPER_OWNER", &dead);
        // A user resumed the work in a shell of theirs: the record of the launcher that died is stale.
        let shell = troupe.actor("zsh").own_session().child();
        let resumed = leased("claude").under(&shell);
        let tmux = troupe.actor("tmux").argv(["tmux: server"]).orphan_double_fork();
        let in_a_pane = leased("claude").own_session().under(&tmux);
        let orphan = leased("claude").orphan_of_dead_leader();
        let ran = act(&troupe).run().expect_code(0);
        for (alive, parent) in [(&resumed, "`zsh`"), (&in_a_pane, "`tmux`")] {
            assert!(alive.is_alive());
            decided(&explain(&troupe, alive), "spare", "orphan", &format!("its parent {parent}"));
            only(&troupe, alive, "orphan");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_owner_that_cannot_be_understood_is_not_dead() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let dead = dead_lease(&troupe);
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
        .map(|lease| marked(&troupe, "goose").env("REAPER_OWNER", lease).orphan_of_dead_leader());
        let twice = marked(&troupe, "goose").env("REAPER_OWNER", &dead).env_raw("REAPER_OWNER=1:1:1");
        let twice = twice.orphan_of_dead_leader();
        // In a PID namespace of its own a number alone says nothing of somebody dead.
        let of_nowhere = marked(&troupe, "goose").env("REAPER_OWNER", of_no_namespace(&dead));
        let of_nowhere = of_nowhere.orphan_of_dead_leader();
        let ran = act(&troupe).run().expect_code(4);
        for one in odd.iter().chain([&twice]) {
            doubted(&ran, one, "unclaimed", "REAPER_OWNER is there and cannot be understood");
        }
        doubted(&ran, &of_nowhere, "unclaimed", "its lease names no PID namespace");
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_owners_pid_that_cannot_be_understood_is_not_dead() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let odd = ["abc", "-1", "00", "1.5", "12 ", "99999999999999", "0x10"].map(|pid| {
            let actor = troupe.actor("mcp-server-files").env("OPENCODE", "1").env("OPENCODE_PID", pid);
            actor.orphan_of_dead_leader()
        });
        let helper = troupe.actor("mcp-server-files").env("OPENCODE", "1");
        let none = [helper.orphan_of_dead_leader(), helper.env("OPENCODE_PID", "0").orphan_of_dead_leader()];
        let ran = act(&troupe).env("REAPER_USE", "sprout,opencode-children").run().expect_code(4);
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
    play(&ordinary_user(), here!(), || {
        let troupe = Troupe::new();
        let closed = of_run(&troupe, "claude", "ab12").behave("non-dumpable").child();
        let perhaps_its = of_run(&troupe, "codex", "ab12").orphan_of_dead_leader();
        let of_no_run = orphan(&troupe);
        let ran = act(&troupe).run().expect_code(4);
        doubted(&ran, &perhaps_its, "unclaimed", "whether its owner lives cannot be told");
        ended(&ran, &of_no_run);
        assert!(closed.is_alive());
    });
}
