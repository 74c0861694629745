//! Agents whose parent lives: the service knows a new one after one tick, so that its parent's end is noticed at once.

use std::sync::Arc;
use std::time::Duration;

use reaper_engine::context::Context;
use reaper_engine::sightings::Sightings;
use reaper_engine::tracker::Tracker;
use reaper_platform::fake::{FakeHost, Fault, FaultScript, Machine, Method, Process, pid};
use reaper_platform::{Host as _, Scope, Uid};

use super::scenarios::{sprout, world};
use crate::support::sweep::PATIENT;
use crate::support::{policy, whereabouts};

struct Service {
    host: FakeHost,
    tracker: Tracker<FakeHost>,
}

impl Service {
    fn start(machine: Machine) -> Self {
        let host = FakeHost::new(whereabouts(), machine, FaultScript::new());
        let context = Context::new(Arc::new(host.clone()), policy(), Scope::User(Uid(1000)));
        let tracker = Tracker::start(&context, Sightings::default(), PATIENT).unwrap();
        Self { host, tracker }
    }

    /// A process that is started now.
    fn add(&self, process: Process) {
        let now = self.host.info().start_clock.now(&self.host.clock());
        self.host.change(|machine| machine.add(process.started(now.0)));
    }

    fn tick_after(&mut self, seconds: u64) {
        self.host.sleep(Duration::from_secs(seconds));
        self.tracker.tick().unwrap();
    }

    /// Ends a process; returns the verdict on another one that this exit alone leads to.
    fn verdict_at_the_end_of(&mut self, parent: i32, child: i32) -> &'static str {
        self.host.change(|machine| machine.exit(pid(parent)));
        self.tracker.exits().unwrap();
        let judged = self.tracker.judgements().find(|j| j.id.pid == pid(child));
        judged.map_or("", |j| j.verdict.name())
    }

    /// How often a method was called, about one process or any.
    fn calls(&self, method: Method, about: Option<i32>) -> usize {
        let calls = self.host.log().calls.into_iter().filter(|call| call.method == method);
        calls.filter(|call| about.is_none_or(|number| call.pid == Some(pid(number)))).count()
    }
}

fn launcher(number: i32) -> Process {
    Process::new(number, "sprout-app").child_of(50).leader()
}

fn agent(number: i32, parent: i32) -> Process {
    sprout(number, "goose").child_of(parent).group(number)
}

#[test]
fn a_new_agent_is_known_after_one_tick() {
    let mut service = Service::start(world([launcher(500)]));
    service.add(agent(510, 500));
    service.tick_after(5);
    assert_eq!(service.calls(Method::List, None), 1, "the one at the start");
    assert_eq!(service.verdict_at_the_end_of(500, 510), "wait");
}

#[test]
fn one_that_started_and_lost_its_parent_between_two_ticks_is_found_by_the_census() {
    let mut service = Service::start(world([launcher(500)]));
    service.add(agent(510, 500));
    assert_eq!(service.verdict_at_the_end_of(500, 510), "", "nothing was told of it");
    service.tick_after(5);
    assert!(service.tracker.judgements().any(|j| j.id.pid == pid(510)));
}

#[test]
fn the_end_of_a_wrapper_above_a_new_agent_is_noticed_as_well() {
    for ancestor in [500, 510] {
        let mut service = Service::start(world([launcher(500)]));
        service.add(sprout(510, "npx").child_of(500).group(510));
        service.add(agent(511, 510));
        service.tick_after(5);
        assert_eq!(service.verdict_at_the_end_of(ancestor, 511), "wait", "{ancestor}");
    }
}

#[test]
fn a_process_that_executes_an_agent_after_the_first_tick_is_known_after_the_second() {
    let mut service = Service::start(world([launcher(500)]));
    service.add(Process::new(510, "sh").child_of(500).group(510));
    service.tick_after(5);
    service.host.change(|machine| machine.apply(pid(510), &Fault::Exec(Box::new(agent(510, 500)))));
    service.tick_after(5);
    assert_eq!(service.calls(Method::List, None), 1);
    assert_eq!(service.verdict_at_the_end_of(500, 510), "wait");
}

#[test]
fn after_a_wrap_around_new_agents_are_known_as_well() {
    let mut service = Service::start(world([launcher(500)]));
    service.add(Process::new(32_000, "cat").child_of(500));
    service.tick_after(5);
    service.tick_after(5);
    service.add(Process::new(32_700, "cat").child_of(500));
    service.add(agent(301, 500));
    service.tick_after(5);
    assert_eq!(service.verdict_at_the_end_of(500, 301), "wait");
}

#[test]
fn where_pids_are_not_ordered_a_walk_finds_new_agents() {
    let mut machine = world([launcher(500)]);
    machine.orders_pids = false;
    let mut service = Service::start(machine);
    service.add(agent(510, 500));
    service.tick_after(5);
    assert_eq!(service.calls(Method::StartedSince, None), 0);
    service.add(launcher(600));
    service.add(agent(610, 600));
    service.tick_after(60 * 60);
    assert_eq!(service.calls(Method::List, None), 2);
    assert_eq!(service.verdict_at_the_end_of(500, 510), "wait");
    assert_eq!(service.verdict_at_the_end_of(600, 610), "wait");
}

#[test]
fn a_tick_without_new_processes_asks_once_and_reads_none() {
    let mut service = Service::start(world([launcher(500)]));
    service.add(Process::new(510, "cat").child_of(500));
    for _ in 0..3 {
        service.tick_after(5);
    }
    assert_eq!(service.calls(Method::EnvironOf, Some(510)), 2, "twice, and then no more");
    let before = service.host.log().calls.len();
    service.tick_after(5);
    let calls = service.host.log().calls;
    let asked: Vec<Method> = calls[before..].iter().map(|call| call.method).collect();
    let of_new = [Method::List, Method::Open, Method::Environ].iter().any(|method| asked.contains(method));
    assert!(!of_new, "{asked:?}");
    assert_eq!(asked.iter().filter(|method| **method == Method::StartedSince).count(), 1);
}

#[test]
fn a_scan_watches_nothing() {
    let host = FakeHost::new(whereabouts(), world([sprout(400, "goose")]), FaultScript::new());
    let context = Context::new(Arc::new(host.clone()), policy(), Scope::User(Uid(1000)));
    let survey = Tracker::survey(&context, &Sightings::default(), false, PATIENT).unwrap();
    assert_eq!(survey.orphans().count(), 1);
    let watching = [
        Method::ExitWatcher,
        Method::Watch,
        Method::HandleLimit,
        Method::List,
        Method::PidMark,
        Method::StartedSince,
    ];
    assert!(host.log().calls.iter().all(|call| !watching.contains(&call.method)));
    let calls = host.log().calls.into_iter();
    let opened = calls.filter(|call| call.method == Method::Open && call.pid == Some(pid(400))).count();
    assert_eq!(opened, 1, "to be judged");
}
