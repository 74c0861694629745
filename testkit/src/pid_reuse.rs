//! Starts a process with the pid of one that has just exited.

use std::io;
use std::time::Duration;

use crate::process_ref::ProcessRef;
use crate::process_spec::ProcessSpec;
use crate::spawn_spec::Shape;

/// Ends `old`, waits until its pid is free (its parent must reap it; the caller's own child is reaped
/// here), and spawns `next` in this shape with the same pid. An error where the kernel does not allow it: the
/// caller must be root in the user namespace that owns the PID namespace.
pub fn recycle_pid(old: &ProcessRef, next: &ProcessSpec, shape: Shape) -> io::Result<ProcessRef> {
    old.kill();
    if !old.wait_reaped(Duration::from_secs(5)) {
        return Err(io::Error::other("the old process is not reaped"));
    }
    let next = next.clone().with_pid(old.pid);
    for _ in 0..20 {
        match next.spawn(shape) {
            // Another process or a session has the pid for a moment.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
    Err(io::Error::other("the pid stays in use, as the id of a session or a group"))
}
