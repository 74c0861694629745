//! `reaper run`: what it notices and ends, how soon, its control socket, and what it does after a crash.

mod batches;
mod control_socket;
mod crash_recovery;
mod failures;
mod hostile_names;
mod latency;
mod lifecycle;
mod log_reader;
mod pid_reuse;
mod process_churn;
mod respawn;
mod service_process;
mod soak;
mod soak_ledger;
mod thousand_orphans;
