//! B3a, B5, B17a, B21a: how the processes below, beside and above a process affect its verdict.

use reaper_platform::fake::{FakeHost, FaultScript, Machine, Process, pid};
use reaper_platform::{Host as _, Listener};

use super::scenarios::{buzz, sprout, world};
use crate::support::sweep::{Run, scan};
use crate::support::{lease, policy, policy_with, whereabouts};

/// A process with the lease of a dead launcher.
fn own(number: i32, program: &str) -> Process {
    let lease = format!("{}:{}", lease(4_000, 5), whereabouts().pid_namespace);
    Process::new(number, program).env("REAPER_MANAGED", "1").env("REAPER_OWNER", &lease)
}

fn listening(process: Process) -> Process {
    process.listening([Listener::Tcp(5173)])
}

fn signalled(machine: &Machine) -> Vec<i32> {
    scan(machine, &policy()).signalled()
}

#[test]
fn b03a_a_process_that_must_stay_spares_the_wrappers_above_it() {
    // npm run dev > sh > vite; timeout > tmux; pnpm > postgres: each root an orphan of a dead launcher.
    let trees = [
        vec![own(400, "npm"), own(401, "sh").child_of(400), listening(own(402, "vite").child_of(401))],
        vec![own(400, "timeout"), own(401, "tmux").child_of(400)],
        vec![own(400, "pnpm"), own(401, "postgres").child_of(400)],
        vec![own(400, "sh"), own(401, "worker").child_of(400).env("REAPER_KEEP", "1")],
        vec![own(400, "sh"), own(401, "worker").child_of(400).args(&["--daemon"])],
        // However far below, and below a process without any marker.
        vec![
            own(400, "npm"),
            Process::new(401, "less").child_of(400),
            own(402, "redis-server").child_of(401),
        ],
    ];
    for tree in trees {
        let run = scan(&world(tree.clone()), &policy());
        assert_eq!(run.signalled(), [0; 0], "{:?}", tree.last());
        assert_eq!(run.verdict(400), "spare unprotected", "{:?}", tree.last());
        let evidence = &run
            .last
            .or(run.first)
            .unwrap()
            .judgements
            .iter()
            .find(|j| j.id.pid == pid(400))
            .unwrap()
            .clone();
        assert!(evidence.reason().contains("below it"), "{}", evidence.reason());
        // The same without what stays is ended.
        let all_but_one: Vec<Process> = tree[..tree.len() - 1].to_vec();
        assert!(signalled(&world(all_but_one)).contains(&400));
    }
}

#[test]
fn b03a_an_agent_ends_and_a_listener_below_it_keeps_its_wrappers() {
    let line = [
        sprout(400, "npm").group(400),
        sprout(401, "claude").child_of(400).group(400),
        listening(sprout(402, "vite").child_of(401).leader()),
    ];
    let run = scan(&world(line), &policy());
    let plan = run.last.as_ref().unwrap().plan.clone();
    let planned: Vec<i32> = plan.targets.iter().map(|t| t.id.pid.get()).collect();
    let left: Vec<i32> = plan.left_alone.iter().map(|l| l.id.pid.get()).collect();
    assert_eq!((planned, left), (vec![401], vec![402, 400]));
    // Once the agent has ended, the server hangs below npm no more, and npm is a leftover like any.
    assert_eq!(run.signalled(), [401, 400]);
    let mut still = plan.left_alone;
    let host = FakeHost::new(whereabouts(), run.log.states.last().unwrap().1.clone(), FaultScript::new());
    reaper_engine::sweep::still_left_alone(&host, &mut still, &run.ended);
    assert_eq!(still.iter().map(|l| (l.id.pid.get(), l.has_ended)).collect::<Vec<_>>(), [(402, false)]);
    // An agent that listens itself is ended; so it is where the settings keep no listeners.
    assert_eq!(signalled(&world([listening(sprout(400, "opencode"))])), [400]);
    let server = [sprout(400, "claude"), listening(sprout(401, "vite").child_of(400).leader())];
    let anyway = policy_with("keep-listeners = false");
    assert_eq!(scan(&world(server), &anyway).signalled(), [401, 400]);
}

