//! Folders and files for one test.

use std::fs;
use std::path::Path;

use crate::common::set_mode;

/// A folder that ends with the test.
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
