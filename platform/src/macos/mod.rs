//! macOS: libproc, sysctl, kqueue and launchd.
//!
//! Modules that only interpret bytes and text are compiled and tested everywhere: [`procargs`], [`bsdinfo`],
//! [`socket`], [`launchctl`] and [`errors`]. The rest makes system calls, and is thin.

pub mod bsdinfo;
pub mod errors;
#[cfg(target_os = "macos")]
mod host;
#[cfg(target_os = "macos")]
mod kqueue;
pub mod launchctl;
#[cfg(target_os = "macos")]
mod probe;
pub mod procargs;
#[cfg(target_os = "macos")]
mod process;
#[cfg(target_os = "macos")]
mod process_info;
#[cfg(target_os = "macos")]
mod self_info;
pub mod socket;
#[cfg(target_os = "macos")]
mod syscalls;

#[cfg(target_os = "macos")]
pub use {host::MacHost, kqueue::KqueueWatcher, process::MacHandle};

#[cfg(target_os = "macos")]
fn nix_pid(pid: crate::types::Pid) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(pid.get())
}

#[cfg(target_os = "macos")]
const fn our_pid(pid: nix::unistd::Pid) -> Option<crate::types::Pid> {
    crate::types::Pid::new(pid.as_raw())
}
