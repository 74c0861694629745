//! Which variables prove that a launcher started a process, and which only resemble a marker.

use std::fs;

use reaper_testkit::{PidNamespace, ProcessSet, Shape, in_namespace, test_name};

use crate::common::{
    ACT, APP, MARK, Reaper, act, doubted, ended, home, marked, only, ordinary_user, orphan, set_mode, spared,
    untouched,
};

#[test]
fn w01_another_apps_agents_are_not_ours() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let agent = |value: &str| processes.spec("goose").env(MARK, value).orphan_of_dead_leader();
        let ours = agent(APP);
        let others =
            ["xyz.block.sprout.app.dev", "xyz.block.sprout.ap", "XYZ.BLOCK.SPROUT.APP", "1", "com.x"]
                .map(agent);
        let config = processes.directory().join("one-app.toml");
        let text = format!(
            "use = []\n[[profile]]\nname = \"mine\"\nmarkers = [\"{MARK}={APP}\"]\nprograms = [\"goose\"]\n"
        );
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        let args = ACT.into_iter().chain(["--config", config.to_str().unwrap()]);
        let ran = Reaper::new(&home(&processes), args).run().expect_code(0);
        for other in &others {
            spared(&ran, other, "marker", "SPROUT_MANAGED_AGENT has a value that does not count");
        }
        ended(&ran, &ours);
    });
}

#[test]
fn w24_markers_with_negative_values_do_not_count() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let denials = ["", "0", "false", "False", "FALSE", "no", "off", "OFF"]
            .map(|value| processes.spec("goose").env(MARK, value).orphan_of_dead_leader());
        let ran = act(&processes).run().expect_code(0);
        for denial in &denials {
            spared(&ran, denial, "marker", "has a value that does not count");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w24_variables_with_similar_names_are_no_markers() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let look_alikes = [
            "XSPROUT_MANAGED_AGENT=1",
            "X_SPROUT_MANAGED_AGENT=1",
            "SPROUT_MANAGED_AGENT_X=1",
            "SPROUT_MANAGED_AGENTS=1",
            "SPROUT_MANAGED_AGEN=1",
            "sprout_managed_agent=1",
            " SPROUT_MANAGED_AGENT=1",
            "SPROUT_MANAGED_AGENT =1",
            "export SPROUT_MANAGED_AGENT=1",
            "=SPROUT_MANAGED_AGENT=1",
            "SPROUT_MANAGED_AGENT",
            "NOTE=SPROUT_MANAGED_AGENT=1",
            "NOTE=a\nSPROUT_MANAGED_AGENT=1",
            "NOTE=a;SPROUT_MANAGED_AGENT=1 BUZZ_MANAGED_AGENT=1",
            "\u{1b}SPROUT_MANAGED_AGENT=1",
        ]
        .map(|entry| processes.spec("goose").env_raw(entry).orphan_of_dead_leader());
        let ran = act(&processes).run().expect_code(0);
        for look_alike in &look_alikes {
            spared(&ran, look_alike, "marker", "in its environment");
            only(&processes, look_alike, "marker");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w24_arguments_that_look_like_an_environment_are_no_markers() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let odd = [
            vec!["goose", "", "SPROUT_MANAGED_AGENT=1"],
            vec!["goose", "", "", "", "SPROUT_MANAGED_AGENT=1", ""],
            vec!["goose", "PATH=/bin", "SPROUT_MANAGED_AGENT=1"],
            vec!["goose", "acp", "", "PATH=/bin", "HOME=/", "SPROUT_MANAGED_AGENT=1", "", ""],
            vec!["", "SPROUT_MANAGED_AGENT=1"],
        ]
        .map(|argv| processes.spec("goose").argv(argv).orphan_of_dead_leader());
        // With no environment at all, what follows the arguments is the end of the stack.
        let bare = processes.spec("goose").clear_env().argv(["goose", "", "SPROUT_MANAGED_AGENT=1"]);
        let bare = bare.orphan_of_dead_leader();
        // A title that is written over the arguments stays among the arguments.
        let titled = processes.spec("goose").args(["x".repeat(200)]);
        let titled = titled.behave("title=SPROUT_MANAGED_AGENT=1").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        for one in odd.iter().chain([&bare, &titled]) {
            spared(&ran, one, "marker", "in its environment");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w24_a_marker_with_two_values_is_a_doubt() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let twice = ["=0", "=another", "="]
            .map(|rest| marked(&processes, "goose").env_raw(format!("{MARK}{rest}")).orphan_of_dead_leader());
        let ran = act(&processes).run().expect_code(4);
        for one in &twice {
            doubted(&ran, one, "marker", "SPROUT_MANAGED_AGENT is there twice, with different values");
        }
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_overwritten_environment_proves_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let wiped =
            marked(&processes, "goose").behave("wipe-environ;title=goose: idle").orphan_of_dead_leader();
        let garbled = marked(&processes, "goose").behave("garble-environ").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(4);
        doubted(&ran, &wiped, "marker", "so the marker proves nothing");
        untouched(&ran, &garbled);
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_an_environment_that_may_not_be_read_is_a_doubt() {
    let user = ordinary_user();
    in_namespace(&user, test_name!(), || {
        let processes = ProcessSet::new();
        let orphan = orphan(&processes);
        let closed = marked(&processes, "goose").behave("non-dumpable").orphan_of_dead_leader();
        let keys = processes.spec("ssh-agent").behave("non-dumpable").orphan_of_dead_leader();
        assert!(closed.environ().is_err() && orphan.environ().is_ok());
        let ran = act(&processes).run().expect_code(4);
        doubted(&ran, &closed, "marker", "its environment cannot be read");
        spared(&ran, &keys, "program", "`ssh-agent` is in no profile in use");
        assert_eq!(ran.json()["census"]["unreadable"], 2);
        ended(&ran, &orphan);
    });
}

#[test]
fn w06_a_read_of_an_environment_that_hangs_is_given_up() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let Ok(stuck) = marked(&processes, "goose").behave("hang-environ").spawn(Shape::OrphanOfDeadLeader)
        else {
            return reaper_testkit::skip(test_name!(), "no FUSE here");
        };
        let orphan = orphan(&processes);
        let ran = act(&processes).run();
        assert!(stuck.is_alive() && ran.outcome(stuck.pid).is_empty());
        assert!(ran.json()["census"]["unreadable"].as_u64() > Some(0));
        ended(&ran, &orphan);
    });
}
