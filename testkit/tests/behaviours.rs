//! Tests of each word of `STAND_IN`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use reaper_testkit::{
    HangingMount, PidNamespace, ProcessRef, ProcessSet, Shape, in_namespace, recycle_pid, skip, test_name,
};

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(5);

#[test]
fn a_stand_in_handles_sigterm_as_its_words_say() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose");
        let plain = goose.orphan();
        let deaf = goose.clone().behave("ignore-term").orphan();
        let slow = goose.clone().behave("exit-after=400").orphan();
        let forks = goose.clone().behave("fork-on-term").env("MARK", "1").orphan_in_session();
        let stopped = goose.clone().behave("stop").orphan_of_dead_leader();
        for alive in [&plain, &deaf, &slow, &forks, &stopped] {
            alive.signal(libc::SIGTERM).unwrap();
        }
        assert!(plain.wait_exit(LONG) && forks.wait_exit(LONG));
        assert!(!slow.wait_exit(SOON) && slow.wait_exit(LONG));
        assert!(deaf.is_alive() && stopped.is_alive());
        assert_eq!(stopped.state(), 'T');
        let offspring = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            stat.split_whitespace().nth(5) == Some(&forks.pid.to_string())
        });
        let environ = fs::read(offspring.expect("it left a copy").path().join("environ")).unwrap();
        assert!(environ.ends_with(b"\0MARK=1\0"));
    });
}

#[test]
fn sigterm_is_recorded_with_its_sender() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let file = processes.directory().join("record");
        let spec = processes.spec("goose").behave(format!("record={}", file.display()));
        let is_recorded = |times: usize| {
            let lines = format!("{}\n", std::process::id()).repeat(times);
            fs::read_to_string(&file).is_ok_and(|text| text == lines)
        };
        let mut times = 0;
        for shape in [Shape::Child, Shape::OrphanOfDeadLeader] {
            let alive = spec.spawn(shape).unwrap();
            for _ in 0..2 {
                alive.signal(libc::SIGTERM).unwrap();
                times += 1;
                assert!(alive.wait_until(|_| is_recorded(times)), "{:?}", fs::read_to_string(&file));
            }
            assert!(alive.is_alive());
        }
        // Also before it executes anything: this signal is sent as soon as the pid exists.
        let old = spec.orphan();
        let (pid, deadline) = (old.pid, Instant::now() + LONG);
        old.kill();
        assert!(old.wait_reaped(LONG));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while Instant::now() < deadline {
                    if let Ok(new) = ProcessRef::open(pid) {
                        return new.signal(libc::SIGTERM).unwrap();
                    }
                }
            });
            let new = spec.clone().with_pid(pid).orphan();
            assert!(new.wait_until(|_| is_recorded(times + 1)), "{:?}", fs::read_to_string(&file));
            assert!(new.is_alive());
        });
    });
}

#[test]
fn names_and_memory_can_be_falsified() {
    in_namespace(&PidNamespace::new().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let marked =
            |name: &str| processes.spec(name).args(["/opt/x/cli.js"]).env("SPROUT_MANAGED_AGENT", "1");
        let node = marked("node").behave("comm=MainThread;title=claude").orphan();
        assert_eq!(node.comm(), "MainThread");
        assert!(node.cmdline().starts_with(b"claude\0"));
        assert!(node.environ().unwrap().ends_with(b"SPROUT_MANAGED_AGENT=1\0"));
        let wiped = marked("python3").behave("wipe-environ;title=server: idle").orphan();
        assert!(wiped.cmdline().starts_with(b"server: idle\0"));
        assert!(wiped.environ().unwrap().iter().all(|&byte| byte == 0));
        let garbled = marked("chromium").behave("garble-environ").orphan();
        assert!(garbled.environ().unwrap().starts_with(b"--type=renderer"));
        let closed = marked("goose").behave("non-dumpable").uid(1000).orphan();
        let as_1000 = Command::new("setpriv")
            .args(["--reuid=1000", "--clear-groups", "cat", &format!("/proc/{}/environ", closed.pid)])
            .output()
            .unwrap();
        assert!(!as_1000.status.success() && as_1000.stdout.is_empty());
        let renamed = marked("2.1.197").argv(["claude"]).orphan();
        assert_eq!((renamed.comm(), renamed.cmdline()), ("2.1.197".into(), b"claude\0".to_vec()));
    });
}

#[test]
fn readers_of_a_stuck_process_hang() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let Ok(stuck) = processes.spec("goose").behave("hang-environ").spawn(Shape::Orphan) else {
            return skip(test_name!(), "no FUSE here");
        };
        let environ = format!("/proc/{}/environ", stuck.pid);
        let mut cat = Command::new("cat").arg(environ).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(SOON);
        assert!(cat.try_wait().unwrap().is_none(), "the reader waits");
        assert_eq!((stuck.ppid(), stuck.state()), (1, 'S'));
        stuck.signal(libc::SIGTERM).unwrap();
        assert!(stuck.wait_exit(LONG), "it can be ended nevertheless");
        cat.wait().unwrap();
    });
}

