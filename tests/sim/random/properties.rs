//! What holds in every random process tree.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::FileFailurePersistence;
use reaper_engine::context::Context;
use reaper_engine::discover::method::Method;
use reaper_engine::inspect::Inspector;
use reaper_engine::sightings::Sightings;
use reaper_engine::tracker::{Survey, Tracker};
use reaper_platform::fake::{FakeHost, FaultScript, Machine, host_info};
use reaper_platform::{Clock, Generation, Host as _, Pid, ProcId, Scope, Uid};
use reaper_policy::case::Capacity;
use reaper_policy::judgement::Judgement;
use reaper_policy::plan::Plan;
use reaper_policy::policy::Policy;
use reaper_policy::verdict::{Gate, Verdict};

use super::generator::forest;
use crate::support::oracle::{Oracle, Root};
use crate::support::sweep::PATIENT;
use crate::support::{policy, policy_with, whereabouts};

fn sightings(machine: &Machine, seen: &BTreeSet<Pid>) -> Sightings {
    let ago = Duration::from_secs(60);
    let now = machine.clock;
    let then = Clock { monotonic: now.monotonic - ago, boottime: now.boottime - ago, ..now };
    let mut sightings = Sightings::default();
    for p in machine.processes.values().filter(|p| seen.contains(&p.pid)) {
        let id = ProcId { pid: p.pid, start: p.start, generation: Some(Generation(p.serial)) };
        sightings.note(id, &then, &host_info());
    }
    sightings
}

fn look(machine: &Machine, seen: &BTreeSet<Pid>, policy: &Arc<Policy>) -> Survey {
    let host = FakeHost::new(whereabouts(), machine.clone(), FaultScript::new());
    let context = Context::new(Arc::new(host), Arc::clone(policy), Scope::User(Uid(1000)));
    Tracker::survey(&context, &sightings(machine, seen), true, PATIENT).unwrap()
}

fn capped() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    Arc::clone(POLICY.get_or_init(|| policy_with("max-targets = 3")))
}

/// With programs of the forest as adopters: exact names, one of an interpreter's script.
fn adopting() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    Arc::clone(POLICY.get_or_init(|| policy_with("adopters = [\"worker\", \"server\", \"app\"]")))
}

fn shown(plan: &Plan) -> Vec<String> {
    let targets = plan.targets.iter().map(|t| format!("{} {:?} of {}", t.id.pid, t.role, t.root.pid));
    // A walk does not list other users' processes, so it does not say either that they stay.
    let left = plan.left_alone.iter().filter(|l| !l.reason.starts_with("uid "));
    let left = left.map(|l| format!("{} of {} stays: {}", l.id.pid, l.root, l.reason));
    targets.chain(left).chain(plan.deferred.iter().map(|d| format!("{} later", d.pid))).collect()
}

/// Judgements of our own processes: a walk does not list others.
fn ours(survey: &Survey) -> Vec<String> {
    let mut ours = survey.clone();
    ours.judgements.retain(|j| j.uid == Some(Uid(1000)));
    words(&ours)
}

fn words(survey: &Survey) -> Vec<String> {
    survey.judgements.iter().map(|j| format!("{} {:?} {}", j.id.pid, j.verdict, j.reason())).collect()
}

