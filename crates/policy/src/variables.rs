//! Environment variables that service managers set on their services. Those that launchers set are in the lease crate.

/// Set by systemd (248 and later) on a service: the pid that it executed (systemd.exec(5)). Children inherit the
/// variable, so it equals the process's own pid only in the main process.
pub const SYSTEMD_EXEC_PID: &str = "SYSTEMD_EXEC_PID";
/// Set by launchd on a job: the job's label. Children inherit it, and shells of the Terminal app have `0`, so it only
/// says below which job a process was started.
pub const XPC_SERVICE_NAME: &str = "XPC_SERVICE_NAME";