#[test]
fn b03_daemons_for_the_person_are_protected_under_a_profile_for_any_program() {
    for (program, args) in [
        ("postgres", &[][..]),
        ("redis-server", &[]),
        ("ollama", &["serve"]),
        ("turbo", &["daemon"]),
        ("firefox", &["https://login.example"]),
        ("chrome", &["--user-data-dir=/home/u/.cache/ms-playwright/mcp-chrome-9f8e7d6"]),
        ("chrome", &["https://example.org/playwright_chromiumdev_profile-docs"]),
        ("chrome", &["/home/u/puppeteer_dev_chrome_profile-notes.html"]),
        ("code", &["."]),
        ("worker", &["--daemon"]),
        ("worker", &["--detached"]),
        ("node", &["/w/node_modules/nx/src/daemon/server/start.js"]),
    ] {
        assert_eq!(signalled(&world([own(400, program).args(args)])), [0; 0], "{program} {args:?}");
    }
    assert_eq!(signalled(&world([listening(own(400, "next-server"))])), [0; 0]);
    let pm2 = Process { argv: vec![b"PM2 v7.0.1: God Daemon (/home/u/.pm2)".to_vec()], ..own(400, "node") };
    let app = own(401, "node").args(&["/srv/app.js"]).child_of(400).leader();
    assert_eq!(signalled(&world([pm2, app])), [0; 0], "nor what pm2 keeps");
}

#[test]
fn b04_servers_only_the_launcher_used_end_under_a_profile_for_any_program() {
    for (program, args) in [
        ("esbuild", &["--watch"][..]),
        ("node", &["/p/mcp-server/cli.js"]),
        ("chrome", &["--headless=new", "--user-data-dir=/home/u/.cache/ms-playwright/mcp-chrome-1a2b3c4"]),
        ("chrome", &["--user-data-dir=/tmp/puppeteer_dev_chrome_profile-AbC123"]),
        ("chrome-headless-shell", &["--user-data-dir=/home/u/x"]),
        ("camoufox-bin", &["-headless", "-profile", "/tmp/playwright_firefoxdev_profile-Hh"]),
        ("cursor-agent", &[]),
        ("goose", &[]),
        ("node", &["/p/postgres-mcp.js"]),
        ("node", &["/p/chrome-devtools-mcp.js", "--headless"]),
    ] {
        let run = scan(&world([own(400, program).args(args)]), &policy());
        assert_eq!(run.signalled(), [400], "{program} {args:?}: {}", run.verdict(400));
    }
    assert_eq!(signalled(&world([listening(own(400, "goose"))])), [400], "an agent that listens is an agent");
    let server = listening(own(400, "node").args(&["/p/chrome-devtools-mcp.js", "--headless"]));
    assert_eq!(signalled(&world([server])), [0; 0], "a server is no browser, whatever its options");
    let headless = listening(own(400, "chrome").args(&["--headless", "--remote-debugging-port=0"]));
    assert_eq!(signalled(&world([headless])), [400], "nothing looks at it");
}

#[test]
fn b04a_a_desktop_scope_protects_what_it_was_made_for() {
    let scoped =
        |number: i32| own(400, "viewer").unit(&format!("app-gnome-viewer-{number}.scope"), Some(1000));
    assert_eq!(signalled(&world([scoped(400)])), [0; 0], "its own");
    assert_eq!(
        signalled(&world([scoped(401), own(401, "part").child_of(400)])),
        [0; 0],
        "that of a part of it"
    );
    assert_eq!(signalled(&world([scoped(700)])), [400], "the terminal's that it was typed in");
    assert_eq!(signalled(&world([scoped(399)])), [400], "of one that is gone");
}

#[test]
fn b05_a_child_that_a_configured_adopter_started_is_no_orphan() {
    let adopting = policy_with("adopters = [\"omnigent\"]");
    let host = || Process::new(500, "python3").args(&["/u/omnigent", "host"]).child_of(50).leader().adopts();
    let runner = || Process::new(510, "python3").args(&["/u/omnigent-runner"]).child_of(500).leader();
    let codex = |number: i32| sprout(number, "codex").child_of(500);
    let machine = world([
        host(),
        runner(),
        codex(520).session(500).group(500),
        codex(530).leader(),
        sprout(540, "codex").child_of(510).session(510).group(510),
        codex(550),
    ]);
    let run = scan(&machine, &adopting);
    assert_eq!(run.signalled(), [550], "only the one in the session of a runner that is dead");
    assert_eq!((run.verdict(520).as_str(), run.verdict(530).as_str()), ("unknown orphan", "unknown orphan"));
    assert_eq!(run.verdict(540), "", "the runner's own has a living parent and is not listed");
    assert_eq!(signalled(&machine), [0; 0], "without the setting it is just a parent");
}

#[test]
fn b17a_a_wrapper_of_several_programs_is_their_host() {
    let two = |first: Process, second: Process| {
        world([sprout(400, "bash").args(&["loop.sh"]), first.child_of(400), second.child_of(400)])
    };
    assert_eq!(signalled(&two(sprout(401, "goose"), sprout(402, "claude"))), [0; 0]);
    assert_eq!(signalled(&two(sprout(401, "goose"), Process::new(402, "cat"))), [401, 400], "one is marked");
    let unread = Process { closed: Some(reaper_platform::Why::Denied), ..Process::new(402, "cat") };
    let run = scan(&two(sprout(401, "goose"), unread), &policy());
    assert_eq!((run.signalled(), run.verdict(401).as_str()), (vec![], "unknown orphan"));
}

