//! Random process trees, in which processes are killed at random, under a service that is killed at random. Every
//! exit is recorded by the parent, and must be correct.
//!
//! `SOAK_SECONDS=SECONDS` says for how long, `SOAK_SEED=NUMBER` runs the same process trees again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessSet, ProcessSpec, Shape, in_namespace, measured, sys, test_name};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::service_process::{Running, Service};
use super::soak_ledger::{Birth, Ledger};
use crate::common::one_heavy_test;

const RECORD: &str = "/run/testkit/deaths";
const GRACE: Duration = Duration::from_secs(1);
/// Most processes at a time.
const CROWD: usize = 120;

/// Names, and whether they are an agent's.
const NAMES: [(&str, bool); 12] = [
    ("goose", true),
    ("claude", true),
    ("codex-acp", true),
    ("gemini", true),
    ("mongoose", false),
    ("gooses", false),
    ("node", false),
    ("esbuild", false),
    ("sh", false),
    ("npm", false),
    ("tmux", false),
    ("cargo", false),
];

/// A small generator of our own, so that a seed means the same forest everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

struct Forest<'a> {
    processes: &'a ProcessSet,
    dice: Dice,
    ledger: Ledger,
}

impl Forest<'_> {
    /// Those that can be asked to spawn: alive, and not about to die of a signal.
    fn living(&self) -> Vec<usize> {
        let ledger = &self.ledger;
        (1..ledger.births.len())
            .filter(|&who| !ledger.ours[who] && ledger.births[who].alive.is_alive())
            .collect()
    }

    fn spawn(&mut self) {
        let living = self.living();
        let parent =
            if living.is_empty() || self.dice.one_in(4) { 0 } else { living[self.dice.roll(living.len())] };
        let shape = match self.dice.roll(8) {
            _ if parent == 0 => Shape::Child,
            0 => Shape::Orphan,
            1 => Shape::OrphanInSession,
            2 => Shape::OrphanOfDeadLeader,
            3 => Shape::OrphanDoubleFork,
            _ => Shape::Child,
        };
        let (name, is_agent) =
            if parent == 0 { ("sprout-app", false) } else { NAMES[self.dice.roll(NAMES.len())] };
        let mut spec = self.processes.spec(name).behave(format!("deaths={RECORD}"));
        // The children of PID 1 are launchers: they are never marked, so never orphans themselves.
        let is_marked = parent != 0 && !self.dice.one_in(3);
        let (mut is_protected, mut is_kept) = (name == "tmux", false);
        if is_marked {
            spec = spec.env("SPROUT_MANAGED_AGENT", "1");
            if self.dice.one_in(8) {
                (spec, is_protected, is_kept) = (spec.env("REAPER_KEEP", "1"), true, true);
            }
        } else if self.dice.one_in(3) {
            spec = spec.env(["XSPROUT_MANAGED_AGENT", "SPROUT_MANAGED_AGENT_X"][self.dice.roll(2)], "1");
        } else if self.dice.one_in(3) {
            spec = spec.env("SPROUT_MANAGED_AGENT", "0").args(["SPROUT_MANAGED_AGENT=1"]);
        }
        let words = match self.dice.roll(8) {
            0 => "ignore-term",
            1 => "exit-after=300",
            2 => "fork-on-term",
            3 if !is_marked => "comm=goose",
            _ => "",
        };
        if parent == 0 || self.dice.one_in(4) {
            spec = spec.own_session();
        } else if self.dice.one_in(4) {
            spec = spec.own_group();
        }
        let spec = spec.behave(words).by(&self.ledger.births[parent].alive.clone());
        self.enter(&spec, shape, parent, (name, is_agent), [is_marked, is_protected, is_kept]);
    }

    fn enter(
        &mut self,
        spec: &ProcessSpec,
        shape: Shape,
        parent: usize,
        (name, is_agent): (&'static str, bool),
        [is_marked, is_protected, is_kept]: [bool; 3],
    ) {
        let born_ns = sys::monotonic_ns();
        // The spawner may die while it is being asked.
        let Ok(alive) = spec.spawn(shape) else { return };
        let (group, session) = (alive.pgid(), alive.sid());
        let is_wrapper = is_marked && matches!(name, "sh" | "npm");
        let is_left = shape != Shape::Child;
        self.ledger.enter(Birth {
            alive,
            name,
            parent,
            is_left,
            is_marked,
            is_agent,
            is_protected,
            is_kept,
            is_wrapper,
            group,
            session,
            born_ns,
        });
    }

    fn kill_one(&mut self) {
        let living = self.living();
        if living.is_empty() {
            return;
        }
        let who = living[self.dice.roll(living.len())];
        self.ledger.ours[who] = true;
        drop(self.ledger.births[who].alive.signal(9));
    }
}

