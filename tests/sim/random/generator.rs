//! Generates random process trees: parents, sessions, groups, marks, owners, services and oddities of all kinds.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use reaper_platform::fake::{Machine, Process, pid};
use reaper_platform::{Listener, Pid, RuntimeUnit, State, Uid, Why};

use crate::support::{lease, manager, systemd, us};

/// Pids of the forest start here.
const FIRST: i32 = 1000;

#[derive(Debug, Clone)]
struct Node {
    parent: Index,
    program: &'static str,
    marks: Vec<&'static str>,
    says: Vec<&'static str>,
    session: Index,
    group: Index,
    unit: &'static str,
    oddity: &'static str,
    seen: bool,
}

#[derive(Debug, Clone)]
pub struct Forest {
    init: &'static str,
    nodes: Vec<Node>,
    /// Which node is the main process of the service.
    main: Index,
    /// Whether one of them runs us.
    runs_us: Option<Index>,
}

fn node() -> impl Strategy<Value = Node> {
    let program = select(vec![
        "goose",
        "goose",
        "goose",
        "goose",
        "sh",
        "sh",
        "claude",
        "codex",
        "my-agent",
        "sh",
        "bash",
        "npm",
        "vim",
        "tmux",
        "worker",
        "claude daemon",
        "node codex.js",
        "my-agent --stay",
        "postgres",
    ]);
    let mark = select(vec![
        "sprout", "sprout", "sprout", "sprout", "sprout", "buzz", "buzz", "own", "mine", "sprout=0", "none",
    ]);
    let says = select(vec![
        "keep",
        "keep=0",
        "nonce=a",
        "nonce=a",
        "nonce=b",
        "owner dead",
        "owner dead",
        "owner live",
        "owner odd",
        "owner pid dead",
        "owner pid live",
        "executed",
        "parent executed",
        "listens",
    ]);
    let unit = select(vec!["", "", "", "", "", "", "a.service", "unknown.service", "b.scope"]);
    let oddity = select(vec!["zombie", "closed", "wiped", "cut", "uid", "saved uid", "namespace"]);
    let often = |p: f64, strategy| proptest::option::weighted(1.0 - p, strategy);
    (
        (any::<Index>(), program, mark.clone(), often(0.8, mark)),
        (often(0.6, says.clone()), often(0.8, says)),
        (any::<Index>(), any::<Index>(), unit, often(0.85, oddity), prop::bool::weighted(0.8)),
    )
        .prop_map(
            |((parent, program, mark, other), (says, more), (session, group, unit, oddity, seen))| {
                let marks = std::iter::once(mark).chain(other).collect();
                let says = says.into_iter().chain(more).collect();
                let oddity = oddity.unwrap_or_default();
                Node { parent, program, marks, says, session, group, unit, oddity, seen }
            },
        )
}

pub fn forest() -> impl Strategy<Value = Forest> {
    let init = select(vec!["systemd", "systemd", "pause", "tini", "tini -- worker", "node server.js"]);
    let nodes = proptest::collection::vec(node(), 1..24);
    (init, nodes, any::<Index>(), proptest::option::weighted(0.2, any::<Index>()))
        .prop_map(|(init, nodes, main, runs_us)| Forest { init, nodes, main, runs_us })
}

impl Node {
    /// Its parent: often init or the user's manager, else the live app, none, a node before it, or the one right before
    /// it, so that wrappers often have one child and no more.
    fn parent(&self, at: usize) -> i32 {
        let (before, all) = (i32::try_from(at).unwrap(), i32::try_from(at.max(1)).unwrap());
        match self.parent.index(8 + 4 * at) {
            0..=4 => 1,
            5 => 50,
            6 => 300,
            7 => 0,
            earlier if earlier < 8 + 2 * at => FIRST + (i32::try_from(earlier).unwrap() - 8) % all,
            _ => FIRST + before - 1,
        }
    }

