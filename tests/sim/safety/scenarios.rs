//! Machines with something to end, and beside it processes that must not be touched.

use std::time::Duration;

use reaper_platform::fake::{Fault, Machine, Process, Reaction};
use reaper_platform::{Pid, RuntimeUnit, Uid, Why};

use crate::support::{lease, manager, systemd, us};

/// A machine and the result of a sweep without faults.
pub struct Scenario {
    pub name: &'static str,
    pub machine: Machine,
    /// The orphan that the scenario is about.
    pub main: i32,
    /// The processes that faults happen to, whatever call is being made.
    pub members: &'static [i32],
    /// What else can happen here.
    pub extra: Vec<(&'static str, Fault)>,
    /// The pids that are signalled when nothing goes wrong, in order, one entry for each signal.
    pub signalled: &'static [i32],
}

/// A process with the mark of Sprout.
pub fn sprout(number: i32, program: &str) -> Process {
    Process::new(number, program).env("SPROUT_MANAGED_AGENT", "1")
}

/// A process with the mark of Buzz and its run's nonce.
pub fn buzz(number: i32, program: &str, nonce: &str) -> Process {
    Process::new(number, program)
        .env("BUZZ_MANAGED_AGENT", "xyz.block.buzz.app")
        .env("BUZZ_MANAGED_AGENT_START_NONCE", nonce)
}

/// An init, a session, us, and `more`.
fn quiet(more: impl IntoIterator<Item = Process>) -> Machine {
    Machine::of([systemd(), manager()].into_iter().chain(us()).chain(more))
}

/// The same with unrelated processes of all kinds.
pub fn world(more: impl IntoIterator<Item = Process>) -> Machine {
    let live = [
        // A live agent under its launcher, and an unmarked program that has lost its parent.
        Process::new(300, "sprout-app").child_of(50).leader(),
        sprout(310, "goose").child_of(300).session(300).group(310),
        Process::new(320, "goose").session(91_000).group(91_000),
        // Marked, and lost its parent: a multiplexer, one that asked to be kept, one of another user.
        sprout(330, "tmux").leader(),
        sprout(340, "goose").env("REAPER_KEEP", "1"),
        sprout(350, "goose").uid(1001),
    ];
    quiet(live.into_iter().chain(more))
}

/// An orphan without further attributes.
pub fn plain() -> Scenario {
    Scenario {
        name: "plain",
        machine: world([sprout(400, "goose")]),
        main: 400,
        members: &[400],
        extra: Vec::new(),
        signalled: &[400],
    }
}

/// A server below npm and sh, all marked; npm is what init has.
pub fn wrapped() -> Scenario {
    let line = [
        sprout(400, "npm").group(400),
        sprout(401, "sh").child_of(400).group(400),
        sprout(402, "claude-agent-acp").child_of(401).group(400),
        // Beside the server, below the same shell, and unmarked.
        Process::new(403, "vim").child_of(401).group(400),
    ];
    Scenario {
        name: "wrapped",
        machine: quiet(line),
        main: 402,
        members: &[400, 402],
        extra: Vec::new(),
        signalled: &[402, 401, 400],
    }
}

/// An agent with tools in sessions of their own; one ignores SIGTERM, one forks when it ends.
pub fn tree() -> Scenario {
    let grandchild = sprout(431, "rg").session(430).group(430);
    let tree = [
        sprout(400, "goose").group(400).on_term(Reaction::ExitAfter(Duration::from_secs(2))),
        sprout(410, "bash").child_of(400).leader(),
        sprout(411, "make").child_of(410).session(410).group(410).on_term(Reaction::Ignore),
        Process::new(412, "secret-tool").child_of(411).session(410).group(410),
        sprout(413, "cc").child_of(412).session(410).group(410),
        sprout(420, "tmux").child_of(400).leader(),
        sprout(421, "htop").child_of(420).leader(),
        sprout(430, "bash").child_of(400).leader().on_term(Reaction::LeaveChild(Box::new(grandchild))),
        sprout(440, "sudo-helper").child_of(400).uid(0),
    ];
    Scenario {
        name: "tree",
        machine: quiet(tree),
        main: 400,
        members: &[400, 411, 421],
        extra: Vec::new(),
        signalled: &[413, 411, 410, 430, 400, 411, 431],
    }
}

/// Orphans in one process group, and an unmarked process among them.
pub fn group() -> Scenario {
    let group = [
        sprout(400, "codex").group(400).session(91_000),
        sprout(401, "rg").group(400).session(91_000),
        sprout(402, "fd").child_of(401).group(400).session(91_000),
        Process::new(403, "less").group(400).session(91_000),
        // In the group, and its parent lives outside.
        sprout(404, "goose").child_of(300).group(400).session(300),
        Process::new(300, "sprout-app").child_of(50).leader(),
    ];
    Scenario {
        name: "group",
        machine: quiet(group),
        main: 400,
        members: &[400, 401],
        extra: Vec::new(),
        signalled: &[402, 400, 401],
    }
}

/// Two markers: Buzz, one of whose runs lives, and a profile of the user's own.
pub fn families() -> Scenario {
    let many = [
        buzz(400, "goose", "dead-run"),
        buzz(401, "claude", "dead-run").child_of(400),
        // Another run, which lives: its background helper has lost its parent and is in use.
        Process::new(500, "buzz-app").child_of(50).leader(),
        buzz(510, "goose", "live-run").child_of(500).session(500).group(510),
        buzz(520, "claude", "live-run"),
        Process::new(600, "my-agent").env("MINE", "yes").env("MINE_PID", "77777"),
        Process::new(610, "my-agent").env("MINE", "yes").env("MINE_PID", "300"),
        Process::new(620, "my-agent").env("MINE", "yes").args(&["--stay"]),
    ];
    // The run that was dead is alive after all.
    let holder = buzz(530, "goose", "dead-run").child_of(500).session(500).group(530);
    let claim = vec![("claimed by a new owner", Fault::Start(Box::new(holder)))];
    Scenario {
        name: "families",
        machine: world(many),
        main: 400,
        members: &[400, 510],
        extra: claim,
        signalled: &[401, 400, 600],
    }
}

/// The user's `systemd --user` has the orphan; beside it are services with the mark in their environment.
pub fn managed() -> Scenario {
    let at_home = |p: Process| p.child_of(50);
    let units = [
        at_home(sprout(400, "goose")).unit("terminal.scope", Some(1000)),
        at_home(sprout(401, "goose")).unit("agents.service", Some(1000)).leader(),
        at_home(sprout(402, "goose")).unit("agents.service", Some(1000)).session(91_000),
        at_home(sprout(403, "goose")).leader().env("SYSTEMD_EXEC_PID", "403"),
        sprout(404, "goose").unit("system.service", None).leader(),
    ];
    let mut machine = quiet(units);
    let main = |number| Some(reaper_platform::fake::pid(number));
    let unit = |name: &str, user| RuntimeUnit { name: name.to_owned(), user };
    machine.answer_for(unit("agents.service", Some(Uid(1000))), main(401), None);
    machine.answer_for(unit("system.service", None), None, main(404));
    machine.manager = Pid::new(50);
    Scenario {
        name: "managed",
        machine,
        main: 400,
        members: &[400, 402],
        extra: Vec::new(),
        signalled: &[400, 402],
    }
}

/// A container whose PID 1 may have started anything, so that a lease must prove that the owner died.
pub fn leased() -> Scenario {
    let own = |number: i32, owner: String| {
        Process::new(number, "worker").leader().env("REAPER_MANAGED", "1").env("REAPER_OWNER", &owner)
    };
    let pod = [
        Process::new(1, "node").child_of(0).leader().started(0).args(&["server.js"]),
        Process::new(90, "launcher").child_of(1).leader(),
        own(400, lease(4_000, 5)),
        own(401, lease(4_000, 5)).child_of(400).session(400).on_term(Reaction::Ignore),
        own(410, lease(90, 1_090)),
        own(420, "nobody:knows".to_owned()),
        // Reparented without any proof, and one that cannot be read.
        sprout(430, "goose").leader(),
        sprout(440, "goose").closed(Why::Denied),
        Process::new(900, "reaper").child_of(0).leader(),
    ];
    Scenario {
        name: "leased",
        machine: Machine::of(pod),
        main: 400,
        members: &[400, 401],
        extra: Vec::new(),
        signalled: &[401, 400, 401],
    }
}
