//! What launchctl prints on macOS 11 to 15, and output that must be refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

const LIST: &str = "PID\tStatus\tLabel\n\
    612\t0\tcom.apple.Finder\n\
    -\t0\tcom.apple.mdworker.shared\n\
    4242\t-9\thomebrew.mxcl.postgresql@16\n\
    -\t78\tcom.example.broken\n\
    977\t0\tapplication.com.anthropic.claudefordesktop.53958277.53958923\n";

const GUI: &str = "gui/501 = {\n\
    \ttype = login\n\
    \thandle = 100017\n\
    \tactive count = 425\n\
    \tservice count = 4\n\
    \tactive service count = 3\n\
    \tcreator = loginwindow[536]\n\
    \tcreator euid = 0\n\
    \tsession = Aqua\n\
    \tendpoint destination = com.apple.xpc.launchd.domain.user.501\n\
    \tsecurity context = {\n\
    \t\tuid = 501\n\
    \t\tasid = 100017\n\
    \t}\n\
    \n\
    \tbringup time = 64 ms\n\
    \tdeath port = 0x14503\n\
    \n\
    \tenvironment = {\n\
    \t\tSSH_AUTH_SOCK => /private/tmp/com.apple.launchd.tcPrbRORRV/Listeners\n\
    \t}\n\
    \n\
    \tservices = {\n\
    \t\t     887      - \tnet.example.postgresql\n\
    \t\t       0      - \tcom.apple.lskdd\n\
    \t\t       0     78 \tcom.example.broken\n\
    \t\t    4242   (pe) \tcom.example.agent helper\n\
    \t\t       0     -9 \tcom.example.killed\n\
    \t\t   97811      - \tapplication.com.apple.RemoteDesktop.53958277.53958923\n\
    \t}\n\
    \n\
    \tunmanaged processes = {\n\
    \t\tcom.apple.xpc.launchd.unmanaged.Electron.700 = {\n\
    \t\t\tactive count = 1\n\
    \t\t\tdynamic endpoints = {\n\
    \t\t\t}\n\
    \t\t}\n\
    \t}\n\
    \n\
    \tendpoints = {\n\
    \t\t\t 0x2503      M   D   com.apple.tsm.portname\n\
    \t}\n\
    \n\
    \tdisabled services = {\n\
    \t\t\"com.apple.rcd\" => disabled\n\
    \t}\n\
    \n\
    \tproperties = gui | gui login\n\
    }\n";

/// A domain in which nothing runs, as one is made by a login over the network.
const BARE: &str = "user/501 = {\n\ttype = user\n\thandle = 501\n\tactive count = 2\n\tcreator = launchctl[516]\n\
    \tsession = Background\n\n\tservices = {\n\t}\n\n\tunmanaged processes = {\n\t}\n\n\tendpoints = {\n\t}\n\n\
    \tproperties = \n}\n";

/// The head that the system's domain had before macOS 13.
const SYSTEM: &str = "com.apple.xpc.launchd.domain.system = {\n\ttype = system\n\thandle = 0\n\
    \tmaximum allowed shutdown time = 65 s\n\tservices = {\n\t\t     355      - \tcom.apple.runningboardd\n\t}\n}\n";

fn pids(jobs: &[Job]) -> Vec<i32> {
    jobs.iter().map(|(pid, _)| pid.get()).collect()
}

#[test]
fn the_list_is_read() {
    let jobs = list(LIST).unwrap();
    assert_eq!(pids(&jobs), [612, 4242, 977]);
    assert_eq!(jobs.get(1).unwrap().1, "homebrew.mxcl.postgresql@16");
    assert_eq!(list("PID\tStatus\tLabel\n").unwrap(), []);
}

#[test]
fn a_domain_is_read() {
    let jobs = print(GUI).unwrap();
    assert_eq!(pids(&jobs), [887, 4242, 97811]);
    assert_eq!(jobs.get(1).unwrap().1, "com.example.agent helper");
    assert_eq!(print(BARE).unwrap(), []);
    assert_eq!(pids(&print(SYSTEM).unwrap()), [355]);
}

#[test]
fn cut_anywhere_an_answer_is_none() {
    for (end, _) in GUI.char_indices() {
        let cut = GUI.get(..end).unwrap();
        // Without the last line break, everything is there.
        assert!(print(cut).is_err() || end + 1 == GUI.len(), "cut at {end}");
    }
    for line in 1..LIST.lines().count() {
        let whole: String = LIST.lines().take(line).flat_map(|l| [l, "\n"]).collect();
        let cut = whole.trim_end_matches(|c: char| c != '\t');
        assert!(list(cut).is_err(), "{cut:?}");
    }
}

