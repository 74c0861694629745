//! How far an orphan's end reaches, and where it stops.

use reaper_testkit::{Stage, Troupe, here, play};

use crate::common::Reaper;
use crate::support::{
    ACT, LONG, MARK, act, ended, home, left_alone, marked, only, orphan, spared, untouched,
};

#[test]
fn w11_the_group_of_an_orphan_is_not_ended_with_it() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        // A launcher starts agents and other things in one process group, and dies.
        let launcher = marked(&troupe, "sprout-acp").own_session().child();
        let goose = marked(&troupe, "goose").under(&launcher);
        let browser = troupe.actor("chrome").args(["--user-data-dir=/home/a/claude"]).under(&launcher);
        let editor = troupe.actor("cursor").args(["/home/a/goose"]).under(&launcher);
        let kept = marked(&troupe, "claude").env("REAPER_KEEP", "1").under(&launcher);
        let fellow = marked(&troupe, "node").args(["/srv/tool.js"]).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_collected(LONG) && goose.wait_until(|goose| goose.ppid() == 1));
        assert_eq!([&browser, &editor, &kept, &fellow].map(|one| one.pgid()), [goose.pgid(); 4]);
        let ran = act(&troupe).run().expect_code(0);
        ended(&ran, &goose);
        ended(&ran, &fellow);
        left_alone(&ran, &browser, "in its environment");
        left_alone(&ran, &editor, "in its environment");
        left_alone(&ran, &kept, "REAPER_KEEP is set");
    });
}

#[test]
fn w11_the_session_and_group_of_somebody_alive_survive_an_orphan_in_them() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        // An agent that was started in the background of a shell: the shell's session, the director's group.
        let shell = troupe.actor("zsh").own_session().child();
        let job = troupe.actor("make").under(&shell);
        let claude = marked(&troupe, "claude").under(&shell);
        let orphan = marked(&troupe, "goose").by(&shell).orphan();
        assert_eq!((orphan.ppid(), orphan.sid(), orphan.pgid()), (1, shell.pid, shell.pid));
        let ran = act(&troupe).run().expect_code(0);
        ended(&ran, &orphan);
        for alive in [&shell, &job, &claude] {
            untouched(&ran, alive);
        }
        only(&troupe, &claude, "orphan");
    });
}

#[test]
fn w26_a_child_that_dropped_the_marker_is_left_alone() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        // `env -u`, a sandbox that cleans the environment, a switch to another launcher's marker, a denial.
        let dropped = [
            troupe.actor("goose").under(&orphan),
            troupe.actor("claude").clear_env().under(&orphan),
            troupe.actor("claude").env("BUZZ_MANAGED_AGENT", "x").under(&orphan),
            troupe.actor("claude").env(MARK, "0").under(&orphan),
        ];
        let marked_below = marked(&troupe, "esbuild").own_session().under(&dropped[0]);
        let unmarked_below = troupe.actor("esbuild").own_session().under(&marked_below);
        let wiped = marked(&troupe, "python3").behave("wipe-environ;title=worker: idle").under(&orphan);
        let ran = act(&troupe).run();
        ended(&ran, &orphan);
        ended(&ran, &marked_below);
        for one in &dropped {
            left_alone(&ran, one, "SPROUT_MANAGED_AGENT");
        }
        left_alone(&ran, &unmarked_below, "SPROUT_MANAGED_AGENT is not in its environment");
        left_alone(&ran, &wiped, "so the marker proves nothing");
    });
}

#[test]
fn w26_what_a_process_left_alone_becomes_is_judged_by_itself() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let dropped = troupe.actor("claude").own_session().under(&orphan);
        let ran = act(&troupe).run().expect_code(0);
        ended(&ran, &orphan);
        assert_eq!(dropped.ppid(), 1, "now it is an orphan as well");
        let again = act(&troupe).run().expect_code(0);
        spared(&again, &dropped, "marker", "in its environment");
        only(&troupe, &dropped, "marker");
    });
}

#[test]
fn w26_other_users_are_left_alone() {
    play(&Stage::new().systemd().several_users(), here!(), || {
        let troupe = Troupe::new();
        let orphan = orphan(&troupe);
        let child = marked(&troupe, "claude").uid(1000).under(&orphan);
        let stranger = marked(&troupe, "goose").uid(1000).orphan_of_dead_leader();
        let launcher = marked(&troupe, "sprout-acp").own_session().child();
        let goose = marked(&troupe, "goose").under(&launcher);
        let fellow = marked(&troupe, "claude").uid(1000).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_collected(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        // As root, but without --all-users: root's own processes only.
        let ran = act(&troupe).run().expect_code(0);
        ended(&ran, &orphan);
        ended(&ran, &goose);
        left_alone(&ran, &child, "uid 1000, ours is 0");
        for one in [&stranger, &fellow] {
            untouched(&ran, one);
            assert!(ran.judgement(one.pid).is_none(), "it is not even looked at");
        }
        // And as that user: nothing of root's, though it is there to be seen.
        let root = marked(&troupe, "goose").orphan_of_dead_leader();
        let home = troupe.directory().join("home-1000");
        let theirs = Reaper::new(&home, ACT).uid(1000).run().expect_code(0);
        ended(&theirs, &stranger);
        untouched(&theirs, &root);
    });
}

#[test]
fn w26_a_tree_is_ended_under_one_user_only_even_for_all_users() {
    play(&Stage::new().systemd().several_users(), here!(), || {
        let troupe = Troupe::new();
        let orphan = marked(&troupe, "goose").uid(1000).orphan_of_dead_leader();
        let another = marked(&troupe, "goose").uid(1001).orphan_of_dead_leader();
        let child = marked(&troupe, "claude").uid(1000).under(&orphan);
        let launcher = marked(&troupe, "sprout-acp").own_session().child();
        let goose = marked(&troupe, "goose").under(&launcher);
        let service = marked(&troupe, "node").args(["/srv/x.js"]).uid(1001).under(&goose);
        let fellow = marked(&troupe, "node").args(["/srv/y.js"]).uid(1001).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_collected(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        let args = ACT.into_iter().chain(["--all-users"]);
        let ran = Reaper::new(&home(&troupe), args).run().expect_code(0);
        for gone in [&orphan, &another, &child, &goose] {
            ended(&ran, gone);
        }
        left_alone(&ran, &service, "uid 1001");
        left_alone(&ran, &fellow, "uid 1001");
    });
}
