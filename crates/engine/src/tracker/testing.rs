//! Judgements and plans for the tests of this folder.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::fake::{self, FakeHost, FaultScript, Machine, Process, pid};
use reaper_platform::{Host as _, ProcessHandle as _};
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::{Plan, Role, Target};
use reaper_policy::verdict::{Gate, Verdict};

/// A fake machine without failures that runs these processes; each started in the second of its own pid.
pub fn host(processes: impl IntoIterator<Item = Process>) -> FakeHost {
    FakeHost::new(fake::host_info(), Machine::of(processes), FaultScript::new())
}

/// A judgement of `goose` with this pid, a child of PID 1.
pub fn judgement(number: i32, verdict: Verdict) -> Judgement {
    let process = host([Process::new(number, "goose")]).open(pid(number)).unwrap();
    Judgement {
        id: process.id(),
        stat: process.stat().unwrap(),
        uid: None,
        program: b"goose".to_vec(),
        exe: None,
        profiles: vec!["sprout".to_owned()],
        marker: None,
        verdict,
        decided_by: if verdict == Verdict::Spare { Gate::Unclaimed } else { Gate::Grace },
        findings: Vec::new(),
        wrappers: Vec::new(),
        hosts: Vec::new(),
        held_by: None,
        seen_for: Duration::ZERO,
        is_wrapper: false,
    }
}

/// The same in an `Arc`.
pub fn shared(number: i32, verdict: Verdict) -> Arc<Judgement> {
    Arc::new(judgement(number, verdict))
}

/// A plan that ends these, each as a root.
pub fn plan(targets: &[&Judgement]) -> Plan {
    let target = |j: &&Judgement| Target {
        id: j.id,
        role: Role::Root,
        root: j.id,
        profiles: j.profiles.clone(),
        uid: j.uid,
        program: j.program.clone(),
        rss_bytes: 0,
        group: None,
        comeback: None,
    };
    Plan { targets: targets.iter().map(target).collect(), ..Plan::default() }
}
