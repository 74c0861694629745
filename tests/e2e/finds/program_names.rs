//! Programs that cannot be recognised by a single name, and names meant to attack a terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use reaper_testkit::{PidNamespace, ProcessRef, ProcessSet, in_namespace, test_name};

use super::support::{act, agent, hatch_geese, home, lease, look, reaper, verdict};
use crate::common::{Ran, set_mode, state_dir};

#[test]
fn m06_a_program_is_recognised_by_any_of_its_names() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let node = |script: &str| agent(&processes, "node").args([script]);
        let found = [
            // A comm holds 15 bytes; this name has 16.
            agent(&processes, "claude-agent-acp"),
            // Named after its version, as its installer does.
            agent(&processes, "2.1.197").argv(["claude"]),
            agent(&processes, "2.1.198")
                .exe_dir(processes.directory().join("share/claude/versions"))
                .argv(["x"]),
            // Scripts, their shims and packages.
            node("/usr/lib/node_modules/.bin/codex-acp").behave("comm=MainThread"),
            node("/usr/lib/node_modules/@x/gemini/dist/index.js"),
            node("/usr/lib/node_modules/qwen/cli.js").argv(["node", "--no-warnings", "/l/qwen/cli.js"]),
            agent(&processes, "bun").args(["run", "/l/opencode/index.ts"]),
            agent(&processes, "python3.12").argv(["python", "/x/bin/claude-agent-acp"]),
            agent(&processes, "python3.12").argv(["python", "-m", "claude_agent_acp"]),
            // process.title = "claude": comm and arguments say claude, the executable says node.
            node("/l/cli.js").behave("comm=claude;title=claude"),
            node("/l/index.js").behave("title=pi"),
            // Missing in other lists.
            agent(&processes, "opencode").args(["serve"]),
            agent(&processes, "goose").argv(["/usr/local/bin/goose", "acp"]),
        ];
        let found: Vec<ProcessRef> = found.iter().map(|spec| spec.orphan_of_dead_leader()).collect();
        // Nothing but its executable names this one, and that is gone.
        let deleted = agent(&processes, "copilot").argv(["x"]).behave("comm=x").orphan_of_dead_leader();
        fs::remove_file(deleted.exe().unwrap()).unwrap();
        assert!(deleted.exe().unwrap().as_os_str().as_bytes().ends_with(b" (deleted)"));
        let ran = act(&processes).run().expect_code(0);
        for one in found.iter().chain([&deleted]) {
            assert_eq!(ran.outcome(one.pid), "exited", "{:?} in {}", one.cmdline(), ran.stdout);
        }
    });
}

#[test]
fn m06_a_stamped_shell_loop_is_found() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let launcher = processes.spec("my-launcher").child();
        let stamped = processes.spec("sh").args(["-c", "while :; do sleep 1; done"]);
        let stamped = stamped.env("REAPER_MANAGED", "1").env("REAPER_OWNER", lease(&launcher)).by(&launcher);
        let loops = stamped.orphan_in_session();
        assert_eq!(look(&processes).run().expect_code(0).verdict(loops.pid), verdict("spare", "unclaimed"));
        launcher.kill();
        assert_eq!(act(&processes).run().expect_code(0).outcome(loops.pid), "exited");
    });
}

#[test]
fn m08_one_profile_knows_old_and_new_marker_names() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let config = home(&processes).join(".config/reaper");
        reaper(&processes, &["config", "path"]).run();
        fs::create_dir_all(&config).unwrap();
        let text = "[[profile]]\nname = \"mine\"\nmarkers = [\"OLD_MARK\", \"NEW_MARK\", \"THIRD=x\"]\n\
                    programs = [\"my-agent\"]\n";
        fs::write(config.join("config.toml"), text).unwrap();
        set_mode(&config.join("config.toml"), 0o600);
        let mine = processes.spec("my-agent");
        let found = ["OLD_MARK=1", "NEW_MARK=com.example.app", "THIRD=x"]
            .map(|entry| mine.clone().env_raw(entry).orphan_of_dead_leader());
        let other = mine.clone().env("THIRD", "y").env("OLD_MARK", "0").orphan_of_dead_leader();
        // The launcher of the built-in profiles was renamed; so was its marker.
        let renamed = processes.spec("goose").env("BUZZ_MANAGED_AGENT", "xyz.app").orphan_of_dead_leader();
        let ran = act(&processes).run().expect_code(0);
        for one in found.iter().chain([&renamed]) {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
        }
        assert!(other.is_alive());
    });
}

#[test]
fn m09_an_exec_after_the_first_sighting_does_not_hide_an_orphan() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let next = processes.spec("codex-acp").child().exe().unwrap();
        let orphan = agent(&processes, "codex").behave(format!("exec-on-usr1={}", next.display()));
        let orphan = orphan.orphan_of_dead_leader();
        let mut command =
            reaper(&processes, &["scan", "--yes", "--grace", "2s", "--format", "json"]).command();
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It has been seen under its first name, and its grace runs.
        let sightings = state_dir(&home(&processes)).join("sightings.json");
        let seen = |one: &ProcessRef| {
            fs::read_to_string(&sightings).is_ok_and(|text| text.contains(&format!("\"pid\":{},", one.pid)))
        };
        assert!(orphan.wait_until(seen));
        orphan.signal(rustix::process::Signal::USR1.as_raw()).unwrap();
        assert!(orphan.wait_until(|one| one.comm() == "codex-acp"));
        let ran = Ran::from(run.wait_with_output().unwrap()).expect_code(0);
        let judgement = ran.judgement(orphan.pid).unwrap();
        assert_eq!(judgement["program"], "codex-acp", "{judgement}");
        assert!(judgement["orphaned_s"].as_f64().unwrap() >= 2.0, "{judgement}");
        assert_eq!(ran.outcome(orphan.pid), "exited");
    });
}

