//! Variables that service managers set and that say something about a process. Those of a launcher are in the lease
//! crate.

/// What systemd (248 and later) puts into a service's environment: the pid that it executed
/// (systemd.exec(5)). Children inherit it, so it equals the own pid in the main process only.
pub const SYSTEMD_EXEC_PID: &str = "SYSTEMD_EXEC_PID";
/// What launchd puts into a job's environment: the job's label. Children inherit it, and shells of the Terminal have
/// a `0`; so it says below which job a process was started, and nothing more.
pub const XPC_SERVICE_NAME: &str = "XPC_SERVICE_NAME";
