//! Changes to the namespace's view of the file system. Only inside one: its mount namespace is private.

use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags};

/// Mounts a tmpfs at this directory, with options such as `size=64k,mode=0700`.
pub fn memory(at: &Path, options: &str) -> io::Result<()> {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options))
}

/// Makes a mount point read-only.
pub fn read_only(at: &Path) -> io::Result<()> {
    mount(None, at, None, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None)
}

/// Bind-mounts `what` at `at`.
pub fn bind(what: &Path, at: &Path) -> io::Result<()> {
    let what = what.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    mount(Some(what), at, None, MsFlags::MS_BIND, None)
}

/// Unmounts the topmost mount at this place.
pub fn take_away(at: &Path) -> io::Result<()> {
    nix::mount::umount2(at, MntFlags::MNT_DETACH).map_err(io::Error::from)
}

fn mount(
    source: Option<&str>,
    at: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> io::Result<()> {
    assert!(Path::new("/run/testkit/init").is_dir(), "only the mounts of a private namespace may be changed");
    nix::mount::mount(source, at, kind, flags, data).map_err(io::Error::from)
}
