//! macOS: libproc, sysctl, kqueue and launchd.
//!
//! What only interprets bytes and text is compiled and tested everywhere: [`procargs`], [`record`], [`socket`],
//! [`launchd`] and [`errors`]. The rest asks the system, and is thin.

pub mod errors;
#[cfg(target_os = "macos")]
mod facts;
#[cfg(target_os = "macos")]
mod here;
#[cfg(target_os = "macos")]
mod host;
#[cfg(target_os = "macos")]
mod kqueue;
pub mod launchd;
#[cfg(target_os = "macos")]
mod machine;
#[cfg(target_os = "macos")]
mod pinned;
pub mod procargs;
pub mod record;
pub mod socket;
#[cfg(target_os = "macos")]
mod sys;

#[cfg(target_os = "macos")]
pub use {host::MacHost, kqueue::KqueueWaiter, pinned::MacPinned};

#[cfg(target_os = "macos")]
fn nix_pid(pid: crate::types::Pid) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(pid.get())
}

#[cfg(target_os = "macos")]
const fn our_pid(pid: nix::unistd::Pid) -> Option<crate::types::Pid> {
    crate::types::Pid::new(pid.as_raw())
}