/// The pids that the history names.
fn recorded_pids(service: &Service) -> BTreeSet<i64> {
    service.history().iter().filter_map(|record| record["pid"].as_i64()).collect()
}

#[test]
fn in_random_process_trees_only_marked_orphans_are_signalled() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(number("SOAK_SECONDS").unwrap_or(20));
    let seed = number("SOAK_SEED").unwrap_or_else(sys::monotonic_ns);
    let namespace = PidNamespace::new()
        .systemd()
        .init_behaves(format!("deaths={RECORD}"))
        .timeout(time + 4 * super::service_process::SOON);
    let namespace = namespace.env("SOAK_SEED", seed.to_string());
    let _heavy = one_heavy_test();
    in_namespace(&namespace, test_name!(), || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        std::fs::write(RECORD, "").unwrap();
        let processes = ProcessSet::new();
        let mut forest = Forest { processes: &processes, dice: Dice(seed | 1), ledger: Ledger::default() };
        forest.ledger.enter(Birth {
            alive: processes.init(),
            name: "systemd",
            parent: 0,
            is_left: false,
            is_marked: false,
            is_agent: false,
            is_protected: true,
            is_kept: false,
            is_wrapper: false,
            group: 0,
            session: 0,
            born_ns: 0,
        });
        let service = Service::new(&processes.directory().join("home")).set("interval", "500ms");
        let mut running: Running = service.set("term-timeout", "1s").arg("--paranoid").start();
        let began = Instant::now();
        let mut restarts = 0;
        while began.elapsed() < time {
            match forest.dice.roll(100) {
                0 => {
                    running = running.crash().start();
                    restarts += 1;
                }
                1..=15 => forest.kill_one(),
                _ if forest.living().len() < CROWD => forest.spawn(),
                _ => forest.kill_one(),
            }
            std::thread::sleep(Duration::from_millis(u64::try_from(forest.dice.roll(40)).unwrap()));
        }
        // After three graces and escalations without changes everything that had to end has ended.
        std::thread::sleep(6 * GRACE);
        let now = sys::monotonic_ns();
        let mut ledger = forest.ledger;
        ledger.read(&std::fs::read_to_string(RECORD).unwrap());
        let [born, ours, theirs] = ledger.counts();
        measured(&format!(
            "{born} processes, {ours} ended by chance, {theirs} by the service; {restarts} restarts; seed {seed}"
        ));
        let wrong = ledger.wrong_deaths(GRACE);
        let said = || format!("{}\n{}", running.accounts(), running.log_text());
        assert!(wrong.is_empty(), "seed {seed}\n{}\n{}", wrong.join("\n"), said());
        let forgotten = ledger.forgotten(now);
        assert!(forgotten.is_empty(), "seed {seed}\n{}\n{}", forgotten.join("\n"), running.log_text());
        let differences = running.log_text().contains("a stateless sweep comes to another verdict");
        assert!(!differences, "seed {seed}\n{}", running.log_text());
        assert!(theirs > 0 && recorded_pids(&running).len() >= theirs, "every one of them is in the history");
        running.stop();
    });
}
