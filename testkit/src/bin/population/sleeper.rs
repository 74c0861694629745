//! The part that 20,000 processes run: sleep until a signal. It runs before anything is allocated, so a sleeper
//! owns little more than its stack and its argument and environment pages.

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::wait::wait;
use nix::unistd::pause;

/// How a sleeper behaves, selected by its first argument. No real agent has these arguments.
#[derive(Clone, Copy)]
pub enum Part {
    /// Exits at once on SIGTERM.
    Plain,
    /// Exits this many milliseconds after SIGTERM, like a program that cleans up.
    Drains(u32),
    /// Ignores SIGTERM.
    Deaf,
    /// A parent or manager: sleeps, and reaps children that exit.
    Collects,
}

impl Part {
    /// The argument that selects this part.
    pub fn argument(self) -> String {
        match self {
            Self::Plain => "--sleep".into(),
            Self::Drains(ms) => format!("--sleep-drain={ms}"),
            Self::Deaf => "--sleep-deaf".into(),
            Self::Collects => "--sleep-collect".into(),
        }
    }

    /// The part that an argument selects; `--user` is the reaping parent that stands in for `systemd --user`.
    pub fn of_argument(argument: &[u8]) -> Option<Self> {
        match argument {
            b"--sleep" => Some(Self::Plain),
            b"--sleep-deaf" => Some(Self::Deaf),
            b"--sleep-collect" | b"--user" => Some(Self::Collects),
            _ => {
                let ms = std::str::from_utf8(argument.strip_prefix(b"--sleep-drain=")?).ok()?;
                ms.parse().ok().map(Self::Drains)
            }
        }
    }
}

/// Runs the part until a signal ends it.
pub fn run(part: Part) -> ! {
    match part {
        Part::Plain => {}
        Part::Deaf => {
            // SAFETY: SIG_IGN installs no handler, so no code of ours can run in signal context.
            let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
        }
        Part::Drains(ms) => drain(ms),
        Part::Collects => loop {
            if wait().is_err() {
                pause();
            }
        },
    }
    loop {
        pause();
    }
}

#[expect(clippy::exit, reason = "a sleeper runs nothing else; there is no caller to return to")]
fn drain(ms: u32) -> ! {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    // Blocked and waited for instead of handled: no signal handler, and nothing to race with.
    let _ = term.thread_block();
    let _ = term.wait();
    std::thread::sleep(std::time::Duration::from_millis(u64::from(ms)));
    std::process::exit(0)
}