/// A host stays one when one of its two programs has ended, as long as that is remembered.
#[test]
fn b17a_a_host_stays_one_when_an_agent_ends() {
    use reaper_engine::context::Context;
    use reaper_engine::sightings::Sightings;
    use reaper_engine::sweep::remember;
    use reaper_engine::tracker::Tracker;
    use reaper_platform::{Scope, Uid};
    let machine = world([
        sprout(400, "bash").args(&["loop.sh"]),
        sprout(401, "goose").child_of(400),
        sprout(402, "claude").child_of(400),
    ]);
    let host = FakeHost::new(whereabouts(), machine, FaultScript::new());
    let context = Context::new(std::sync::Arc::new(host.clone()), policy(), Scope::User(Uid(1000)));
    let mut sightings = Sightings::default();
    let look = |sightings: &Sightings| {
        Tracker::survey(&context, sightings, false, crate::support::sweep::PATIENT).unwrap()
    };
    let first = look(&sightings);
    assert!(first.orphans().next().is_none());
    remember(&context, &first, &mut sightings);
    host.change(|machine| machine.exit(pid(402)));
    assert!(look(&sightings).orphans().next().is_none(), "it runs one program now, and is still a host");
    assert_eq!(look(&Sightings::default()).orphans().count(), 1, "which only memory can tell");
    // The file of sightings keeps it.
    let bytes = sightings.render(context.host.info());
    let read = Sightings::parse(&bytes, context.host.info(), &host.clock()).unwrap();
    assert!(look(&read).orphans().next().is_none());
}

#[test]
fn b21a_two_marked_trees_of_a_dead_run_do_not_keep_each_other() {
    let trees = [
        buzz(400, "goose", "run"),
        buzz(401, "codex", "run").child_of(400).leader(),
        buzz(410, "claude", "run"),
        buzz(411, "rg", "run").child_of(410).leader(),
    ];
    let mut ended = signalled(&world(trees));
    ended.sort_unstable();
    assert_eq!(ended, [400, 401, 410, 411]);
    // Nor does an orphaned multiplexer or key agent with the nonce; what runs in it does.
    assert_eq!(signalled(&world([buzz(400, "goose", "run"), buzz(410, "tmux", "run").leader()])), [400]);
    assert_eq!(signalled(&world([buzz(400, "goose", "run"), buzz(410, "ssh-agent", "run").leader()])), [400]);
    let pane = [buzz(410, "tmux", "run").leader(), buzz(411, "goose", "run").child_of(410).leader()];
    let run = scan(&world([buzz(400, "goose", "run")].into_iter().chain(pane)), &policy());
    assert_eq!((run.signalled(), run.verdict(400).as_str()), (vec![], "spare unclaimed"));
}

#[test]
fn b21a_a_process_that_would_stay_keeps_its_run() {
    let beside = |holder: Process| -> Run { scan(&world([buzz(400, "goose", "run"), holder]), &policy()) };
    for (holder, why) in [
        (buzz(410, "buzz-acp", "run").child_of(300), "does not carry the marker"),
        (buzz(410, "goose", "run").env("REAPER_KEEP", "1"), "asked to be kept"),
        (buzz(410, "claude", "run").args(&["daemon", "run"]), "started on purpose to stay"),
        (buzz(410, "goose", "run").child_of(0), "outside our PID namespace"),
        (Process::new(410, "x").env("BUZZ_MANAGED_AGENT_START_NONCE", "run"), "does not carry the marker"),
    ] {
        let run = beside(holder);
        assert_eq!(run.signalled(), [0; 0], "{why}");
        let last = run.last.or(run.first).unwrap();
        let reason = last.judgements.iter().find(|j| j.id.pid == pid(400)).unwrap().reason().to_owned();
        assert!(reason.contains(why) && reason.contains("pid 410"), "{reason}");
    }
}

/// Parents that change while they are read can form a ring. The climb ends, with `unknown`.
#[test]
fn b21a_a_ring_of_parents_does_not_hang_the_judgement() {
    let ring = [buzz(410, "goose", "run").child_of(411), buzz(411, "goose", "run").child_of(410)];
    let run = scan(&world([buzz(400, "goose", "run")].into_iter().chain(ring)), &policy());
    assert_eq!((run.signalled(), run.verdict(400).as_str()), (vec![], "unknown unclaimed"));
}
