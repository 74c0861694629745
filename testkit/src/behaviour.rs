//! The words of `STAND_IN`: what a stand-in does. Its arguments are not used for that: they belong to the test.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// The variable that tells a stand-in what to do.
pub const VARIABLE: &str = "STAND_IN";

/// What a stand-in does. Words are separated by `;`.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// `ignore-term`: SIGTERM is ignored.
    pub ignore_term: bool,
    /// `exit-after=MS`: on SIGTERM, exits so much later.
    pub exit_after_ms: Option<u64>,
    /// `fork-on-term`: on SIGTERM, leaves a running copy of itself behind and exits.
    pub fork_on_term: bool,
    /// `return-on-term`: on SIGTERM, forks a successor in a session of its own, which does the same, and exits.
    pub return_on_term: bool,
    /// `exit-main-thread`: on SIGTERM, ends its main thread alone. Another thread, with SIGTERM blocked, runs on.
    pub exit_main_thread: bool,
    /// `stop`: stops itself once it is set up.
    pub stop: bool,
    /// `comm=NAME`.
    pub comm: Option<OsString>,
    /// `title=TEXT`: overwrites the argument area, as node does.
    pub title: Option<OsString>,
    /// `wipe-environ`: overwrites arguments and environment with the title and NULs.
    pub wipe_environ: bool,
    /// `garble-environ`: overwrites the environment with other text.
    pub garble_environ: bool,
    /// `non-dumpable`.
    pub non_dumpable: bool,
    /// `hang-environ`: reading the environment (or the arguments) of this process blocks until it ends.
    pub hang_environ: bool,
    /// `exec-on-usr1=PATH`.
    pub exec_on_usr1: Option<PathBuf>,
    /// `env-on-usr2`: executes itself without any `SPROUT_`, `BUZZ_` or `REAPER_` variable.
    pub env_on_usr2: bool,
    /// `open=FILE`: opens FILE once it is set up (see [`HangingMount`](crate::hanging_reads::HangingMount)).
    pub open: Option<PathBuf>,
    /// `subreaper`.
    pub subreaper: bool,
    /// `threads=N`: has so many more threads.
    pub threads: usize,
    /// `keep-zombies`: does not collect its children, but for that of `exit-with`.
    pub keep_zombies: bool,
    /// `exit-with=PID`: ends with the status of that child, as a container's init does.
    pub exit_with: Option<i32>,
    /// `ready=FILE`: takes the pid once set up; created, or written to when it is a FIFO.
    pub ready: Option<PathBuf>,
    /// `request-dir=DIR`: where others write their spawn requests.
    pub request_dir: Option<PathBuf>,
    /// `alarm=MS`: exits by itself after so long.
    pub alarm_ms: Option<u64>,
    /// `churn=RATE`: gives its own parent so many children a second, each of which ends by itself soon.
    pub churn: Option<u32>,
    /// `deaths=FILE`: writes `PID STATUS TIME` of each child that ends to the end of FILE: the status as `wait` has
    /// it, the time in nanoseconds of the monotonic clock.
    pub deaths: Option<PathBuf>,
    /// `record=FILE`: lives on when it gets SIGTERM, and writes the pid of the sender to the end of FILE, a line for
    /// each; no file, no signal. That holds from the moment it is forked, before it executes anything. A second one
    /// that comes before the first was taken is not told from it.
    pub record: Option<PathBuf>,
}

impl Behaviour {
    /// Understands `words`; an unknown word is an error.
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
