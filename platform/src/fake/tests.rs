//! The simulated machine must follow the kernel's rules, or tests that run on it prove nothing.

use std::time::Duration;

use super::*;
use crate::environ::Wanted;
use crate::host::{ExitWatcher as _, Host as _, HostError, NO_ORDER, ProcessHandle as _};
use crate::sockets::Listener;
use crate::started::PidMark;
use crate::types::{Clock, Pid, Scope, Signal, StartTime, Why};

const SECOND: Duration = Duration::from_secs(1);

fn play(processes: impl IntoIterator<Item = Process>, script: FaultScript) -> FakeHost {
    FakeHost::new(host_info(), Machine::of(processes), script)
}

fn init() -> Process {
    Process::new(1, "systemd").child_of(0).uid(0)
}

fn parent_of(host: &FakeHost, number: i32) -> Option<i32> {
    host.machine().get(pid(number))?.ppid.map(Pid::get)
}

#[test]
fn children_of_the_dead_go_to_the_nearest_adopter() {
    let manager = Process::new(10, "systemd").adopts();
    let tree =
        [init(), manager, Process::new(20, "app").child_of(10), Process::new(30, "goose").child_of(20)];
    let host = play(tree, FaultScript::new());
    host.change(|m| m.exit(pid(20)));
    assert_eq!((parent_of(&host, 20), parent_of(&host, 30)), (None, Some(10)));
    host.change(|m| m.exit(pid(10)));
    assert_eq!(parent_of(&host, 30), Some(1));
}

#[test]
fn the_dead_stay_as_long_as_nobody_collects_them() {
    let lazy = Process::new(10, "app").never_waits();
    let host = play([init(), lazy, Process::new(20, "goose").child_of(10)], FaultScript::new());
    host.change(|m| m.exit(pid(20)));
    let stat = host.stat_of(pid(20)).unwrap();
    assert!(stat.is_dead() && !stat.has_memory && stat.environ_len.is_none());
    assert_eq!(host.environ_of(pid(20), &Wanted::new(["PATH"])).unwrap().len, 0);
    host.change(|m| m.exit(pid(10)));
    assert_eq!(host.stat_of(pid(20)), Err(Why::Gone), "init collects what it adopts");
}

#[test]
fn a_handle_is_of_one_process_for_ever() {
    let next = Process::new(20, "vim").started(1_020);
    let script =
        FaultScript::new().to(When::Call(Method::Signal, None, 1), pid(20), Fault::Reuse(Box::new(next)));
    let host = play([init(), Process::new(20, "goose")], script);
    let goose = host.open(pid(20)).unwrap();
    assert_eq!(goose.argv().unwrap(), [b"goose"]);
    assert_eq!(goose.signal(Signal::Term), Err(Why::Gone));
    assert_eq!(goose.stat(), Err(Why::Gone));
    let vim = host.open(pid(20)).unwrap();
    assert_eq!(vim.id().start, goose.id().start, "a reused number often has the same tick");
    assert_ne!(vim.id(), goose.id());
    assert!(host.log().sent.is_empty());
    host.change(|m| m.generations = false);
    assert_eq!(host.open(pid(20)).unwrap().id().generation, None);
}

#[test]
fn signals_are_logged_with_who_got_them() {
    let waits = Process::new(20, "goose").on_term(Reaction::ExitAfter(SECOND)).env("MARK", "1");
    let host = play([init(), waits, Process::new(30, "other").uid(7)], FaultScript::new());
    let goose = host.open(pid(20)).unwrap();
    let mut exit_watcher = host.exit_watcher().unwrap();
    exit_watcher.watch(&goose, 5).unwrap();
    goose.signal(Signal::Term).unwrap();
    assert_eq!(host.open(pid(30)).unwrap().signal(Signal::Term), Err(Why::Denied));
    assert_eq!(exit_watcher.wait(SECOND / 2).unwrap(), []);
    assert_eq!(exit_watcher.wait(SECOND).unwrap(), [5]);
    assert_eq!(exit_watcher.wait(SECOND).unwrap(), [], "said once");
    let log = host.log();
    let [sent] = log.sent.as_slice() else { panic!("one signal: {:?}", log.sent) };
    assert_eq!((sent.to.pid, sent.signal, sent.to.start), (pid(20), Signal::Term, StartTime(1_020)));
    assert!(sent.to.environ.ends_with(b"MARK=1\0"));
    assert_eq!(log.calls.iter().filter(|c| c.method == Method::Signal && !c.ok).count(), 1);
}

