//! W6: a failed look-up is never read as "the owner is gone", nor a partial census as a whole one.

use reaper_platform::fake::{FakeHost, Fault, FaultScript, Machine, Method, Process, When, pid};
use reaper_platform::{HostInfo, Pid, RuntimeUnit, Why};

use super::scenarios::{self, buzz, sprout, world};
use crate::support::sweep::{Ledger, PATIENT, scan, sweep, sweep_with_faults};
use crate::support::{lease, policy, whereabouts};

fn failure() -> Fault {
    Fault::Fail(Why::Failed("input/output error".to_owned()))
}

/// Nothing is signalled when a look-up fails each time it is made, and the orphan is when it does not.
fn spares(machine: &Machine, lookup: Method, about: Option<Pid>) {
    assert_eq!(scan(machine, &policy()).signalled(), [400], "undisturbed");
    for fault in [failure(), Fault::Fail(Why::Denied)] {
        let run =
            sweep_with_faults(machine, FaultScript::new().at(When::Every(lookup, about), fault), &policy());
        assert_eq!(run.signalled(), [0; 0], "{lookup:?} about {about:?} fails");
        let (first, verdict) = (run.first.is_none(), run.verdict(400));
        assert!(first || verdict.starts_with("unknown"), "{lookup:?} about {about:?}: {verdict}");
    }
}

#[test]
fn w06_an_owner_that_cannot_be_looked_up_may_be_alive() {
    let leased = Process::new(400, "worker").env("REAPER_MANAGED", "1");
    let leased = world([leased.env("REAPER_OWNER", &lease(4_000, 5)).session(0).group(0)]);
    spares(&leased, Method::StatOf, Some(pid(4_000)));
    spares(&leased, Method::Exists, Some(pid(4_000)));
    let owned = Process::new(400, "my-agent").env("MINE", "1").env("MINE_PID", "4000").session(0).group(0);
    spares(&world([owned]), Method::StatOf, Some(pid(4_000)));
}

/// In a container an owner may be outside, where it cannot be seen. Only a lease that names our own PID namespace, or
/// an owner that is seen alive, says anything there.
#[test]
fn b25_an_owner_that_may_be_outside_may_be_alive() {
    let here = HostInfo { pid_namespace: 7, ..whereabouts() };
    let signalled = |lease: &str, others: &[Process]| {
        let leased = Process::new(400, "worker").env("REAPER_MANAGED", "1").session(0).group(0);
        let machine = world([leased.env("REAPER_OWNER", lease)].into_iter().chain(others.iter().cloned()));
        let host = FakeHost::new(here.clone(), machine, FaultScript::new());
        sweep(&host, &policy(), PATIENT, &mut Ledger::new(&host)).signalled()
    };
    assert_eq!(signalled(&format!("{}:7", lease(4_000, 5)), &[]), [400], "it was in here, and is dead");
    assert_eq!(signalled(&lease(4_000, 5), &[]), [0; 0], "nothing says where it was");
    assert_eq!(signalled(&lease(4_000, 500_000), &[]), [0; 0], "nor does it that it is younger than we are");
    assert_eq!(signalled(&format!("{}:8", lease(4_000, 5)), &[]), [0; 0], "it was elsewhere");
    let owner = Process::new(4_000, "app").started(5);
    assert_eq!(signalled(&lease(4_000, 5), &[owner]), [0; 0], "it is seen alive");
}

/// Starts of two time namespaces cannot be compared.
#[test]
fn b26_an_owner_in_another_time_namespace_is_not_called_dead() {
    let here = whereabouts();
    let signalled = |lease: &str, holder: Process| {
        let leased =
            Process::new(400, "worker").env("REAPER_MANAGED", "1").session(0).group(0).started(2_000);
        let host = FakeHost::new(
            here.clone(),
            world([leased.env("REAPER_OWNER", lease), holder]),
            FaultScript::new(),
        );
        sweep(&host, &policy(), PATIENT, &mut Ledger::new(&host)).signalled()
    };
    let ours = format!("{}:{}", lease(4_000, 5), here.pid_namespace);
    let holder = |start: u64| Process::new(4_000, "app").started(start);
    let elsewhere = |start: u64| Process { time_namespace: 9, ..holder(start) };
    assert_eq!(signalled(&ours, holder(1_500)), [400], "the number is another's, in our own time");
    assert_eq!(signalled(&ours, elsewhere(1_500)), [0; 0], "it may be the owner, by another clock");
    assert_eq!(signalled(&ours, elsewhere(2_500)), [400], "it is younger than what the owner started");
    let hidden = Process { closed: Some(Why::Denied), ..holder(1_500) };
    assert_eq!(signalled(&ours, hidden), [0; 0], "by which clock it was started cannot be read");
    let named = format!("{ours}:time=9");
    assert_eq!(signalled(&named, holder(1_500)), [0; 0], "the lease is by another clock than ours");
    assert_eq!(signalled(&named, Process::new(4_001, "app")), [400], "no process has the number");
    assert_eq!(
        signalled(&format!("{ours}:cgroup=9"), Process::new(4_001, "app")),
        [0; 0],
        "a field of later"
    );
}

