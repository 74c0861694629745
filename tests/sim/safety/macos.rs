//! A simulated Mac: launchd is PID 1, adopts every orphan and starts every job; the kernel keeps who started a process,
//! counts starts in microseconds of the day, and keeps the environment of protected programs to itself.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::fake::macos::{job, of, process, whereabouts};
use reaper_platform::fake::{FakeHost, Fault, FaultScript, Machine, Method, Process, Reaction, When, pid};
use reaper_platform::{Clock, HostInfo, Why};
use reaper_policy::policy::Policy;

use crate::support::sweep::{Ledger, PATIENT, Run, sweep};
use crate::support::{ME, policy};

/// When most of them started: half an hour before the sweep.
const THEN: u64 = 1_767_321_000_000_000;
const ORPHAN: i32 = 4_000;

fn agent(number: i32, program: &str) -> Process {
    process(number, program, THEN + number.unsigned_abs() as u64).env("SPROUT_MANAGED_AGENT", "1")
}

fn orphan() -> Process {
    agent(ORPHAN, "goose")
}

/// The desktop of a user at work: us in a terminal, an app, and `more`.
fn desktop(more: impl IntoIterator<Item = Process>) -> Machine {
    let there = [
        process(300, "Terminal", THEN).leader().started_by_init(),
        process(310, "zsh", THEN).child_of(300).leader().exe("/bin/zsh").withheld(),
        process(ME, "reaper", THEN).child_of(310).session(310).group(ME),
        process(400, "Sprout", THEN).leader().started_by_init(),
        process(500, "Finder", THEN).leader().started_by_init().exe("/System/Finder").withheld(),
    ];
    let mut machine = of(there.into_iter().chain(more));
    machine.jobs = Ok([("application.com.apple.Terminal.1", 300), ("application.xyz.sprout.2", 400)]
        .map(|(label, number)| job(label, number))
        .to_vec());
    machine
}

fn host_info() -> HostInfo {
    HostInfo { pid: pid(ME), ..whereabouts() }
}

fn play_by(policy: &Arc<Policy>, machine: &Machine, script: FaultScript) -> Run {
    let host = FakeHost::new(host_info(), machine.clone(), script);
    sweep(&host, policy, PATIENT, &mut Ledger::new(&host))
}

fn sweep_with_faults(machine: &Machine, script: FaultScript) -> Run {
    play_by(&policy(), machine, script)
}

fn scan(machine: &Machine) -> Run {
    sweep_with_faults(machine, FaultScript::new())
}

/// The orphan's verdict in a run that signals nothing.
fn spared(run: &Run) -> String {
    assert_eq!(run.signalled(), [0; 0]);
    run.verdict(ORPHAN)
}

#[test]
fn an_orphan_on_a_mac_is_ended_with_its_tree() {
    let tool = agent(4_010, "rg").child_of(ORPHAN).leader();
    let stubborn = agent(4_020, "node").child_of(ORPHAN).leader().on_term(Reaction::Ignore);
    let unmarked = process(4_030, "ssh", THEN).child_of(ORPHAN).leader();
    let run = scan(&desktop([orphan(), tool, stubborn, unmarked]));
    assert_eq!(run.signalled(), [4_010, 4_020, ORPHAN, 4_020]);
    assert_eq!((run.outcome(ORPHAN), run.outcome(4_020)), ("exited", "killed"));
    assert!(run.records.iter().any(|(_, r)| r.pid == ORPHAN && r.announces()));
}

#[test]
fn an_orphan_below_a_wrapper_is_ended_with_it() {
    let npm = agent(3_990, "npm").group(3_990);
    let run = scan(&desktop([npm, orphan().child_of(3_990).group(3_990)]));
    assert_eq!(run.signalled(), [ORPHAN, 3_990]);
}

#[test]
fn an_agent_below_its_launcher_is_spared() {
    assert_eq!(spared(&scan(&desktop([orphan().child_of(400)]))), "");
}

/// Every job has launchd for its parent by design, and may carry the marker: from `launchctl setenv`, from its plist.
#[test]
fn w04_a_job_of_launchd_is_spared() {
    let mut machine = desktop([orphan().leader().started_by_init()]);
    assert_eq!(spared(&scan(&machine)), "spare unsupervised", "the kernel knows who started it");
    let unknown = Process { starter: None, ..orphan().leader() };
    machine = desktop([unknown]);
    machine.jobs.as_mut().unwrap().push(job("com.example.agent", ORPHAN));
    assert_eq!(spared(&scan(&machine)), "spare unsupervised", "launchd says so");
    // A job of the same label that is another process proves nothing for an orphan below it.
    machine.jobs = Ok(vec![job("com.example.agent", 400)]);
    assert_eq!(scan(&machine).signalled(), [ORPHAN]);
}

