//! Flags of `open(2)` that the standard library has no name for, to be passed to `OpenOptionsExt::custom_flags`. Their
//! values differ between systems and architectures.

/// `O_NONBLOCK`: opening a FIFO does not wait for its other end.
pub const NO_WAIT: i32 = system::NONBLOCK;
/// `O_NOFOLLOW`: opening a symbolic link fails.
pub const NO_FOLLOW: i32 = system::NOFOLLOW;

#[cfg(target_os = "linux")]
mod system {
    use rustix::fs::OFlags;

    pub const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;
    pub const NOFOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;
}

#[cfg(target_os = "macos")]
mod system {
    use nix::fcntl::OFlag;

    pub const NONBLOCK: i32 = OFlag::O_NONBLOCK.bits();
    pub const NOFOLLOW: i32 = OFlag::O_NOFOLLOW.bits();
}
