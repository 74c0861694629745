//! Any text as a config file: it gives a policy or a printable error, and never a broader policy than written.

#![no_main]

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use reaper::config::{Overrides, Sources, load};
use tempfile::TempDir;

thread_local! {
    static PLACE: OnceCell<(TempDir, PathBuf, u32, u32)> = const { OnceCell::new() };
}

fuzz_target!(|text: &str| {
    PLACE.with(|place| {
        let (_, path, uid, gid) = place.get_or_init(|| {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("config.toml");
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let meta = fs::metadata(&path).unwrap();
            (
                dir,
                path,
                std::os::unix::fs::MetadataExt::uid(&meta),
                std::os::unix::fs::MetadataExt::gid(&meta),
            )
        });
        fs::write(path, text).unwrap();
        let sources =
            Sources { explicit: Some(path.clone()), uid: *uid, primary_gid: *gid, ..Sources::default() };
        match load(&sources, &Overrides::default()) {
            Ok(settings) => {
                assert!(settings.policy().protect.iter().any(|p| p == "tmux"), "protection only grows");
            }
            Err(error) => {
                let shown = error.to_string();
                assert!(!shown.is_empty());
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            }
        }
    });
});
