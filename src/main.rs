//! The command `reaper`; see the library for everything.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    reaper::cli::main()
}