#[test]
fn w06_a_leader_that_cannot_be_looked_up_may_own_it() {
    let dead = world([sprout(400, "goose").session(90_000).group(0)]);
    spares(&dead, Method::Exists, Some(pid(90_000)));
    let unmarked = Process::new(390, "zsh").child_of(700).leader();
    let beside = world([unmarked, sprout(400, "goose").session(390).group(0)]);
    spares(&beside, Method::Environ, Some(pid(390)));
    spares(&beside, Method::Stat, Some(pid(390)));
    spares(&beside, Method::Ids, Some(pid(390)));
    spares(&beside, Method::Open, Some(pid(390)));
}

#[test]
fn w06_holders_that_cannot_be_listed_or_read_may_own_it() {
    let machine = world([buzz(400, "goose", "dead-run").session(0).group(0)]);
    spares(&machine, Method::List, None);
    spares(&machine, Method::EnvironOf, Some(pid(310)));
}

#[test]
fn w06_a_service_manager_that_does_not_answer_may_run_it() {
    let mut machine = world([sprout(400, "goose").unit("a.service", None).session(0).group(0)]);
    let unit = machine.get(pid(400)).unwrap().unit.clone().unwrap();
    machine.answer_for(unit, None, None);
    spares(&machine, Method::UnitMains, None);
    spares(&machine, Method::Unit, Some(pid(400)));
    // Of two services one answers: the process may be the other's main process, so it is `unknown`.
    let wrapper = sprout(399, "sh").unit("b.service", None).session(0).group(0);
    let below = sprout(400, "goose").child_of(399).unit("a.service", None).session(0).group(0);
    let mut machine = world([wrapper, below]);
    for name in ["a.service", "b.service"] {
        let unit = |name: &str| RuntimeUnit { name: name.to_owned(), user: None };
        machine.units.clear();
        machine.answer_for(unit(name), None, None);
        assert_eq!(scan(&machine, &policy()).verdict(400), "unknown unsupervised", "only {name} answers");
        machine.answer_for(unit(name), Some(pid(399)), None);
        assert_eq!(scan(&machine, &policy()).verdict(400), "spare unsupervised", "{name} says its own");
    }
    machine.answer_for(RuntimeUnit { name: "a.service".to_owned(), user: None }, None, None);
    machine.answer_for(RuntimeUnit { name: "b.service".to_owned(), user: None }, None, None);
    assert_eq!(scan(&machine, &policy()).signalled(), [400, 399]);
    let unread = FaultScript::new().at(When::Every(Method::Unit, Some(pid(399))), failure());
    assert_eq!(
        sweep_with_faults(&machine, unread, &policy()).signalled(),
        [0; 0],
        "nor when a wrapper's service is unknown"
    );
}

#[test]
fn w06_facts_of_the_process_that_cannot_be_read_are_doubts() {
    let machine = world([sprout(400, "goose")]);
    for method in [Method::Environ, Method::Ids, Method::Argv] {
        spares(&machine, method, Some(pid(400)));
    }
}

#[test]
fn w06_without_a_census_nothing_is_ended() {
    let mut machine = world([sprout(400, "goose")]);
    let both = FaultScript::new().at(When::Every(Method::Children, None), failure());
    let both = both.at(When::Every(Method::List, None), failure());
    let run = sweep_with_faults(&machine, both, &policy());
    assert!(run.error.is_some() && run.first.is_none() && run.signalled().is_empty());
    machine.lists = false;
    let run = sweep_with_faults(
        &machine,
        FaultScript::new().at(When::Every(Method::List, None), failure()),
        &policy(),
    );
    assert!(run.error.is_some() && run.signalled().is_empty());
}

#[test]
fn w06_nothing_is_ended_when_no_environment_can_be_read() {
    let scenario = scenarios::tree();
    let script = FaultScript::new().at(When::Every(Method::Environ, None), failure());
    let run = sweep_with_faults(
        &scenario.machine,
        script.at(When::Every(Method::EnvironOf, None), failure()),
        &policy(),
    );
    assert!(run.signalled().is_empty());
    let first = run.first.unwrap();
    assert!(first.blind && first.unreadable > 0, "could not look is not clean");
}

/// A live holder of the owner value whose environment was overwritten, ends early, or has two
/// values for it may still be the owner.
#[test]
fn w06_a_holder_whose_environment_cannot_be_trusted_may_own_it() {
    let holder = || buzz(510, "goose", "a-run").child_of(700).leader();
    let machine = |holder| world([buzz(400, "goose", "a-run").session(0).group(0), holder]);
    assert_eq!(scan(&machine(holder()), &policy()).verdict(400), "spare unclaimed");
    let mut wiped = holder();
    wiped.environ.fill(0);
    let mut cut = holder();
    cut.environ.truncate(40);
    let torn = holder().env("BUZZ_MANAGED_AGENT_START_NONCE", "another");
    for holder in [wiped, cut, torn] {
        let run = scan(&machine(holder), &policy());
        assert_eq!((run.verdict(400).as_str(), run.signalled()), ("unknown unclaimed", vec![]));
    }
}