#[test]
fn who_forks_and_ends_leaves_a_child_to_the_adopter() {
    let child = Process::new(21, "goose").group(20);
    let host = play(
        [init(), Process::new(20, "goose").on_term(Reaction::LeaveChild(Box::new(child)))],
        FaultScript::new(),
    );
    host.open(pid(20)).unwrap().signal(Signal::Term).unwrap();
    assert_eq!((parent_of(&host, 20), parent_of(&host, 21)), (None, Some(1)));
}

#[test]
fn others_memory_cannot_be_read_and_others_can_be_hidden() {
    let host = play([init(), Process::new(20, "goose").uid(7)], FaultScript::new());
    let wanted = Wanted::new(["PATH"]);
    assert_eq!(host.environ_of(pid(20), &wanted), Err(Why::Denied));
    assert_eq!(host.open(pid(20)).unwrap().exe(), Err(Why::Denied));
    assert!(host.stat_of(pid(20)).is_ok() && host.children(Pid::INIT).is_ok());
    host.change(|m| m.hides_others = true);
    assert_eq!(host.stat_of(pid(20)), Err(Why::Gone));
    assert_eq!((host.exists(pid(20)), host.children(Pid::INIT)), (Ok(true), Err(Why::Gone)));
    assert_eq!(host.list(Scope::Everyone).unwrap().entries, []);
}

#[test]
fn faults_happen_at_their_step_and_only_then() {
    let script = FaultScript::new()
        .at(When::Step(2), Fault::Fail(Why::Denied))
        .at(When::Call(Method::Children, None, 2), Fault::Miss(pid(20)))
        .at(When::Step(6), Fault::Suspend(SECOND));
    let host = play([init(), Process::new(20, "goose")], script);
    let looks: Vec<bool> = (0..3).map(|_| host.stat_of(pid(20)).is_ok()).collect();
    assert_eq!(looks, [true, false, true]);
    assert_eq!(host.children(Pid::INIT).unwrap(), [pid(20)]);
    assert_eq!(host.children(Pid::INIT).unwrap(), []);
    let Clock { monotonic, boottime, .. } = host.clock();
    assert_eq!(boottime - monotonic, SECOND);
    assert_eq!(host.steps(), 6);
}

#[test]
fn a_hung_read_comes_back_when_it_is_released() {
    let script = FaultScript::new().at(When::Step(1), Fault::Hang).at(When::Step(2), Fault::Hang);
    let host = play([init(), Process::new(20, "goose")], script);
    let reader = {
        let host = host.clone();
        std::thread::spawn(move || host.argv_of(pid(20)))
    };
    let deadline = std::time::Instant::now() + 60 * SECOND;
    while host.steps() == 0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(matches!(host.stat_of(pid(20)), Err(Why::Slow(_))), "a read of no memory fails instead");
    assert!(!reader.is_finished());
    host.release();
    assert!(reader.join().unwrap().is_err());
}

#[test]
fn listeners_are_told_to_whoever_may_see_descriptors() {
    let tables = crate::SocketTables::default();
    let (port, path) = (Listener::Tcp(4173), Listener::Path(b"/run/goose sock".to_vec()));
    let server = Process::new(20, "goose").listening([path.clone(), port.clone(), port.clone()]);
    let foreign = Process::new(30, "other").uid(7).listening([port.clone()]);
    let script = FaultScript::new()
        .at(When::Call(Method::Listeners, None, 4), Fault::Fail(Why::Failed("input/output error".to_owned())))
        .at(When::Call(Method::Listeners, None, 5), Fault::Hang)
        .at(When::Call(Method::Listeners, None, 6), Fault::Exec(Box::new(Process::new(20, "vim"))))
        .at(When::Call(Method::Listeners, None, 7), Fault::Exiting)
        .at(When::Call(Method::Listeners, None, 8), Fault::Zombie);
    let host = play([init(), server, foreign, Process::new(40, "quiet")], script);
    let of = |number| host.open(pid(number)).unwrap().listeners(&tables);
    assert_eq!(of(20), Ok(vec![port, path]));
    assert_eq!(of(30), Err(Why::Denied));
    assert_eq!(of(40), Ok(Vec::new()));
    assert!(matches!(of(20), Err(Why::Failed(_))));
    assert!(matches!(of(20), Err(Why::Slow(_))), "it waits for no memory map");
    assert_eq!(of(20), Ok(Vec::new()), "another program with other sockets");
    assert_eq!(of(20), Err(Why::Exiting));
    assert_eq!(of(20), Err(Why::Gone));
    assert_eq!(host.log().calls.iter().filter(|call| call.method == Method::Listeners).count(), 8);
}

