//! A note on the desktop when something was ended: one for each finished batch, and only if it was asked for.
//!
//! The desktop's own tool shows it, started without a shell, on a thread of its own, so that a desktop that hangs does not
//! hold up the service. We do not end that tool when it takes too long, since this program ends nothing but orphans;
//! until it is done, no further note is shown.

use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::debug;

use reaper_engine::format;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::escalation::Outcome;
use reaper_policy::escape::escape;

/// How long the tool may take before that counts as a failure.
const LIMIT: Duration = Duration::from_secs(5);
/// How often it is asked whether the tool is done.
const PULSE: Duration = Duration::from_millis(50);
/// How many programs a note names.
const NAMED: usize = 5;

/// Shows notes.
#[derive(Debug, Clone, Default)]
pub struct Desktop {
    is_busy: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    title: String,
    body: String,
}

impl Desktop {
    /// Tells what was ended, if anything was.
    pub fn tell(&self, ended: &[Ended]) {
        let Some(note) = note(ended) else { return };
        if self.is_busy.swap(true, Ordering::Relaxed) {
            debug!("the last note on the desktop is not shown yet; this one is left out");
            return;
        }
        let this = self.clone();
        let work = move || {
            this.show(&mut tool(&note));
            this.is_busy.store(false, Ordering::Relaxed);
        };
        if let Err(e) = std::thread::Builder::new().name("notify".into()).spawn(work) {
            self.is_busy.store(false, Ordering::Relaxed);
            self.failed(&e.to_string());
        }
    }

    fn show(&self, tool: &mut Command) {
        if let Err(e) = self.run(tool) {
            self.failed(&format!("{}: {e}", tool.get_program().display()));
        }
    }

    fn run(&self, tool: &mut Command) -> io::Result<()> {
        let mut child = tool.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let end = Instant::now() + LIMIT;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(PULSE),
                None => {
                    self.failed(&format!("not shown within {} s", LIMIT.as_secs()));
                    break child.wait()?;
                }
            }
        };
        if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
    }

    /// Said once: a machine without a desktop fails each time.
    fn failed(&self, why: &str) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            debug!("cannot show a note on the desktop: {why}");
        }
    }
}

/// `notify-send` takes the body as markup, and undoes backslashes in it; `osascript` gets the texts as arguments
/// of a script that stands still.
fn tool(note: &Note) -> Command {
    if cfg!(target_os = "macos") {
        let mut command = Command::new("osascript");
        command.args(["-e", "on run argv"]);
        command.args(["-e", "display notification (item 2 of argv) with title (item 1 of argv)"]);
        command.args(["-e", "end run", &note.title, &note.body]);
        command
    } else {
        let mut command = Command::new("notify-send");
        command.args(["--app-name=reaper", "--", &note.title, &markup(&note.body)]);
        command
    }
}

fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out
}

/// Names of other programs stand in the body only, and after words of our own.
fn note(ended: &[Ended]) -> Option<Note> {
    let is_done = |e: &&Ended| matches!(e.outcome, Outcome::Exited | Outcome::Killed);
    let done: Vec<&Ended> = ended.iter().filter(is_done).collect();
    if done.is_empty() {
        return None;
    }
    let one = |e: &&Ended| format!("{} (pid {})", escape(&e.target.program), e.target.id.pid);
    let mut names: Vec<String> = done.iter().take(NAMED).map(one).collect();
    if done.len() > NAMED {
        names.push(format!("{} more", done.len() - NAMED));
    }
    let bytes = done.iter().map(|e| e.target.rss_bytes).sum();
    let mut body = format!("Ended: {}. {} of memory returned.", names.join(", "), format::bytes(bytes));
    let left = ended.iter().filter(|e| matches!(e.outcome, Outcome::Denied | Outcome::Survived)).count();
    if left > 0 {
        body.push_str(&format!(" {} could not be ended.", format::count(left, "process")));
    }
    Some(Note { title: format!("reaper ended {}", format::count(done.len(), "orphaned process")), body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::{Pid, ProcId, StartTime};
    use reaper_policy::plan::{Role, Target};

    fn ended(pid: i32, program: &[u8], outcome: Outcome) -> Ended {
        let id = ProcId { pid: Pid::new(pid).unwrap(), start: StartTime(1), generation: None };
        let target = Target {
            uid: None,
            id,
            role: Role::Root,
            root: id,
            profiles: vec!["sprout".into()],
            program: program.to_vec(),
            rss_bytes: 1_000_000,
            group: None,
            comeback: None,
        };
        Ended {
            target,
            signals: Vec::new(),
            outcome,
            took: Duration::ZERO,
            why: None,
            zombie: false,
            fell: None,
            image: None,
            unsure: false,
        }
    }

    #[test]
    fn a_note_tells_what_was_ended_and_nothing_else_is_worth_one() {
        assert_eq!(note(&[ended(7, b"goose", Outcome::Spared)]), None);
        let all = [ended(7, b"goose", Outcome::Exited), ended(8, b"claude", Outcome::Survived)];
        let shown = note(&all).unwrap();
        assert_eq!(shown.title, "reaper ended 1 orphaned process");
        assert_eq!(
            shown.body,
            "Ended: goose (pid 7). 1.0 MB of memory returned. 1 process could not be ended."
        );
        let many: Vec<Ended> = (1..=9).map(|pid| ended(pid, b"x", Outcome::Killed)).collect();
        let shown = note(&many).unwrap();
        assert!(shown.title.ends_with("9 orphaned processes") && shown.body.contains(", 4 more. 9.0 MB"));
    }

    #[test]
    fn hostile_names_are_text_for_the_tool() {
        let name = b"--help\n<a href=\"x\">\\033&'\x1b[2J$(id)`id`";
        let note = note(&[ended(7, name, Outcome::Exited)]).unwrap();
        let command = tool(&note);
        let args: Vec<&str> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
        assert!(!note.title.contains("help"), "{note:?}");
        assert!(args.iter().all(|arg| !arg.contains(['\n', '\x1b'])), "{args:?}");
        let body = args.last().unwrap();
        assert!(body.starts_with("Ended: "), "never an option: {body}");
        if cfg!(target_os = "linux") {
            assert_eq!(command.get_program(), "notify-send");
            assert!(!body.contains(['<', '>', '"', '\'']), "{body}");
            assert!(body.contains("&lt;a href=&quot;x&quot;&gt;") && body.contains("\\\\n"), "{body}");
            assert!(!body.replace("\\\\", "").contains('\\'), "no escape is left to undo: {body}");
        }
    }

    #[test]
    fn a_tool_that_is_missing_is_no_trouble() {
        let desktop = Desktop::default();
        desktop.show(&mut Command::new("/not/there"));
        assert!(desktop.has_failed.load(Ordering::Relaxed));
    }
}
