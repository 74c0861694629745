//! What it takes to end many orphans, beside the ways that are commonly written: see `termination/bench.rs`. Linux only: it plays in namespaces and reads `/proc`.

#[cfg(target_os = "linux")]
#[path = "termination/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
