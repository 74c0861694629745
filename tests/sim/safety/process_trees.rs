//! Which processes are ended with an orphan: none is ended as part of a tree that a gate spares by itself.

use reaper_platform::Why;
use reaper_platform::fake::{FaultScript, Process, pid};

use super::scenarios::{buzz, sprout, world};
use crate::support::sweep::{scan, sweep_with_faults};
use crate::support::{lease, policy};

fn planned(run: &crate::support::sweep::Run) -> Vec<i32> {
    run.last.iter().flat_map(|s| &s.plan.targets).map(|t| t.id.pid.get()).collect()
}

/// A plan is shown before it is carried out: it holds nothing that will be spared.
#[test]
fn a_wrapper_that_asks_to_be_kept_is_in_no_plan() {
    let wrapper = |p: Process| p.group(400).session(0);
    let line = |npm: Process| world([npm, sprout(401, "goose").child_of(400).group(400).session(0)]);
    let run = scan(&line(wrapper(sprout(400, "npm"))), &policy());
    assert_eq!(planned(&run), [401, 400]);
    let kept = wrapper(sprout(400, "npm")).env("REAPER_KEEP", "1");
    let run = scan(&line(kept), &policy());
    assert_eq!((planned(&run), run.signalled()), (vec![401], vec![401]));
    let other = wrapper(Process::new(400, "npm").env("MINE", "1"));
    let run = scan(&line(other), &policy());
    assert_eq!(planned(&run), [401], "marked by another profile than the orphan's");
}

/// A process that was judged by itself, and has a live owner or is `unknown`, is not ended because its
/// parent shares a process group with an orphan.
#[test]
fn a_process_spared_by_itself_is_not_ended_as_a_member() {
    let orphan = || sprout(400, "goose").group(400).session(0);
    let shell = || sprout(410, "sh").group(400).session(0);
    let below = |p: Process| world([orphan(), shell(), p.child_of(410).group(410).session(0)]);
    let run = scan(&below(sprout(411, "codex")), &policy());
    assert_eq!(run.signalled(), [411, 400, 410], "undisturbed");
    for (owner, verdict) in [(lease(300, 1_300), "spare unclaimed"), ("?".to_owned(), "unknown unclaimed")] {
        let run = scan(&below(sprout(411, "codex").env("REAPER_OWNER", &owner)), &policy());
        assert_eq!(run.verdict(411), verdict);
        assert_eq!(planned(&run), [400, 410], "{verdict}");
        assert_eq!(run.signalled(), [400, 410], "{verdict}");
    }
    let doubtful = sprout(411, "codex").closed(Why::Denied);
    assert_eq!(scan(&below(doubtful), &policy()).signalled(), [400, 410]);
}

/// The owner of a candidate dies between its judgement and that of the tree beside it: it has just
/// been orphaned, and waits for its grace like every other.
#[test]
fn a_process_owned_until_now_is_not_ended_as_a_group_member() {
    let machine = world([
        buzz(400, "goose", "dead-run").group(400).session(0),
        buzz(410, "goose", "live-run").group(400).session(0),
        buzz(510, "goose", "live-run").child_of(700).leader(),
    ]);
    let undisturbed = scan(&machine, &policy());
    assert_eq!(undisturbed.signalled(), [400]);
    for step in 1..=undisturbed.log.calls.len() {
        let dies = FaultScript::new().to(
            reaper_platform::fake::When::Step(step),
            pid(510),
            reaper_platform::fake::Fault::Collected,
        );
        let run = sweep_with_faults(&machine, dies, &policy());
        if run.verdict(410) == "spare unclaimed" {
            assert!(!run.signalled().contains(&410), "at step {step}");
        }
    }
}

/// What hangs below a multiplexer is in its sessions, whether or not the multiplexer is marked.
#[test]
fn below_a_protected_process_nothing_is_ended() {
    let below = |server: Process| {
        let pane = sprout(402, "goose").child_of(401).leader();
        world([sprout(400, "goose"), server.child_of(400).leader(), pane])
    };
    assert_eq!(scan(&below(sprout(401, "bash")), &policy()).signalled(), [402, 401, 400]);
    assert_eq!(scan(&below(Process::new(401, "bash")), &policy()).signalled(), [402, 400]);
    for server in
        [sprout(401, "tmux"), Process::new(401, "tmux"), sprout(401, "bash").env("REAPER_KEEP", "1")]
    {
        assert_eq!(scan(&below(server), &policy()).signalled(), [400]);
    }
}

/// One that cannot be read may be a multiplexer, or have asked to be kept.
#[test]
fn below_a_process_that_cannot_be_read_nothing_is_ended() {
    use reaper_platform::fake::{Fault, Method, When};
    let pane = sprout(402, "goose").child_of(401).leader();
    let machine = world([sprout(400, "goose"), sprout(401, "bash").child_of(400).leader(), pane]);
    for method in [Method::Open, Method::Stat, Method::Environ] {
        let unread = When::Every(method, Some(pid(401)));
        let run =
            sweep_with_faults(&machine, FaultScript::new().at(unread, Fault::Fail(Why::Denied)), &policy());
        assert_eq!(run.signalled(), [400], "{method:?}");
    }
    let mut machine = machine;
    machine.processes.get_mut(&pid(401)).unwrap().environ.fill(0);
    assert_eq!(scan(&machine, &policy()).signalled(), [400], "overwritten");
}

/// A list of children can lack one for a moment. The one command of a container is the oldest child of its
/// init, whatever list it is missing in.
#[test]
fn the_command_of_a_container_is_in_no_plan() {
    use reaper_platform::fake::{Fault, Machine, Method, When};
    let machine = Machine::of([
        Process::new(1, "tini").child_of(0).leader().started(0).args(&["--", "goose"]),
        sprout(7, "goose").leader().started(10),
        Process::new(900, "reaper").child_of(0).leader(),
        sprout(930, "goose").session(7).group(7),
    ]);
    let undisturbed = scan(&machine, &policy());
    assert_eq!(undisturbed.verdict(7), "spare unsupervised");
    let lists =
        undisturbed.log.calls.iter().filter(|c| c.method == Method::Children && c.pid == Some(pid(1)));
    for call in lists {
        let run = sweep_with_faults(
            &machine,
            FaultScript::new().at(When::Step(call.step), Fault::Miss(pid(7))),
            &policy(),
        );
        for survey in run.first.iter().chain(&run.last) {
            assert!(survey.orphans().all(|j| j.id.pid != pid(7)), "missed at step {}", call.step);
        }
    }
}
