//! A pseudo-terminal to run a program on: tests wait for its output and send keys.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::sys;

/// How long a test waits for output.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pseudo-terminal, and the program whose controlling terminal it is. Dropping it hangs up.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    screen: OwnedFd,
    child: Child,
    shown: Vec<u8>,
}

impl Terminal {
    /// Runs the command on a terminal with this many columns.
    pub fn run(mut command: Command, columns: u16) -> io::Result<Self> {
        let size = libc::winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut ours, mut theirs) = (-1, -1);
        let none = std::ptr::null_mut();
        // SAFETY: both descriptors have a place, the name is not asked for, and the size outlives the call.
        sys::check(unsafe {
            libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), (&raw const size).cast_mut())
        })?;
        // SAFETY: the kernel has just given us these descriptors; they are held nowhere else.
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        // The program must not keep our end open: the terminal would never hang up.
        // SAFETY: a flag of a descriptor that is ours.
        sys::check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::FIOCLEX) })?;
        command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
        // SAFETY: the closure runs between fork and exec and makes async-signal-safe calls only.
        unsafe {
            command.pre_exec(|| {
                // Tests that run in the background may have them ignored.
                for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                    sys::dispose(signal, false);
                }
                sys::check(libc::setsid())?;
                sys::check(libc::ioctl(0, libc::TIOCSCTTY, 0)).map(drop)
            });
        }
        let child = command.spawn()?;
        Ok(Self { keys: File::from(ours.try_clone()?), screen: ours, child, shown: Vec::new() })
    }

    /// Waits until `text` has been shown since the last key was pressed.
    ///
    /// # Panics
    /// When it does not come, with all that was shown.
    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&self.shown).contains(text) {
            let open = self.read_some(end);
            assert!(open, "the terminal never showed {text:?}, but:\n{}", self.text());
        }
    }

    /// Presses keys: `"y\n"`, `"\x03"` for Ctrl-C, `"\x04"` for the end of input.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// The program's pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for the program's end; gives its status and all that was ever shown.
    ///
    /// # Panics
    /// When it does not end.
    pub fn finish(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + PATIENCE;
        while self.read_some(end) {}
        let status = loop {
            match self.child.try_wait().expect("our own child") {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                None => panic!("it does not end; it showed:\n{}", self.text()),
            }
        };
        (status, self.text())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Reads what is available; `false` once the program has closed the terminal or time is up.
    fn read_some(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now()).as_millis() as i32;
        if !sys::readable_within(&self.screen, left).unwrap_or(false) {
            return false;
        }
        let mut buffer = [0; 4096];
        // The last one to close the other end makes this fail with EIO.
        match self.keys.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.shown.extend_from_slice(&buffer[..length]);
                true
            }
        }
    }
}