    fn process(&self, at: usize) -> Process {
        let number = FIRST + i32::try_from(at).unwrap();
        let mut words = self.program.split(' ');
        let mut p = Process::new(number, words.next().unwrap()).args(&words.collect::<Vec<_>>());
        p = p.child_of(self.parent(at)).started(2000 + at as u64);
        let leader = |choice: &Index| match choice.index(12 + at) {
            0..=7 => 90_000,
            8..=10 => number,
            11 => 300,
            earlier => FIRST + i32::try_from(earlier).unwrap() - 12,
        };
        p = p.session(leader(&self.session)).group(leader(&self.group));
        for mark in &self.marks {
            p = match *mark {
                "sprout" => p.env("SPROUT_MANAGED_AGENT", "1"),
                "sprout=0" => p.env("SPROUT_MANAGED_AGENT", "0"),
                "buzz" => p.env("BUZZ_MANAGED_AGENT", "app"),
                "own" => p.env("REAPER_MANAGED", "1"),
                "mine" => p.env("MINE", "on"),
                _ => p,
            };
        }
        for says in &self.says {
            p = match *says {
                "keep" => p.env("REAPER_KEEP", "1"),
                "keep=0" => p.env("REAPER_KEEP", "off"),
                "nonce=a" => p.env("BUZZ_MANAGED_AGENT_START_NONCE", "a"),
                "nonce=b" => p.env("BUZZ_MANAGED_AGENT_START_NONCE", "b"),
                "owner dead" => p.env("REAPER_OWNER", &lease(77_777, 5)),
                "owner live" => p.env("REAPER_OWNER", &lease(300, 1_300)),
                "owner odd" => p.env("REAPER_OWNER", "300"),
                "owner pid dead" => p.env("MINE_PID", "77777"),
                "owner pid live" => p.env("MINE_PID", "300"),
                "executed" => p.env("SYSTEMD_EXEC_PID", &number.to_string()),
                "listens" => p.listening([Listener::Tcp(3000)]),
                _ => p.env("SYSTEMD_EXEC_PID", &self.parent(at).to_string()),
            };
        }
        if !self.unit.is_empty() {
            p = p.unit(self.unit, Some(1000));
        }
        match self.oddity {
            "zombie" => p.state = State(b'Z'),
            "closed" => p.closed = Some(Why::Denied),
            "wiped" => p.environ.fill(0),
            "cut" => p.environ.truncate(20),
            "uid" => p = p.uid(1001),
            "saved uid" => p.ids.saved = Uid(0),
            "namespace" => p.ids.same_pid_namespace = false,
            _ => {}
        }
        p
    }
}

impl Forest {
    pub fn machine(&self) -> Machine {
        let mut words = self.init.split(' ');
        let init = match words.next().unwrap() {
            "systemd" => systemd(),
            other => Process::new(1, other).child_of(0).leader().started(0).args(&words.collect::<Vec<_>>()),
        };
        let app = Process::new(300, "app").child_of(50).leader();
        let nodes: Vec<Process> = self.nodes.iter().enumerate().map(|(at, n)| n.process(at)).collect();
        let mut us = us();
        if let Some(node) = self.runs_us {
            us[1].ppid = Some(node.get(&nodes).pid);
        }
        let unit = RuntimeUnit { name: "a.service".to_owned(), user: Some(Uid(1000)) };
        let main = self.main.get(&nodes).pid;
        let mut machine = Machine::of([init, manager(), app].into_iter().chain(us).chain(nodes));
        // The dead have no children: those went to an adopter.
        let dead: Vec<Pid> = machine.processes.values().filter(|p| p.is_dead()).map(|p| p.pid).collect();
        for child in machine.processes.values_mut() {
            if child.ppid.is_some_and(|p| dead.contains(&p)) {
                child.ppid = Some(Pid::INIT);
            }
        }
        machine.answer_for(unit, Some(main), None);
        machine.step = Duration::ZERO;
        machine
    }

    /// The nodes that were seen orphaned a minute ago.
    pub fn seen(&self) -> BTreeSet<Pid> {
        let nodes = self.nodes.iter().enumerate().filter(|(_, n)| n.seen);
        nodes.map(|(at, _)| pid(FIRST + i32::try_from(at).unwrap())).collect()
    }
}