/// Seeds of failures are printed, and kept in `properties.regressions`, from where they are tried first.
fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    let cases = ProptestConfig::default().cases.max(1000);
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Nothing unmarked, supervised, claimed, protected, young or of another user is ever in a plan, and
    /// nothing that may be ended is left out.
    #[test]
    fn the_plan_holds_what_the_oracle_names(forest in forest()) {
        let machine = forest.machine();
        let oracle = Oracle::new(&machine);
        let seen = forest.seen();
        let (due, young): (Vec<Root>, Vec<Root>) =
            oracle.roots().into_iter().partition(|root| seen.contains(&root.pid));
        let survey = look(&machine, &seen, &policy());
        let (mut planned, mut wanted, mut trees) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let told = survey.judgements.iter().all(|j| !is_wanted(j));
        for (plan, roots, verdict) in [
            (&survey.plan, due, survey.with("reap")),
            (&survey.later, young, survey.with("wait")),
        ] {
            let roots: BTreeMap<Pid, Root> = roots.into_iter().map(|root| (root.pid, root)).collect();
            prop_assert_eq!(&verdict, &roots.keys().copied().collect(), "{:#?}", words(&survey));
            let targets: BTreeSet<Pid> = plan.targets.iter().map(|t| t.id.pid).collect();
            for target in &plan.targets {
                let tree = roots.get(&target.root.pid).map(|root| oracle.tree(root)).unwrap_or_default();
                prop_assert!(tree.contains(&target.id.pid), "{:?}\n{:#?}", target, words(&survey));
            }
            planned.extend(targets);
            wanted.extend(roots.values().flat_map(|root| oracle.tree(root)));
            trees.extend(roots.values().map(|root| (root.pid, oracle.tree(root))));
        }
        // A process in two trees is ended with one of them. An orphan of its own that is in another's tree, too, takes
        // its own tree along; what else hangs below it is an orphan by itself once it has ended, and is found then.
        let parent = |pid: &Pid| machine.processes.get(pid).and_then(|process| process.ppid);
        let is_left_to_another = |pid: &Pid| {
            successors(parent(pid), parent).any(|above| trees.get(&above).is_some_and(|tree| !tree.contains(pid)))
        };
        let left_out: Vec<&Pid> = wanted.difference(&planned).filter(|pid| !is_left_to_another(pid)).collect();
        prop_assert!(!told || left_out.is_empty(), "{:?}\n{:#?}", left_out, words(&survey));
    }

    /// No process that could not be judged is planned, in whatever role.
    #[test]
    fn nothing_in_doubt_is_planned(forest in forest()) {
        let survey = look(&forest.machine(), &forest.seen(), &policy());
        let doubtful = survey.with("unknown");
        for target in survey.plan.targets.iter().chain(&survey.later.targets) {
            prop_assert!(!doubtful.contains(&target.id.pid), "{:?}\n{:#?}", target, words(&survey));
        }
    }

    /// The walk over all processes and the lists of children give the same result.
    #[test]
    fn both_census_methods_see_the_same(forest in forest()) {
        let lists = forest.machine();
        let mut walk = lists.clone();
        walk.lists = false;
        let seen = forest.seen();
        let (lists, walk) = (look(&lists, &seen, &policy()), look(&walk, &seen, &policy()));
        prop_assert_eq!(lists.census.method, Method::Children);
        prop_assert_eq!(walk.census.method, Method::Walk);
        prop_assert_eq!(&lists.census.candidates, &walk.census.candidates);
        prop_assert_eq!(sorted(&lists.census.adopters), sorted(&walk.census.adopters));
        prop_assert_eq!(ours(&lists), ours(&walk));
        prop_assert_eq!(shown(&lists.plan), shown(&walk.plan));
        prop_assert_eq!(shown(&lists.later), shown(&walk.later));
    }

    /// The verdict of a scan on a process is that of `explain`, also below an adopter that the config names; and what
    /// it does not list is spared. Each is explained by a new inspector, so that no verdict can depend on which
    /// processes were asked about before.
    #[test]
    fn b06_a_scan_and_an_explanation_never_differ(forest in forest(), has_adopter in any::<bool>()) {
        let policy = if has_adopter { adopting() } else { policy() };
        let (machine, seen) = (forest.machine(), forest.seen());
        let survey = look(&machine, &seen, &policy);
        let listed: BTreeMap<Pid, &Judgement> = survey.judgements.iter().map(|j| (j.id.pid, j)).collect();
        let host = FakeHost::new(whereabouts(), machine.clone(), FaultScript::new());
        let context = Context::new(Arc::new(host), policy, Scope::User(Uid(1000)));
        let sightings = sightings(&machine, &seen);
        for pid in machine.processes.keys() {
            let Ok(process) = context.host.open(*pid) else { continue };
            let past = |id: &ProcId| sightings.past(id, &machine.clock);
            let Ok(explained) = Inspector::new(&context).judge(&process, Capacity::Explained, past) else { continue };
            match listed.get(pid) {
                Some(judgement) => {
                    prop_assert_eq!(judgement.verdict, explained.verdict, "{} {:#?}", pid, explained.findings);
                }
                None => prop_assert_eq!(explained.verdict, Verdict::Spare, "{} {:#?}", pid, explained.findings),
            }
        }
    }

    #[test]
    fn judging_twice_says_the_same(forest in forest()) {
        let (machine, seen) = (forest.machine(), forest.seen());
        let (one, two) = (look(&machine, &seen, &policy()), look(&machine, &seen, &policy()));
        prop_assert_eq!(format!("{:?}", one.judgements), format!("{:?}", two.judgements));
        prop_assert_eq!((one.plan, one.later), (two.plan, two.later));
    }

    /// Leaves first, no process twice, no more than the cap, and no tree is split unless it exceeds the cap.
    #[test]
    fn a_plan_is_in_order(forest in forest(), has_cap in any::<bool>()) {
        let machine = forest.machine();
        let (policy, cap) = if has_cap { (capped(), 3) } else { (policy(), 256) };
        let survey = look(&machine, &forest.seen(), &policy);
        let order: Vec<Pid> = survey.plan.targets.iter().map(|t| t.id.pid).collect();
        prop_assert!(order.len() <= cap);
        prop_assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), order.len(), "{:?}", &order);
        for (at, pid) in order.iter().enumerate() {
            let mut above = machine.get(*pid).and_then(|p| p.ppid);
            while let Some(ancestor) = above {
                prop_assert!(!order[..at].contains(&ancestor), "{} before {}: {:?}", ancestor, pid, &order);
                above = machine.get(ancestor).and_then(|p| p.ppid);
            }
        }
        let oracle = Oracle::new(&machine);
        for root in oracle.roots().iter().filter(|r| survey.plan.deferred.iter().any(|d| d.pid == r.pid)) {
            let begun = survey.plan.targets.iter().any(|t| t.root.pid == root.pid);
            prop_assert!(!begun || oracle.tree(root).len() > cap, "{} is in halves: {:?}", root.pid, &order);
        }
        let roots: BTreeSet<Pid> = survey.plan.targets.iter().map(|t| t.id.pid)
            .chain(survey.plan.deferred.iter().map(|d| d.pid)).collect();
        prop_assert!(survey.with("reap").is_subset(&roots), "an orphan is neither planned nor deferred");
    }
}

