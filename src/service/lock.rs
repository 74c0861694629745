//! One service for each user: a file lock, which the kernel releases when its process ends for any reason.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use reaper_engine::failure::Failure;
use reaper_engine::state_dir::StateDir;
use reaper_engine::trusted_file;

/// The name of the file in the runtime directory.
const FILE: &str = "lock";
const WHAT: &str = "cannot lock";
const HINT: &str = "make the runtime directory writable, or set XDG_RUNTIME_DIR to one that is";

/// The lock, held as long as the service runs.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Takes the lock and writes our pid to the file, for the error that a second service gets.
///
/// # Errors
/// When another service holds it, or the file cannot be made.
pub fn take(runtime: &StateDir) -> Result<Lock, Failure> {
    let failed = |e: io::Error| Failure::new(WHAT).at(runtime.file(FILE)).because(e).hint(HINT);
    let mut file = runtime.open_to_write(FILE, &mut OpenOptions::new(), WHAT, HINT)?;
    if trusted_file::lock(&file, Duration::ZERO).map_err(failed)? {
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        return Ok(Lock(file));
    }
    let mut text = String::new();
    // The holder may not have written its pid yet; then the message lacks it.
    let _ = file.take(16).read_to_string(&mut text);
    let holder = text.trim().parse::<u32>().map(|pid| format!(": pid {pid}")).unwrap_or_default();
    let what = format!("another reaper service runs for this user{holder}");
    Err(Failure::new(what).hint("`reaper status` asks it; stop it before you start another"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reaper_platform::Uid;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn w15_a_second_service_is_told_who_runs() {
        let dir = tempfile::tempdir().unwrap();
        let uid = Uid(std::fs::metadata(dir.path()).unwrap().uid());
        let runtime = StateDir::create(&dir.path().join("run"), uid).unwrap();
        let held = take(&runtime).unwrap();
        let refused = take(&runtime).unwrap_err().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(held);
        take(&runtime).unwrap();
    }
}
