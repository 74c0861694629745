//! The parts of the README that need processes: its transcript and the script for launchers. The rest is in `tests/cli`.

mod demo_machine;
mod launcher;
mod output_mask;
mod transcript;