/// The generated forests contain orphans to end.
#[test]
fn random_trees_have_something_to_end() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut planned, mut trees, mut roles) = (0, 0, BTreeSet::new());
    for _ in 0..1000 {
        let forest = forest().new_tree(&mut runner).unwrap().current();
        let plan = look(&forest.machine(), &forest.seen(), &policy()).plan;
        planned += usize::from(!plan.targets.is_empty());
        trees += usize::from(plan.targets.iter().any(|t| t.root != t.id));
        roles.extend(plan.targets.iter().map(|t| format!("{:?}", t.role)));
    }
    println!("{planned} of 1000 forests have a plan, {trees} of them with trees");
    assert!(planned >= 200 && trees >= 100, "{planned} {trees}");
    assert_eq!(roles.len(), 4, "{roles:?}");
}

trait With {
    fn with(&self, verdict: &str) -> BTreeSet<Pid>;
}

impl With for Survey {
    fn with(&self, verdict: &str) -> BTreeSet<Pid> {
        self.judgements.iter().filter(|j| j.verdict.name() == verdict).map(|j| j.id.pid).collect()
    }
}

/// Whether its own verdict keeps a process out of every tree.
fn is_wanted(j: &Judgement) -> bool {
    let gates = [Gate::User, Gate::Unsupervised, Gate::Unclaimed, Gate::Unprotected];
    j.verdict == Verdict::Unknown || j.verdict == Verdict::Spare && gates.contains(&j.decided_by)
}

fn sorted(pids: &[Pid]) -> BTreeSet<Pid> {
    pids.iter().copied().collect()
}
