//! Everything that can go wrong with one process or one call, and the steps at which it makes a difference.

use std::time::Duration;

use reaper_platform::fake::{Call, Fault, FaultScript, Method, Process, When, pid};
use reaper_platform::{Pid, RuntimeUnit, Uid, Why};

use super::scenarios::Scenario;

/// One thing that goes wrong, once.
pub struct Trouble {
    pub name: &'static str,
    pub step: usize,
    pub target: Pid,
    pub what: Fault,
}

impl Trouble {
    pub fn script(&self) -> FaultScript {
        FaultScript::new().to(When::Step(self.step), self.target, self.what.clone())
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {}) at step {}", self.name, self.target, self.step)
    }
}

/// Every fault at every step. `calls` are the calls of an undisturbed sweep.
///
/// A fault that changes a process has no effect until the next call that could notice, so of several
/// steps in a row with the same result, only the last is taken.
pub fn all(scenario: &Scenario, calls: &[Call]) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let main = pid(scenario.main);
    for call in calls {
        let target = call.pid.unwrap_or(main);
        let mut add = |name, what| troubles.push(Trouble { name, step: call.step, target, what });
        add("denied", Fault::Fail(Why::Denied));
        add("failed", Fault::Fail(Why::Failed("input/output error".to_owned())));
        if call.method.can_hang() {
            add("hung", Fault::Hang);
        }
        if call.method == Method::Children {
            scenario.members.iter().for_each(|missed| add("missed in a list", Fault::Miss(pid(*missed))));
        }
        if matches!(call.method, Method::Clock | Method::Sleep | Method::Wait) {
            add("suspended", Fault::Suspend(Duration::from_secs(3600)));
            add("time of day set back", Fault::SetWall(Duration::from_secs(1)));
            add("time of day set ahead", Fault::SetWall(Duration::from_secs(1 << 33)));
            add("delayed", Fault::Delay(Duration::from_secs(7)));
        }
    }
    for member in scenario.members {
        let Some(process) = scenario.machine.get(pid(*member)) else { continue };
        for (name, what) in changes(process) {
            let steps = calls.iter().filter(|call| notices(call, process, scenario)).map(|call| call.step);
            troubles.extend(steps.map(|step| Trouble {
                name,
                step,
                target: process.pid,
                what: what.clone(),
            }));
        }
    }
    for (name, what) in &scenario.extra {
        let lists =
            calls.iter().filter(|c| matches!(c.method, Method::List | Method::Children | Method::Wait));
        troubles.extend(lists.map(|c| Trouble { name, step: c.step, target: main, what: what.clone() }));
    }
    troubles
}

/// Whether a call could notice that something happened to a process: it is about it, about a child that may
/// have got another parent, or about a list that it may be missing in; or time passes.
fn notices(call: &Call, process: &Process, scenario: &Scenario) -> bool {
    let Some(about) = call.pid else {
        return matches!(call.method, Method::List | Method::Sleep | Method::Wait);
    };
    let parent = scenario.machine.get(about).and_then(|p| p.ppid);
    let lists = call.method == Method::Children && process.ppid == Some(about);
    about == process.pid || parent == Some(process.pid) || lists
}

/// Events that can happen to a process at any time.
fn changes(process: &Process) -> Vec<(&'static str, Fault)> {
    let number = process.pid.get();
    let exec = |into: Process| Fault::Exec(Box::new(into));
    let marked = |program: &str| Process::new(number, program).block(&process.environ);
    let stranger = Process::new(number, "vim").started(process.start.0);
    // A new process, equal in everything that can be read.
    let lookalike = process.clone().started(900_000);
    let again = |line: &str| Fault::Environ([&process.environ, line.as_bytes()].concat());
    let child = Process { ppid: None, ..process.clone() };
    let child = Process { pid: pid(number + 5000), ..child }.started(900_000);
    vec![
        ("ends, not collected", Fault::Zombie),
        ("ends", Fault::Collected),
        ("on its way out", Fault::Exiting),
        ("number reused by a stranger", Fault::Reuse(Box::new(stranger))),
        ("number reused by its like", Fault::Reuse(Box::new(lookalike))),
        ("unreadable from now on", Fault::Close(Why::Denied)),
        ("executes a program of no profile", exec(marked("vim"))),
        ("executes a protected program", exec(marked("tmux"))),
        ("drops its marker", exec(Process { exe: process.exe.clone(), ..Process::new(number, "goose") })),
        ("asks to be kept", again("REAPER_KEEP=1\0")),
        ("contradicts its marker", again("SPROUT_MANAGED_AGENT=0\0BUZZ_MANAGED_AGENT=0\0REAPER_MANAGED=0\0")),
        ("wipes its environment", Fault::Wipe),
        ("its environment is cut short", Fault::Cut(40)),
        ("gets a live parent", Fault::Reparent(pid(700))),
        ("gets another user", Fault::Setuid(Uid(1001))),
        ("starts a session", Fault::Setsid),
        ("forks", Fault::Fork(Box::new(child))),
        (
            "becomes a service",
            Fault::Supervise(RuntimeUnit { name: "late.service".to_owned(), user: Some(Uid(1000)) }),
        ),
    ]
}
