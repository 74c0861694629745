//! Grace: how long a process must have been seen orphaned, by a clock that does not count suspend.

use std::sync::Arc;
use std::time::Duration;

use reaper_engine::context::Context;
use reaper_engine::sightings::Sightings;
use reaper_engine::sweep::remember;
use reaper_engine::tracker::Tracker;
use reaper_platform::fake::{FakeHost, Fault, FaultScript, Machine, Method, When, pid};
use reaper_platform::{Host as _, Scope, Uid};

use super::scenarios::{buzz, sprout, world};
use crate::support::sweep::{PATIENT, scan, sweep_with_faults};
use crate::support::{GRACE, policy, whereabouts};

/// Successive surveys as in runs of `reaper scan`, with one file of sightings.
struct Runs {
    host: FakeHost,
    context: Context<FakeHost>,
    sightings: Sightings,
}

impl Runs {
    fn on(machine: Machine) -> Self {
        let host = FakeHost::new(whereabouts(), machine, FaultScript::new());
        let context = Context::new(Arc::new(host.clone()), policy(), Scope::User(Uid(1000)));
        Self { host, context, sightings: Sightings::default() }
    }

    fn verdict_after(&mut self, seconds: u64) -> &'static str {
        self.host.sleep(Duration::from_secs(seconds));
        let survey = Tracker::survey(&self.context, &self.sightings, false, PATIENT).unwrap();
        remember(&self.context, &survey, &mut self.sightings);
        let kept = self.sightings.render(self.host.info());
        self.sightings = Sightings::parse(&kept, self.host.info(), &self.host.clock()).unwrap();
        survey.judgements.iter().find(|j| j.id.pid == pid(400)).map_or("", |j| j.verdict.name())
    }
}

#[test]
fn grace_is_counted_from_the_first_survey() {
    let mut runs = Runs::on(world([sprout(400, "goose")]));
    assert_eq!(runs.verdict_after(1000), "wait");
    assert_eq!(runs.verdict_after(29), "wait");
    assert_eq!(runs.verdict_after(2), "reap");
}

/// An orphan that was seen in its place meanwhile has been orphaned anew, and waits anew: its owner may only
/// be starting again.
#[test]
fn an_orphan_that_was_owned_meanwhile_waits_from_the_start() {
    let mut runs = Runs::on(world([buzz(400, "goose", "run").session(0).group(0)]));
    assert_eq!(runs.verdict_after(0), "wait");
    runs.host.change(|m| m.add(buzz(510, "goose", "run").child_of(700).leader()));
    assert_eq!(runs.verdict_after(40), "spare");
    runs.host.change(|m| m.end(pid(510), true));
    assert_eq!(runs.verdict_after(40), "wait", "its owner has just died");
    assert_eq!(runs.verdict_after(31), "reap");
}

/// An `unknown` verdict does not reset the grace: it is no sign that the process is in use.
#[test]
fn a_doubt_does_not_stop_the_grace() {
    let mut runs = Runs::on(world([sprout(400, "goose")]));
    assert_eq!(runs.verdict_after(0), "wait");
    let closed = |why| move |m: &mut Machine| m.processes.get_mut(&pid(400)).unwrap().closed = why;
    runs.host.change(closed(Some(reaper_platform::Why::Denied)));
    assert_eq!(runs.verdict_after(20), "unknown");
    runs.host.change(closed(None));
    assert_eq!(runs.verdict_after(20), "reap");
}

#[test]
fn r11_neither_sleep_nor_a_set_clock_shortens_the_grace() {
    let machine = world([sprout(400, "goose")]);
    let undisturbed = scan(&machine, &policy());
    let day = Duration::from_secs(86_400);
    for what in [Fault::Suspend(day), Fault::SetWall(Duration::ZERO), Fault::SetWall(day * 40_000)] {
        for step in 1..=undisturbed.log.calls.len() {
            let run =
                sweep_with_faults(&machine, FaultScript::new().at(When::Step(step), what.clone()), &policy());
            assert_eq!(run.signalled(), [400], "{what:?} at step {step}");
            let waited = run.log.sent[0].clock.monotonic - run.seen.1;
            assert!(waited >= GRACE, "{what:?} at step {step}: {waited:?}");
        }
    }
    // Suspended while we wait: the wait ends early by the wall clock, and the orphan is spared.
    let slept = When::Call(Method::Sleep, None, 1);
    assert_eq!(
        sweep_with_faults(&machine, FaultScript::new().at(slept, Fault::Suspend(day)), &policy()).signalled(),
        [400]
    );
}