#[test]
fn what_is_not_as_known_is_no_answer() {
    for odd in [
        "",
        "Could not find service\n",
        "612\t0\tcom.apple.Finder\n",
        "PID\tStatus\tLabel\n612 0 com.apple.Finder\n",
        "PID\tStatus\tLabel\n612\t0\n",
        "PID\tStatus\tLabel\n612\t0\t\n",
        "PID\tStatus\tLabel\nsix\t0\tx\n",
        "PID\tStatus\tLabel\n-7\t0\tx\n",
        "PID\tStatus\tLabel\n612\tdead\tx\n",
        "PID\tStatus\tLabel\n\n",
    ] {
        assert!(list(odd).is_err(), "{odd:?}");
    }
    let services = "\tservices = {\n\t\t     887      - \tnet.example.postgresql\n";
    for (from, to) in [
        ("     887      - \tnet", "     887      - net"),
        ("     887      - \tnet", "     887      - x \tnet"),
        ("     887      - \tnet", "     887\tnet"),
        ("     887      -", "     88x      -"),
        ("     887      -", "     -87      -"),
        ("\tservices = {", "\tservice list = {"),
        ("\tservices = {", "\tservices = { }"),
        ("gui/501 = {", "gui/501"),
        ("\t\tSSH_AUTH_SOCK => /private", services),
    ] {
        let odd = GUI.replacen(from, to, 1);
        assert_ne!(odd, GUI);
        assert!(print(&odd).is_err(), "{from:?} -> {to:?}");
    }
}

/// A directory with a `launchctl` that prints prepared answers.
struct Answers(tempfile::TempDir);

impl Answers {
    fn new() -> Self {
        let answers = Self(tempfile::tempdir().unwrap());
        answers.set("list", 0, LIST);
        answers.set("print-system", 0, SYSTEM);
        answers.set("print-user-501", 0, BARE);
        answers.set("print-gui-501", 0, GUI);
        // A link, because a file that was just written cannot always be executed.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/macos/tests/launchctl");
        symlink(script, answers.program()).unwrap();
        answers
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("launchctl")
    }

    fn set(&self, question: &str, code: impl ToString, text: &str) {
        fs::write(self.0.path().join(question), text).unwrap();
        fs::write(self.0.path().join(format!("{question}.code")), code.to_string()).unwrap();
    }

    fn jobs(&self) -> Result<Vec<UnitMain>, Why> {
        jobs(&self.program(), Uid(501), Duration::from_secs(60)).map_err(|e| e.why)
    }
}

#[test]
fn every_domain_is_asked() {
    let answers = Answers::new();
    let jobs = answers.jobs().unwrap();
    let mains: Vec<i32> = jobs.iter().filter_map(|j| j.main).map(Pid::get).collect();
    assert_eq!(mains, [612, 4242, 977, 355, 887, 4242, 97811]);
    let system = jobs.iter().find(|j| j.unit.name == "com.apple.runningboardd").unwrap();
    assert_eq!(system.unit.user, None);
}

#[test]
fn nobody_at_the_screen_is_no_failure() {
    let answers = Answers::new();
    answers.set("print-gui-501", 112, "");
    answers.set("print-user-501", 112, "");
    assert_eq!(answers.jobs().unwrap().len(), 4);
}

#[test]
fn w06_a_failure_is_never_an_empty_list() {
    for question in ["list", "print-system", "print-user-501", "print-gui-501"] {
        for (code, text) in [(1, ""), (113, LIST), (0, ""), (0, "Bad request.\n")] {
            let answers = Answers::new();
            answers.set(question, code, text);
            assert!(answers.jobs().is_err(), "{question}: {code} {text:?}");
        }
    }
    let answers = Answers::new();
    answers.set("print-system", 112, "");
    assert!(answers.jobs().is_err(), "the system's domain is always there");
    fs::remove_file(answers.program()).unwrap();
    assert!(answers.jobs().is_err());
}

#[test]
fn a_launchd_that_hangs_is_given_up() {
    let answers = Answers::new();
    answers.set("print-system", "hang", "");
    let limit = Duration::from_millis(50);
    let started = Instant::now();
    assert!(matches!(jobs(&answers.program(), Uid(501), limit).unwrap_err().why, Why::Slow(_)));
    assert!(started.elapsed() < Duration::from_secs(30));
}