#[test]
fn a_process_on_a_hanging_mount_survives_sigkill() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let mount_point = processes.directory().join("swamp");
        fs::create_dir(&mount_point).unwrap();
        let Ok(swamp) = HangingMount::new(&mount_point) else {
            return skip(test_name!(), "no FUSE here");
        };
        let stuck = processes.spec("goose").behave(format!("open={}", swamp.file.display())).orphan();
        assert!(swamp.wait_entered());
        stuck.signal(libc::SIGTERM).unwrap();
        stuck.signal(libc::SIGKILL).unwrap();
        assert!(!stuck.wait_exit(SOON));
        assert_eq!(stuck.state(), 'D');
        drop(swamp);
        assert!(stuck.wait_exit(LONG));
    });
}

#[test]
fn hostile_strings_arrive_unharmed() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let odd = OsString::from_vec(b"goose \xff\n\x1b[31m) R 1".to_vec());
        let named = processes.spec(&odd).orphan();
        assert_eq!(named.exe().unwrap().file_name().unwrap(), odd);
        assert_eq!(named.ppid(), 1);
        let empty = processes.spec("goose").argv::<OsString>([]).orphan();
        assert_eq!(empty.cmdline(), b"\0", "the kernel adds an empty argument");
        let mut large = processes.spec("goose").clear_env();
        for number in 0..20 {
            large = large.env(format!("FILL_{number}"), "x".repeat(110_000));
        }
        let large = large.env("SPROUT_MANAGED_AGENT", "1").orphan();
        let environ = large.environ().unwrap();
        assert!(environ.len() > 2 << 20 && environ.ends_with(b"\0SPROUT_MANAGED_AGENT=1\0"));
    });
}

#[test]
fn a_stand_in_executes_another_program_on_request() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1");
        let other = processes.spec("cat").child();
        let path = other.exe().unwrap();
        let one = marked.clone().behave(format!("exec-on-usr1={}", path.display())).orphan();
        one.signal(libc::SIGUSR1).unwrap();
        assert!(one.wait_until(|one| one.comm() == "cat"));
        // execve(2) gives the new name before the new memory has its environment.
        let is_marked = |env: Vec<u8>| env.windows(22).any(|part| part == b"SPROUT_MANAGED_AGENT=1");
        assert!(one.wait_until(|one| one.environ().is_ok_and(is_marked)));
        let two = marked.behave("env-on-usr2").orphan();
        two.signal(libc::SIGUSR2).unwrap();
        assert!(two.wait_until(|two| two.environ().is_ok_and(|env| env.ends_with(b"\0LANG=C.UTF-8\0"))));
        assert_eq!(two.comm(), "goose");
    });
}

#[test]
fn pids_are_recycled() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let goose = processes.spec("goose");
        for shape in [Shape::Child, Shape::Orphan, Shape::OrphanInSession, Shape::OrphanDoubleFork] {
            let old = goose.spawn(shape).unwrap();
            let new = recycle_pid(&old, &processes.spec("bash"), shape).unwrap();
            assert_eq!(new.pid, old.pid);
            assert!(!old.is_alive() && new.is_alive());
            assert_eq!(new.comm(), "bash");
        }
    });
}

#[test]
fn exits_are_recorded_by_the_parent() {
    let file = "/run/testkit/deaths";
    in_namespace(&PidNamespace::new().init_behaves(format!("deaths={file}")), test_name!(), || {
        fs::write(file, "").unwrap();
        let processes = ProcessSet::new();
        let parent = processes.spec("sh").behave(format!("deaths={file}")).child();
        let (killed, ended) = (processes.spec("goose").under(&parent), processes.spec("goose").orphan());
        killed.kill();
        ended.signal(libc::SIGTERM).unwrap();
        assert!(killed.wait_reaped(LONG) && ended.wait_reaped(LONG));
        let deaths = fs::read_to_string(file).unwrap();
        for (pid, status) in [(killed.pid, libc::SIGKILL), (ended.pid, libc::SIGTERM)] {
            assert!(deaths.lines().any(|line| line.starts_with(&format!("{pid} {status} "))), "{deaths}");
        }
    });
}

#[test]
fn a_churn_gives_children_to_its_parent_and_takes_them_away() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let init = processes.init();
        let last =
            || fs::read_to_string("/proc/loadavg").unwrap().trim().rsplit(' ').next().map(str::to_owned);
        let before: i32 = last().unwrap().parse().unwrap();
        let churn = processes.spec("forker").behave("churn=500").by(&init).child();
        let many = |_: &reaper_testkit::ProcessRef| last().unwrap().parse::<i32>().unwrap() > before + 500;
        assert!(churn.wait_until(many));
        churn.kill();
        let children = || fs::read_to_string("/proc/1/task/1/children").unwrap().split_whitespace().count();
        assert!(init.wait_until(|_| children() <= 2), "they exit by themselves");
    });
}
