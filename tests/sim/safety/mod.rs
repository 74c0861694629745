//! The laws of safety, each with tests that fail when it is broken.

mod agents_in_place;
mod audit_before_signal;
mod changed_process;
mod exec_while_reading;
mod failed_lookups;
mod fault_injection;
mod faults;
mod grace;
mod invariants;
mod lookalikes;
mod macos;
mod main_thread_exited;
mod pid_reuse;
mod process_trees;
mod rejudge_before_signal;
mod related_processes;
mod respawn;
mod scenarios;
mod stale_judgement;
