//! macOS: libproc, sysctl, kqueue and launchd.
//!
//! What only interprets bytes is compiled and tested everywhere: [`procargs`].

pub mod procargs;