#[test]
fn every_state_of_the_machine_is_kept() {
    let other = Process::new(20, "vim").env("X", "2");
    let script = FaultScript::new().to(When::Step(3), pid(20), Fault::Exec(Box::new(other)));
    let host = play([init(), Process::new(20, "goose")], script);
    for _ in 0..5 {
        host.clock();
    }
    let log = host.log();
    let exe = |m: &Machine| m.get(pid(20)).unwrap().exe.clone();
    let seen = |from, to| log.states_within(from, to).map(exe).collect::<Vec<_>>();
    assert_eq!(seen(1, 2), [b"/usr/bin/goose"]);
    assert_eq!(seen(4, 5), [b"/usr/bin/vim"]);
    assert_eq!(seen(2, 4).len(), 2);
}

/// What a listing some seconds later returns; moves the mark on.
fn started(host: &FakeHost, mark: &mut PidMark) -> Result<Vec<i32>, HostError> {
    host.sleep(5 * SECOND);
    let started = host.started_since(mark, Scope::User(host_info().uid))?;
    *mark = started.mark;
    Ok(started.entries.iter().map(|listed| listed.pid.get()).collect())
}

#[test]
fn new_processes_are_listed_twice_and_others_not() {
    let host = play([init(), Process::new(20, "goose"), Process::new(30, "vim")], FaultScript::new());
    let mut mark = host.pid_mark().unwrap();
    let mut add = |processes: &[(i32, u32)]| {
        for (number, uid) in processes {
            host.change(|m| m.add(Process::new(*number, "cat").uid(*uid)));
        }
        started(&host, &mut mark).unwrap()
    };
    assert_eq!(add(&[(31, 1000)]), [20, 30, 31], "everything at first");
    assert_eq!(add(&[(32, 7), (35, 1000)]), [31, 35]);
    assert_eq!(add(&[]), [35]);
    assert_eq!(add(&[]), [0; 0]);
    assert_eq!(add(&[(400, 1000), (2, 1000)]), [2, 400], "after a wrap-around");
    assert_eq!(add(&[(3, 1000)]), [2, 3, 400], "and the first of them again");
    assert_eq!(add(&[]), [3]);
    host.change(|m| m.exit(pid(3)));
    assert_eq!(add(&[(20, 1000)]), [20], "a reused pid is a new process");
    let walked = |host: &FakeHost| host.list(Scope::User(host_info().uid)).unwrap().entries.len();
    assert_eq!(walked(&host), 6);
}

#[test]
fn a_process_that_becomes_visible_after_its_pid_was_handed_out_is_listed() {
    let when = When::Call(Method::StartedSince, None, 3);
    let host = play([init()], FaultScript::new().at(when, Fault::Miss(pid(20))));
    let mut mark = host.pid_mark().unwrap();
    assert_eq!(started(&host, &mut mark).unwrap(), [0; 0]);
    assert_eq!(started(&host, &mut mark).unwrap(), [0; 0]);
    host.change(|m| [20, 21].map(|number| m.add(Process::new(number, "goose"))));
    assert_eq!(started(&host, &mut mark).unwrap(), [21]);
    assert_eq!(started(&host, &mut mark).unwrap(), [20, 21]);
    assert_eq!(started(&host, &mut mark).unwrap(), [0; 0]);
}

#[test]
fn after_a_failed_listing_the_mark_is_good_for_the_next() {
    let when = When::Call(Method::StartedSince, None, 3);
    let host = play([init()], FaultScript::new().at(when, Fault::Fail(Why::Denied)));
    let mut mark = host.pid_mark().unwrap();
    for _ in 0..2 {
        started(&host, &mut mark).unwrap();
    }
    host.change(|m| m.add(Process::new(20, "goose")));
    assert_eq!(started(&host, &mut mark).map_err(|error| error.why), Err(Why::Denied));
    host.change(|m| m.add(Process::new(21, "goose")));
    assert_eq!(started(&host, &mut mark).unwrap(), [20, 21]);
    host.change(|m| m.hides_others = true);
    host.change(|m| m.add(Process::new(22, "cron").uid(0)));
    assert_eq!(host.started_since(&mark, Scope::Everyone).unwrap().examined, 2);
}

#[test]
fn without_an_order_of_pids_nothing_is_listed() {
    let host = play([init()], FaultScript::new());
    let mark = host.pid_mark().unwrap();
    host.change(|m| m.orders_pids = false);
    assert_eq!(host.pid_mark().map_err(|error| error.why), Err(NO_ORDER));
    assert_eq!(host.started_since(&mark, Scope::Everyone).map_err(|error| error.why), Err(NO_ORDER));
    let mac = FakeHost::new(macos::whereabouts(), macos::of([]), FaultScript::new());
    assert_eq!(mac.pid_mark().map_err(|error| error.why), Err(NO_ORDER));
}
