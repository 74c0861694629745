//! The prompt on a terminal: what is shown before it accepts a yes. The answers are tested in
//! `tests/e2e/finds/terminal.rs`.

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, Terminal, in_namespace, test_name};

use crate::common::Reaper;

/// A marked orphan with a child, and `reaper LINE` on a terminal.
fn asked(processes: &ProcessSet, line: &str) -> (Terminal, [ProcessRef; 2]) {
    let agent = |name: &str| processes.spec(name).env("SPROUT_MANAGED_AGENT", "1");
    let root = agent("goose").orphan_of_dead_leader();
    let child = agent("my-tool").under(&root);
    let reaper = Reaper::new(&processes.directory().join("home"), line.split(' ')).env("TERM", "xterm");
    let mut terminal = Terminal::run(reaper.command(), 120).unwrap();
    terminal.wait_for("[y/N] ");
    (terminal, [root, child])
}

#[test]
fn the_question_names_the_whole_extent() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        for (grace, said) in [("0s", ")? [y/N]"), ("1h", "), once grace is over? [y/N]")] {
            let processes = ProcessSet::new();
            let (mut terminal, agents) = asked(&processes, &format!("scan --grace {grace}"));
            terminal.press("n\n");
            let (status, shown) = terminal.finish();
            assert!(
                shown.contains("End 1 orphan, 2 processes in all (about ") && shown.contains(said),
                "{shown}"
            );
            assert!(status.success() && agents.iter().all(ProcessRef::is_alive));
        }
    });
}

#[test]
fn the_question_comes_after_the_list() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (mut terminal, agents) = asked(&processes, "scan --grace 0s --format json");
        terminal.wait_for("goose +1");
        terminal.press("n\n");
        let (status, shown) = terminal.finish();
        assert!(shown.find("goose +1") < shown.find("[y/N]"), "{shown}");
        assert!(
            shown.contains("\"schema\":\"reaper.scan/1\""),
            "no answer is left without its document: {shown}"
        );
        assert!(status.success() && agents.iter().all(ProcessRef::is_alive));
    });
}

#[test]
fn w08_a_yes_covers_only_what_was_listed() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (mut terminal, agents) = asked(&processes, "scan --grace 0s --format json");
        // No grace protects it, and it is found by the survey after the answer.
        let late = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        terminal.press("y\n");
        let (status, shown) = terminal.finish();
        // Right behind the live line, which was wiped.
        let document = &shown[shown.find("{\"schema\"").expect(&shown)..];
        let report: serde_json::Value = serde_json::from_str(document.trim_end()).unwrap();
        let judgements = report["judgements"].as_array().unwrap();
        let judged = judgements.iter().find(|one| one["pid"] == late.pid).expect("it was seen");
        assert_eq!((&judged["verdict"], &judged["decided_by"]), (&"reap".into(), &"grace".into()), "{shown}");
        assert!(status.success() && report["summary"]["exited"] == 2, "{shown}");
        assert!(late.is_alive() && agents.iter().all(|agent| !agent.is_alive()), "{shown}");
    });
}
