//! Which processes are ended with an orphan, and which are not.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use crate::common::{
    ACT, LONG, MARK, Reaper, act, ended, home, left_alone, marked, only, orphan, spared, untouched,
};

#[test]
fn w11_the_group_of_an_orphan_is_not_ended_with_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // A launcher starts agents and other things in one process group, and dies.
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let goose = marked(&processes, "goose").under(&launcher);
        let browser = processes.spec("chrome").args(["--user-data-dir=/home/a/claude"]).under(&launcher);
        let editor = processes.spec("cursor").args(["/home/a/goose"]).under(&launcher);
        let kept = marked(&processes, "claude").env("REAPER_KEEP", "1").under(&launcher);
        let fellow = marked(&processes, "node").args(["/srv/tool.js"]).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && goose.wait_until(|goose| goose.ppid() == 1));
        assert_eq!([&browser, &editor, &kept, &fellow].map(|one| one.pgid()), [goose.pgid(); 4]);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &goose);
        ended(&ran, &fellow);
        left_alone(&ran, &browser, "in its environment");
        left_alone(&ran, &editor, "in its environment");
        left_alone(&ran, &kept, "REAPER_KEEP is set");
    });
}

#[test]
fn w11_a_living_session_and_group_survive_the_end_of_an_orphan_in_them() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        // An agent that was started in the background of a shell: the shell's session, the test's group.
        let shell = processes.spec("zsh").own_session().child();
        let job = processes.spec("make").under(&shell);
        let claude = marked(&processes, "claude").under(&shell);
        let orphan = marked(&processes, "goose").by(&shell).orphan();
        assert_eq!((orphan.ppid(), orphan.sid(), orphan.pgid()), (1, shell.pid, shell.pid));
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        for alive in [&shell, &job, &claude] {
            untouched(&ran, alive);
        }
        only(&processes, &claude, "orphan");
    });
}

#[test]
fn w26_a_child_that_dropped_the_marker_is_left_alone() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        // `env -u`, a sandbox that cleans the environment, a switch to another launcher's marker, a denial.
        let dropped = [
            processes.spec("goose").under(&orphan),
            processes.spec("claude").clear_env().under(&orphan),
            processes.spec("claude").env("BUZZ_MANAGED_AGENT", "x").under(&orphan),
            processes.spec("claude").env(MARK, "0").under(&orphan),
        ];
        let marked_below = marked(&processes, "esbuild").own_session().under(&dropped[0]);
        let unmarked_below = processes.spec("esbuild").own_session().under(&marked_below);
        let wiped = marked(&processes, "python3").behave("wipe-environ;title=worker: idle").under(&orphan);
        let ran = act(&processes).run();
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
fn w26_a_process_left_alone_is_judged_by_itself_later() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let dropped = processes.spec("claude").own_session().under(&orphan);
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        assert_eq!(dropped.ppid(), 1, "now it is an orphan as well");
        let again = act(&processes).run().expect_code(0);
        spared(&again, &dropped, "marker", "in its environment");
        only(&processes, &dropped, "marker");
    });
}

#[test]
fn w26_other_users_are_left_alone() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let child = marked(&processes, "claude").uid(1000).under(&orphan);
        let stranger = marked(&processes, "goose").uid(1000).orphan_of_dead_leader();
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let goose = marked(&processes, "goose").under(&launcher);
        let fellow = marked(&processes, "claude").uid(1000).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        // As root, but without --all-users: root's own processes only.
        let ran = act(&processes).run().expect_code(0);
        ended(&ran, &orphan);
        ended(&ran, &goose);
        left_alone(&ran, &child, "uid 1000, ours is 0");
        for one in [&stranger, &fellow] {
            untouched(&ran, one);
            assert!(ran.judgement(one.pid).is_none(), "it is not even looked at");
        }
        // And as that user: nothing of root's, though it is there to be seen.
        let root = marked(&processes, "goose").orphan_of_dead_leader();
        let home = processes.directory().join("home-1000");
        let theirs = Reaper::new(&home, ACT).uid(1000).run().expect_code(0);
        ended(&theirs, &stranger);
        untouched(&theirs, &root);
    });
}

#[test]
fn w26_a_tree_is_ended_only_for_one_user_even_with_all_users() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = marked(&processes, "goose").uid(1000).orphan_of_dead_leader();
        let another = marked(&processes, "goose").uid(1001).orphan_of_dead_leader();
        let child = marked(&processes, "claude").uid(1000).under(&orphan);
        let launcher = marked(&processes, "sprout-acp").own_session().child();
        let goose = marked(&processes, "goose").under(&launcher);
        let service = marked(&processes, "node").args(["/srv/x.js"]).uid(1001).under(&goose);
        let fellow = marked(&processes, "node").args(["/srv/y.js"]).uid(1001).under(&launcher);
        launcher.kill();
        assert!(launcher.wait_reaped(LONG) && fellow.wait_until(|fellow| fellow.ppid() == 1));
        let args = ACT.into_iter().chain(["--all-users"]);
        let ran = Reaper::new(&home(&processes), args).run().expect_code(0);
        for gone in [&orphan, &another, &child, &goose] {
            ended(&ran, gone);
        }
        left_alone(&ran, &service, "uid 1001");
        left_alone(&ran, &fellow, "uid 1001");
    });
}
