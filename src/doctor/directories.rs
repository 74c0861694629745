//! The state and the runtime directory: private, writable, and not on a full disk.

use std::path::{Path, PathBuf};

use reaper_platform::{NativeHost, Room, Uid, Why};

use crate::report::check::Check;
use reaper_engine::failure::Failure;
use reaper_engine::format;
use reaper_engine::state_dir::StateDir;
use reaper_policy::escape::escape;

/// Free bytes below which the next accounts may fail; then no signal is sent.
const LITTLE: u64 = 16 << 20;
/// Free inodes below which the next files may fail.
const FEW_FILES: u64 = 16;

/// What was found about one directory.
#[derive(Debug)]
pub struct Facts {
    /// Its path.
    pub path: PathBuf,
    /// Whether it exists or could be made, is private, and could be written to.
    pub tried: Result<(), Failure>,
    /// The free space on its disk.
    pub room: Result<Room, Why>,
}

/// Tries the directory: makes it if it is missing, writes a file and removes it again.
#[must_use]
pub fn gather(host: &NativeHost, path: &Path, uid: Uid) -> Facts {
    let probe = format!("doctor.{}", std::process::id());
    let tried = StateDir::create(path, uid).and_then(|dir| {
        dir.replace(&probe, b"reaper doctor was here\n")?;
        dir.remove(&probe)
    });
    Facts { path: path.to_owned(), tried, room: host.room(path) }
}

/// Makes the check.
#[must_use]
pub fn check(name: &'static str, facts: &Facts) -> Check {
    let path = escape(facts.path.as_os_str().as_encoded_bytes());
    if let Err(e) = &facts.tried {
        return Check::fail(name, e.message(), e.hint.as_deref().unwrap_or("make it writable"));
    }
    let room = match &facts.room {
        Ok(room) => room,
        Err(why) => {
            return Check::ok(name, format!("`{path}` can be written; its free space is unknown: {why}"));
        }
    };
    let free = format::bytes(room.bytes);
    let few = room.files.filter(|files| *files < FEW_FILES);
    if room.bytes < LITTLE || few.is_some() {
        let files = few.map(|n| format!(" and {n} files")).unwrap_or_default();
        return Check::warn(
            name,
            format!("`{path}` can be written, but has room for {free}{files} only"),
            "free some space: without an account on the disk, nothing is ended",
        );
    }
    Check::ok(name, format!("`{path}` is private and can be written, {free} free"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;
    use reaper_platform::Host as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn facts(bytes: u64, files: Option<u64>) -> Facts {
        Facts { path: "/s".into(), tried: Ok(()), room: Ok(Room { bytes, files }) }
    }

    #[test]
    fn a_full_disk_is_reported_in_time() {
        let level = |bytes, files| check("state", &facts(bytes, files)).level;
        assert_eq!(level(1 << 30, Some(1000)), Level::Ok);
        assert_eq!(level(1 << 30, None), Level::Ok);
        assert_eq!(level(1 << 20, Some(1000)), Level::Warn);
        assert_eq!(level(1 << 30, Some(3)), Level::Warn);
        let unknown = Facts { room: Err(Why::Gone), ..facts(0, None) };
        assert_eq!(check("state", &unknown).level, Level::Ok);
    }

    #[test]
    fn trying_leaves_a_private_directory_and_nothing_in_it() {
        let host = NativeHost::new().unwrap();
        let uid = host.info().uid;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/state");
        let found = check("state", &gather(&host, &path, uid));
        assert_eq!(found.level, Level::Ok, "{found:?}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let found = check("state", &gather(&host, &path, uid));
        assert_eq!(found.level, Level::Fail);
        assert!(found.what.contains("others can write it") && found.hint.unwrap().contains("chmod go-w"));
    }
}
