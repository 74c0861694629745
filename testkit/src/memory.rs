//! Overwriting one's own argument and environment areas, the way real runtimes do.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;

/// The memory that the kernel reports as the arguments and the environment of a process.
struct Areas {
    args: Range<usize>,
    env: Range<usize>,
}

impl Areas {
    fn own() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
        let fields: Vec<usize> = tail.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // arg_start is field 48 of the file; `tail` begins with field 3.
        match fields.get(45..49) {
            Some(&[a, b, c, d]) if a != 0 && d != 0 => Ok(Self { args: a..b, env: c..d }),
            _ => Err(io::Error::other("the kernel does not say where the arguments are")),
        }
    }
}

/// Overwrites the argument area with `title`, as node does for `process.title`.
pub fn set_title(title: &OsStr) -> io::Result<()> {
    fill(Areas::own()?.args, title.as_bytes());
    Ok(())
}

/// Overwrites arguments and environment with `title` and NULs, as Python's setproctitle does.
pub fn wipe_environ(title: &OsStr) -> io::Result<()> {
    let areas = Areas::own()?;
    fill(areas.args.start..areas.env.end, title.as_bytes());
    Ok(())
}

/// Overwrites the environment with text that contains no variables.
pub fn garble_environ() -> io::Result<()> {
    let env = Areas::own()?.env;
    let text: Vec<u8> = b"--type=renderer --shared-files ".iter().copied().cycle().take(env.len()).collect();
    fill(env, &text);
    Ok(())
}

/// Writes as much of `text` as fits, always leaving the last byte NUL, and NULs behind it.
fn fill(area: Range<usize>, text: &[u8]) {
    if area.is_empty() {
        return;
    }
    let length = text.len().min(area.len() - 1);
    let start = area.start as *mut u8;
    // SAFETY: the kernel laid this area out on the stack of this very process, writable and below all frames;
    // the caller has already copied every argument and variable that it still needs, and runs one thread.
    unsafe {
        std::ptr::write_bytes(start, 0, area.len());
        std::ptr::copy_nonoverlapping(text.as_ptr(), start, length);
    }
}