/// What a job left behind is an orphan as any other, also if it still has the job's label in its environment.
#[test]
fn w04_an_orphan_that_a_job_left_behind_is_ended() {
    let mut machine = desktop([orphan().env("XPC_SERVICE_NAME", "com.example.agent")]);
    machine.jobs.as_mut().unwrap().push(job("com.example.agent", 400));
    assert_eq!(scan(&machine).signalled(), [ORPHAN]);
}

/// The wrapper above an agent is the job: `sh -c 'goose acp'` in a plist.
#[test]
fn w04_processes_below_a_job_are_spared() {
    let npm = || agent(3_990, "npm").group(3_990);
    let below = || orphan().child_of(3_990).group(3_990);
    assert_eq!(spared(&scan(&desktop([npm().started_by_init(), below()]))), "spare unsupervised");
    let mut machine = desktop([Process { starter: None, ..npm() }, below()]);
    machine.jobs.as_mut().unwrap().push(job("com.example.npm", 3_990));
    assert_eq!(spared(&scan(&machine)), "spare unsupervised");
}

/// Helpers of apps (XPC services) are launchd's children too, and in a domain of their own that no list has.
#[test]
fn w04_a_helper_of_an_app_is_spared() {
    let xpc = orphan().leader().started_by_init();
    assert_eq!(spared(&scan(&desktop([xpc]))), "spare unsupervised");
    let electron = orphan().child_of(400).session(400).group(400);
    assert_eq!(spared(&scan(&desktop([electron]))), "", "it is no child of launchd's, and so no candidate");
}

#[test]
fn w06_a_launchd_that_does_not_answer_may_run_it() {
    for why in [Why::Slow(Duration::from_secs(3)), Why::Denied, Why::Garbled("no list")] {
        let mut machine = desktop([orphan()]);
        machine.jobs = Err(why);
        assert_eq!(spared(&scan(&machine)), "unknown unsupervised");
    }
    let unknown = FaultScript::new().at(When::Every(Method::StartedByParent, Some(pid(ORPHAN))), failure());
    assert_eq!(spared(&sweep_with_faults(&desktop([orphan()]), unknown)), "unknown unsupervised");
    // It answers during the survey, and no longer at the last judgement.
    let machine = desktop([orphan()]);
    let asked = scan(&machine).log.calls.iter().filter(|c| c.method == Method::Jobs).count();
    assert!(asked >= 3, "asked {asked} times: at each look and before the signal");
    for nth in 1..=asked {
        let script = FaultScript::new().at(When::Call(Method::Jobs, None, nth), failure());
        assert_eq!(sweep_with_faults(&machine, script).signalled(), [0; 0], "the {nth}th answer is missing");
    }
}

fn failure() -> Fault {
    Fault::Fail(Why::Failed("it broke".to_owned()))
}

/// At every step the pid is reused by a process that started in the same second: an unrelated one, and a lookalike.
#[test]
fn w07_a_pid_reused_within_a_second_is_never_signalled() {
    let machine = desktop([orphan().on_term(Reaction::Ignore)]);
    let undisturbed = scan(&machine);
    assert_eq!(undisturbed.signalled(), [ORPHAN, ORPHAN]);
    let start = orphan().start.0;
    let soon = |p: Process| p.started(start + 900_000);
    let newcomers = [
        soon(process(ORPHAN, "vim", 0)),
        soon(agent(ORPHAN, "goose")),
        agent(ORPHAN, "goose").started(start),
    ];
    for newcomer in newcomers {
        for step in undisturbed.seen.0 + 1..=undisturbed.log.calls.len() {
            let reuse = Fault::Reuse(Box::new(newcomer.clone()));
            let run =
                sweep_with_faults(&machine, FaultScript::new().to(When::Step(step), pid(ORPHAN), reuse));
            let old = machine.get(pid(ORPHAN)).unwrap().serial;
            assert!(run.log.sent.iter().all(|s| s.to.serial == old), "at step {step}: {:?}", newcomer.comm);
        }
    }
}

/// Start times are times of day, and the clock is set: no age and no grace may come of that.
#[test]
fn w08_setting_the_clock_ends_nothing() {
    let machine = desktop([orphan()]);
    let steps = scan(&machine).log.calls.len();
    let Clock { realtime, .. } = machine.clock;
    for day in [Duration::ZERO, realtime - Duration::from_secs(7_200), realtime + Duration::from_secs(86_400)]
    {
        for step in 1..=steps {
            let run =
                sweep_with_faults(&machine, FaultScript::new().at(When::Step(step), Fault::SetWall(day)));
            let early =
                |s: &reaper_platform::fake::Sent| s.clock.monotonic < run.seen.1 + crate::support::GRACE;
            assert!(!run.log.sent.iter().any(early), "set to {day:?} at step {step}");
        }
    }
}

