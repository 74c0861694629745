//! Directories and files of a test.

use std::fs;
use std::path::{Path, PathBuf};

/// A directory that is removed with the test.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Writes a file that only its owner can write, whatever the umask.
pub fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file in a folder");
    fs::create_dir_all(folder).expect("a folder");
    set_mode(folder, 0o700);
    fs::write(path, text).expect("a file");
    set_mode(path, 0o600);
}

/// Sets a file's permission bits.
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    drop(fs::set_permissions(path, fs::Permissions::from_mode(mode)));
}

/// Where a home keeps its state.
pub fn state_dir(home: &Path) -> PathBuf {
    home.join(".local/state/reaper")
}
