//! `population`: a machine full of processes of chosen numbers, for benchmarks and for end-to-end tests.
//!
//! ```text
//! population -n 20000 -k 100 -U 1000 -- reaper scan --dry-run
//! ```
//!
//! builds about 20,000 sleeping processes in PID, mount and cgroup namespaces of their own, runs the command in
//! there as uid 1000 and exits with its status. Everything ends with the namespace's PID 1, also if
//! this program is killed. It needs root. Inside:
//!
//! - PID 1 is a stand-in `systemd --system`, which reaps exited children; a stand-in `systemd --user` (uid 1000)
//!   is a child subreaper;
//! - `-k` marked agents (`claude`, `codex`, `goose`) whose launcher has exited are children of the two: these, and no
//!   others, are to be found;
//! - beside them are daemons without the marker and three kinds of decoys: no marker, a marker on another name, and
//!   another user's agent;
//! - all the rest, marked agents among them, has live parents, and belongs to two users in turn.
//!
//! Every process is exec'ed, so each has pages of its own for arguments and environment: a scanner that reads them
//! pays here what it pays on a real machine. The command sees `POPULATION_EXPECT` (how many are to be found),
//! `POPULATION_MANAGER` (pid of the user manager) and `POPULATION_UID`.
//!
//! `population usage -- COMMAND` measures a command for the benchmarks; see [`usage`].
//!
//! One executable has every role, selected by its arguments. Linked statically a sleeper costs two thirds of the
//! memory (123 KiB with its kernel side, against 192), and 20,000 of them fit into 2.5 GiB:
//!
//! ```text
//! cargo rustc --release -p reaper-testkit --bin population -- \
//!     -C target-feature=+crt-static -C relocation-model=static
//! ```
#![cfg_attr(not(test), no_main)]

mod builder;
mod images;
mod options;
mod sleeper;
mod usage;

use std::ffi::{CStr, c_char, c_int};

/// The C entry point. The Rust runtime's start-up (a signal stack, handlers, an allocation or two) is skipped because
/// every one of 20,000 sleepers would pay for it.
///
/// # Safety
/// To be called by the C runtime only, with its `argc` and `argv`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    if argc >= 2 {
        // SAFETY: the C runtime passes `argc` valid, NUL-terminated strings that live as long as the process.
        let first = unsafe { CStr::from_ptr(*argv.add(1)) };
        if let Some(part) = sleeper::Part::of_argument(first.to_bytes()) {
            sleeper::run(part);
        }
    }
    // The rest may allocate; `std::env::args_os` works without the Rust entry point on Linux.
    let args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let status = match builder::dispatch(args.get(1..).unwrap_or_default()) {
        Ok(status) => status,
        Err(problem) => {
            report(&problem);
            builder::FAILED
        }
    };
    c_int::from(status)
}

#[expect(clippy::print_stderr, reason = "a command-line program says on stderr why it could not do its job")]
fn report(problem: &str) {
    eprintln!("population: {problem}");
}
