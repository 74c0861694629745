//! Each spawn shape has the documented parent, session, group and names.

use std::path::Path;
use std::time::Duration;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, Shape, in_namespace, test_name};

fn own_pid() -> i32 {
    std::process::id() as i32
}

#[test]
fn init_is_what_the_test_says() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let init = processes.init();
        assert_eq!(init.comm(), "systemd");
        assert_eq!(init.exe().unwrap().file_name().unwrap(), "systemd");
        assert_eq!(init.cmdline(), b"/usr/lib/systemd/systemd\0--system\0");
        assert_eq!(std::fs::read_to_string("/proc/self/cgroup").unwrap().lines().last(), Some("0::/"));
        std::fs::create_dir_all("/run/systemd/system").unwrap();
    });
}

#[test]
fn orphans_have_the_session_and_group_of_their_shape() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose").args(["acp"]).env("SPROUT_MANAGED_AGENT", "1");

        let child = goose.child();
        assert_eq!((child.ppid(), child.sid()), (own_pid(), own_pid()));
        assert_eq!(child.comm(), "goose");
        assert_eq!(child.cmdline(), b"goose\0acp\0");
        assert!(child.environ().unwrap().ends_with(b"\0SPROUT_MANAGED_AGENT=1\0"));

        let orphan = goose.orphan();
        assert_eq!((orphan.ppid(), orphan.sid(), orphan.pgid()), (1, own_pid(), own_pid()));
        assert_eq!(goose.clone().own_group().orphan().sid(), own_pid());

        let leader = goose.orphan_in_session();
        assert_eq!((leader.ppid(), leader.sid(), leader.pgid()), (1, leader.pid, leader.pid));

        for stray in [goose.orphan_of_dead_leader(), goose.orphan_double_fork()] {
            assert_eq!(stray.ppid(), 1);
            assert!(![1, stray.pid, own_pid()].contains(&stray.sid()));
            assert_eq!(stray.sid(), stray.pgid());
            // Init may need a moment to reap it.
            let is_collected = |stray: &ProcessRef| !Path::new(&format!("/proc/{}", stray.sid())).exists();
            assert!(stray.wait_until(is_collected), "the leader is dead");
        }
    });
}

#[test]
fn stand_ins_can_spawn_chains_and_trees() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let npm = processes.spec("npm").argv(["npm exec mcp-server"]).orphan();
        let sh = processes.spec("sh").args(["-c", "mcp-server"]).under(&npm);
        let node = processes.spec("node").args(["/x/mcp-server.js"]).own_session().under(&sh);
        assert_eq!((npm.ppid(), sh.ppid(), node.ppid()), (1, npm.pid, sh.pid));
        assert_eq!((sh.sid(), node.sid()), (npm.sid(), node.pid));
        sh.kill();
        assert!(sh.wait_reaped(Duration::from_secs(5)), "its parent reaps it");
        assert!(node.wait_until(|node| node.ppid() == 1));
    });
}

#[test]
fn a_user_manager_adopts_what_its_children_leave() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let manager = processes.manager(1000);
        assert_eq!((manager.ppid(), manager.uid()), (1, Some(1000)));
        let live = processes.spec("goose").uid(1000).under(&manager);
        let orphan = processes.spec("goose").by(&live).orphan_of_dead_leader();
        assert_eq!((live.ppid(), orphan.ppid()), (manager.pid, manager.pid));
        assert_eq!(orphan.uid(), Some(1000));
    });
}

#[test]
fn init_can_have_started_things_itself() {
    in_namespace(&PidNamespace::new().init("sh", &["sh", "-c", "goose acp & wait"]), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose").own_session().under(&processes.init());
        assert_eq!((goose.ppid(), goose.sid()), (1, goose.pid));
    });
}

#[test]
fn a_foreign_program_has_a_shape_too() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let sleep = processes.spec("sleep").foreign("/bin/sleep").args(["300"]).orphan();
        assert_eq!((sleep.ppid(), sleep.cmdline().as_slice()), (1, b"sleep\x00300\0".as_slice()));
        let none = processes.spec("none").foreign("/does/not/exist").spawn(Shape::OrphanDoubleFork);
        assert_eq!(none.unwrap_err().raw_os_error(), Some(2));
        let none = processes.spec("none").foreign("/does/not/exist").spawn(Shape::Child);
        assert_eq!(none.unwrap_err().raw_os_error(), Some(2));
    });
}

#[test]
fn a_spawn_costs_little() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let start = std::time::Instant::now();
        let all: Vec<_> = (0..100).map(|_| processes.spec("goose").orphan()).collect();
        assert!(all.iter().all(|alive| alive.is_alive() && alive.ppid() == 1));
        let each = start.elapsed() / 100;
        println!("{each:?} each");
        assert!(each < Duration::from_millis(50), "{each:?} for one orphan");
    });
}