#[test]
fn m10_names_with_spaces_and_parentheses_do_not_shift_stat_fields() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let comms = ["goose) R 1 1", ") S 7 7 7 7 (", "((((", "a b\tc\nd", "goose: a (b) c"];
        let found = comms
            .map(|comm| agent(&processes, "goose").behave(format!("comm={comm}")).orphan_of_dead_leader());
        let ticks: Vec<u64> = found.iter().map(ProcessRef::start_ticks).collect();
        let ran = act(&processes).run().expect_code(0);
        let history = fs::read_to_string(state_dir(&home(&processes)).join("history.jsonl")).unwrap();
        for (one, ticks) in found.iter().zip(ticks) {
            assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
            // The start as the kernel counts it: a time of day would drift with the clock.
            assert!(history.contains(&format!("\"pid\":{},\"start_ticks\":{ticks},", one.pid)), "{history}");
        }
    });
}

/// The output of every command on these is free of control characters; returns all of it, JSON and table first.
/// They end; `left` below one of them stays and is named.
fn found_and_shown_escaped(processes: &ProcessSet, hostile: &[ProcessRef], left: &ProcessRef) -> Vec<String> {
    let mut shown = Vec::new();
    for format in [&["--format", "json"][..], &["--format", "table"], &["-v"], &["-v", "--color", "always"]] {
        let args = [&["scan", "--dry-run", "--all", "--grace", "0s"], format].concat();
        let text = reaper(processes, &args).run().expect_code(0).stdout;
        shown.push(if format.contains(&"always") { without_colours(&text) } else { text });
    }
    for one in hostile.iter().chain([left]) {
        shown.push(reaper(processes, &["explain", &one.pid.to_string()]).run().expect_code(0).stdout);
    }
    let ran = act(processes).run().expect_code(0);
    for one in hostile {
        assert_eq!(ran.outcome(one.pid), "exited", "{}", ran.stdout);
    }
    assert_eq!(ran.json()["left_alone"][0]["pid"], left.pid);
    shown.push(ran.stdout);
    shown.push(fs::read_to_string(state_dir(&home(processes)).join("history.jsonl")).unwrap());
    for text in &shown {
        let raw: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert_eq!(raw, [], "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
    }
    shown
}

#[test]
fn m15_agents_with_deleted_replaced_or_oddly_placed_executables_are_found() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        hatch_geese(&processes);
        let dir = |name: &[u8]| processes.directory().join(OsStr::from_bytes(name));
        let goose = agent(&processes, "goose");
        let replaced = agent(&processes, "claude").orphan_of_dead_leader();
        let path = replaced.exe().unwrap();
        fs::copy(&path, path.with_extension("new")).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        let hostile = [
            replaced,
            goose.clone().exe_dir(dir(b"with space/and more")).orphan_of_dead_leader(),
            goose.clone().exe_dir(dir(b"new\nline\r/\x1b[31mred\x07")).orphan_of_dead_leader(),
            goose.clone().exe_dir(dir(b"\xff\xfe not utf-8")).orphan_of_dead_leader(),
            agent(&processes, "goose-\u{202e}acp\u{1b}[2J").orphan_of_dead_leader(),
        ];
        let left = processes.spec("helper\u{1b}[2J\u{9b}1m").under(&hostile[0]);
        let shown = found_and_shown_escaped(&processes, &hostile, &left);
        assert!(shown[0].contains(r"new\\nline\\r/\\x1b[31mred\\x07/goose"), "{}", shown[0]);
        assert!(shown[1].contains(r"helper\x1b[2J\u{9b}1m"), "{}", shown[1]);
    });
}

#[test]
fn r08_escape_sequences_in_arguments_and_titles_reach_no_terminal() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        hatch_geese(&processes);
        let title = OsStr::from_bytes(b"\x1b]0;owned\x07\x1b[2J\x9b2J\r\n");
        let goose = agent(&processes, "goose");
        let hostile = [
            goose.clone().args([title]).behave("comm=\u{1b}[1mx").orphan_of_dead_leader(),
            goose.clone().behave("title=goose\u{1b}[2J --x").orphan_of_dead_leader(),
            agent(&processes, "node").args(["/x\u{1b}]0;y\u{7}/goose-\u{1b}[5m.js"]).orphan_of_dead_leader(),
        ];
        let left = processes.spec("sleep").argv([title]).behave("comm=\u{1b}c\u{7}").under(&hostile[0]);
        let shown = found_and_shown_escaped(&processes, &hostile, &left);
        assert!(shown[1].contains(r"goose-\x1b[5m"), "{}", shown[1]);
    });
}

/// Takes away our own colours: `ESC [ digits m`, and nothing else.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        if after[end..].starts_with('m') {
            rest = &after[end + 1..];
        } else {
            plain.push('\u{1b}');
            rest = after;
        }
    }
    plain + rest
}
