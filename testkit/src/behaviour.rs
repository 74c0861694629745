//! The words of `STAND_IN`: what a stand-in does. Its arguments are not used for that: tests choose them freely.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// The variable that controls a stand-in.
pub const VARIABLE: &str = "STAND_IN";

/// What a stand-in does. Words are separated by `;`.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// `ignore-term`: SIGTERM is ignored.
    pub ignore_term: bool,
    /// `exit-after=MS`: exits so many milliseconds after SIGTERM.
    pub exit_after_ms: Option<u64>,
    /// `fork-on-term`: on SIGTERM, leaves a running copy of itself behind and exits.
    pub fork_on_term: bool,
    /// `return-on-term`: on SIGTERM, forks a successor in a session of its own, which does the same, and exits.
    pub return_on_term: bool,
    /// `exit-main-thread`: on SIGTERM, ends its main thread alone. Another thread, with SIGTERM blocked, runs on.
    pub exit_main_thread: bool,
    /// `stop`: stops itself once it is set up.
    pub stop: bool,
    /// `comm=NAME`: sets the kernel's short name of the process.
    pub comm: Option<OsString>,
    /// `title=TEXT`: overwrites the argument area, as node does.
    pub title: Option<OsString>,
    /// `wipe-environ`: overwrites arguments and environment with the title and NULs.
    pub wipe_environ: bool,
    /// `garble-environ`: overwrites the environment with other text.
    pub garble_environ: bool,
    /// `non-dumpable`: clears `PR_SET_DUMPABLE`.
    pub non_dumpable: bool,
    /// `hang-environ`: reading the environment (or the arguments) of this process blocks until it ends.
    pub hang_environ: bool,
    /// `exec-on-usr1=PATH`: executes PATH on SIGUSR1.
    pub exec_on_usr1: Option<PathBuf>,
    /// `env-on-usr2`: on SIGUSR2, executes itself without any `SPROUT_`, `BUZZ_` or `REAPER_` variable.
    pub env_on_usr2: bool,
    /// `open=FILE`: opens FILE once it is set up (see [`HangingMount`](crate::hanging_reads::HangingMount)).
    pub open: Option<PathBuf>,
    /// `subreaper`: becomes a child subreaper.
    pub subreaper: bool,
    /// `threads=N`: starts so many more threads.
    pub threads: usize,
    /// `keep-zombies`: does not reap its children, except that of `exit-with`.
    pub keep_zombies: bool,
    /// `exit-with=PID`: exits with the status of that child, as a container's init does.
    pub exit_with: Option<i32>,
    /// `ready=FILE`: writes its pid to FILE once set up; FILE is created, unless it is a FIFO.
    pub ready: Option<PathBuf>,
    /// `request-dir=DIR`: where it reads spawn requests.
    pub request_dir: Option<PathBuf>,
    /// `alarm=MS`: exits by itself after so many milliseconds.
    pub alarm_ms: Option<u64>,
    /// `churn=RATE`: adds so many children a second to its own parent, each of which exits soon.
    pub churn: Option<u32>,
    /// `deaths=FILE`: appends `PID STATUS TIME` of each child that exits to FILE: the status as `wait` has
    /// it, the time in nanoseconds of the monotonic clock.
    pub deaths: Option<PathBuf>,
    /// `record=FILE`: does not exit on SIGTERM, and appends the pid of the sender to FILE, a line for
    /// each; no file, no signal. That holds from the moment it is forked, before it executes anything. A second one
    /// that arrives before the first was taken is merged with it.
    pub record: Option<PathBuf>,
}

impl Behaviour {
    /// Parses `words`; an unknown word is an error.
    pub fn parse(words: &OsStr) -> io::Result<Self> {
        let mut it = Self::default();
        for word in words.as_bytes().split(|&byte| byte == b';').filter(|word| !word.is_empty()) {
            let (key, value) = match word.iter().position(|&byte| byte == b'=') {
                Some(at) => (&word[..at], OsString::from_vec(word[at + 1..].to_vec())),
                None => (word, OsString::new()),
            };
            match key {
                b"sleep" => {}
                b"ignore-term" => it.ignore_term = true,
                b"exit-after" => it.exit_after_ms = Some(number(&value)?),
                b"fork-on-term" => it.fork_on_term = true,
                b"return-on-term" => it.return_on_term = true,
                b"exit-main-thread" => it.exit_main_thread = true,
                b"stop" => it.stop = true,
                b"comm" => it.comm = Some(value),
                b"title" => it.title = Some(value),
                b"wipe-environ" => it.wipe_environ = true,
                b"garble-environ" => it.garble_environ = true,
                b"non-dumpable" => it.non_dumpable = true,
                b"hang-environ" => it.hang_environ = true,
                b"exec-on-usr1" => it.exec_on_usr1 = Some(value.into()),
                b"env-on-usr2" => it.env_on_usr2 = true,
                b"open" => it.open = Some(value.into()),
                b"subreaper" => it.subreaper = true,
                b"threads" => it.threads = number(&value)?,
                b"keep-zombies" => it.keep_zombies = true,
                b"exit-with" => it.exit_with = Some(number(&value)?),
                b"ready" => it.ready = Some(value.into()),
                b"request-dir" => it.request_dir = Some(value.into()),
                b"alarm" => it.alarm_ms = Some(number(&value)?),
                b"churn" => it.churn = Some(number(&value)?),
                b"deaths" => it.deaths = Some(value.into()),
                b"record" => it.record = Some(value.into()),
                _ => {
                    let message = format!("unknown word in {VARIABLE}: {}", String::from_utf8_lossy(word));
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
                }
            }
        }
        Ok(it)
    }
}

fn number<T: std::str::FromStr>(value: &OsStr) -> io::Result<T> {
    let parsed = value.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_compose_and_values_keep_their_equals_signs() {
        let it = Behaviour::parse(OsStr::new("ignore-term;;title=a=b c;exit-after=20")).unwrap();
        assert!(it.ignore_term && !it.stop);
        assert_eq!(it.title.unwrap(), "a=b c");
        assert_eq!(it.exit_after_ms, Some(20));
    }

    #[test]
    fn unknown_words_are_errors() {
        assert!(Behaviour::parse(OsStr::new("ignore-trem")).is_err());
        assert!(Behaviour::parse(OsStr::new("exit-after=soon")).is_err());
    }
}