#[test]
fn m07_an_environment_that_is_withheld_is_unknown() {
    let machine = desktop([orphan().withheld()]);
    assert_eq!(spared(&scan(&machine)), "unknown marker");
    // So is one of the system's shells: it may wrap an agent.
    let sh = agent(3_990, "sh").exe("/bin/sh").group(3_990).withheld();
    let run = scan(&desktop([sh, orphan().child_of(3_990).group(3_990)]));
    assert_eq!(spared(&run), "unknown orphan");
    // A leader in a session of the system's shell that cannot be read may be its owner.
    let leader = agent(3_980, "zsh").exe("/bin/zsh").leader().withheld();
    assert_eq!(spared(&scan(&desktop([leader, orphan().session(3_980)]))), "unknown unclaimed");
}

#[test]
fn m07_an_environment_that_was_overwritten_is_unknown() {
    let machine = desktop([orphan()]);
    let run = sweep_with_faults(&machine, FaultScript::new().to(When::Step(1), pid(ORPHAN), Fault::Wipe));
    assert_eq!(spared(&run), "unknown marker");
}

#[test]
fn m12_a_mac_that_cannot_be_read_is_not_reported_clean() {
    let machine = desktop([orphan()]);
    let lists = FaultScript::new().at(When::Every(Method::Children, None), failure());
    let run = sweep_with_faults(&machine, lists.clone());
    assert_eq!(run.signalled(), [ORPHAN], "without the list of children there is the list of all");
    let run = sweep_with_faults(&machine, lists.at(When::Every(Method::List, None), failure()));
    assert!(run.error.is_some() && run.first.is_none() && run.signalled().is_empty());
    // No environment at all: blind. Only the system's own programs unreadable: normal on a Mac.
    let denied = Fault::Fail(Why::Denied);
    let run = sweep_with_faults(
        &machine,
        FaultScript::new()
            .at(When::Every(Method::EnvironOf, None), denied.clone())
            .at(When::Every(Method::Environ, None), denied),
    );
    assert!(run.signalled().is_empty() && run.first.unwrap().blind);
    let first = scan(&desktop([])).first.unwrap();
    assert!(!first.blind && first.orphans().next().is_none());
}

#[test]
fn w24_a_marker_after_empty_arguments_does_not_count() {
    let mark = "SPROUT_MANAGED_AGENT=1";
    let bare = || process(ORPHAN, "goose", THEN);
    for args in
        [&[mark][..], &["", "", mark], &["-p", "", "", mark], &["", mark, ""], &["", "", "", "", mark]]
    {
        assert!(!spared(&scan(&desktop([bare().args(args)]))).starts_with("reap"), "{args:?}");
        let no_environment = bare().args(args).block(b"");
        assert!(!spared(&scan(&desktop([no_environment]))).starts_with("reap"), "{args:?}, no environment");
        // Without doubt about the arguments, the environment counts.
        let plain: Vec<&str> = args.iter().copied().filter(|a| *a != mark).collect();
        assert_eq!(scan(&desktop([orphan().args(&plain)])).signalled(), [ORPHAN], "{plain:?}");
    }
    for value in ["", "0", "false", "no", "off"] {
        let off = bare().env("SPROUT_MANAGED_AGENT", value);
        assert!(!spared(&scan(&desktop([off]))).starts_with("reap"), "{value:?}");
    }
    for name in ["XSPROUT_MANAGED_AGENT", "SPROUT_MANAGED_AGENT_X"] {
        assert!(!spared(&scan(&desktop([bare().env(name, "1")]))).starts_with("reap"), "{name}");
    }
}

/// A zombie on a Mac has no session and no environment.
#[test]
fn r01_a_zombie_is_reported_and_never_signalled() {
    let mut machine = desktop([orphan()]);
    machine.processes.get_mut(&pid(1)).unwrap().collects = false;
    let run = sweep_with_faults(&machine, FaultScript::new().to(When::Step(1), pid(ORPHAN), Fault::Zombie));
    assert_eq!(run.signalled(), [0; 0]);
    assert_eq!(run.first.unwrap().zombies, 1);
    let run = scan(&machine);
    assert_eq!((run.signalled(), run.outcome(ORPHAN)), (vec![ORPHAN], "exited"));
}

#[test]
fn w25_an_orphan_that_executes_another_program_is_spared() {
    let machine = desktop([orphan()]);
    let undisturbed = scan(&machine);
    let changes = [
        Fault::Exec(Box::new(agent(ORPHAN, "tmux"))),
        Fault::Exec(Box::new(process(ORPHAN, "goose", THEN))),
        Fault::Reparent(pid(400)),
    ];
    for what in changes {
        for step in undisturbed.seen.0 + 1..=undisturbed.ending {
            let run = sweep_with_faults(
                &machine,
                FaultScript::new().to(When::Step(step), pid(ORPHAN), what.clone()),
            );
            assert!(run.signalled().is_empty(), "{what:?} at step {step}");
        }
    }
}
