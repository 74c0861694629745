//! Desktop notifications when processes were ended: one for each finished plan, if enabled in the config.
//!
//! The desktop's own tool shows them. It is started without a shell, on a thread of its own, so that a hanging desktop
//! does not block the service. A tool that hangs is not ended, since this program ends nothing but orphans; until it
//! exits, no further notification is shown.

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

/// How long the tool may take before it is reported as failed.
const LIMIT: Duration = Duration::from_secs(5);
/// How often the exit of the tool is polled.
const PULSE: Duration = Duration::from_millis(50);
/// Largest number of programs that a notification names.
const NAMED: usize = 5;

/// Shows notifications.
#[derive(Debug, Clone, Default)]
pub struct Desktop {
    is_busy: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    title: String,
    body: String,
}

impl Desktop {
    /// Shows a notification if any process was ended.
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

    /// Whether a failure was logged: once only, since without a desktop every notification fails.
    fn failed(&self, why: &str) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            debug!("cannot show a note on the desktop: {why}");
        }
    }
}

/// `notify-send` interprets markup and backslashes in the body; `osascript` gets the texts as arguments of a constant
/// script.
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

/// Names of other programs appear in the body only, after text of our own.
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
    fn only_ended_processes_lead_to_a_notification() {
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
    fn a_missing_tool_is_not_an_error() {
        let desktop = Desktop::default();
        desktop.show(&mut Command::new("/not/there"));
        assert!(desktop.has_failed.load(Ordering::Relaxed));
    }
}
